-- Parameters: capacity, lease or 0. State: a log of the holders with the cost of each, the permits of
-- all of them (x), and the instant of the last grant, also when it has ended (y).
function algorithms.concurrency()
  local kind = log('h', make_log())

  local function has_ended(p, at, now)
    return p[2] > 0 and minus(now, at) >= p[2]
  end

  -- How many stand in front whose leases have ended, as an index, and their permits.
  local function ended(p, s, now)
    local index, permits = s.start, 0
    while p[2] > 0 and index < s.count do
      local at, cost = s:at(index)
      if not has_ended(p, at, now) then break end
      index, permits = index + 1, permits + cost
    end
    return index, permits
  end

  local function in_use(p, s, now)
    local _, permits = ended(p, s, now)
    return s.x - permits
  end

  -- When the leases of so many permits more have ended, if they ever do.
  local function freed(p, s, permits, now)
    if p[2] == 0 then
      return nil
    end
    local sum = 0
    for index = ended(p, s, now), s.count - 1 do
      local at, cost = s:at(index)
      sum = sum + cost
      if sum >= permits then
        return at + p[2] < END and at + p[2] or nil
      end
    end
  end

  local function forget(p, s, now)
    local index, permits = ended(p, s, now)
    if index > s.start then
      s.start, s.x = index, s.x - permits
    end
  end

  local function push(s, cost, now)
    local at = max(s.y, now)
    s.x, s.y = s.x + cost, at
    s:push(at, cost)
    return at
  end

  local function find(s, cost, at)
    local index = s:first_not(s.start, function(other)
      return other < at
    end)
    while index < s.count do
      local other, permits = s:at(index)
      if other ~= at then
        return nil
      elseif permits == cost then
        return index
      end
      index = index + 1
    end
    return nil
  end

  local function take_out(s, cost, at)
    local index = find(s, cost, at)
    if index then
      s:remove(index, 0)
      s.x = s.x - cost
    end
    return index ~= nil
  end

  local function end_of_lease(p, at)
    return p[2] > 0 and plus(at, p[2]) or END
  end

  function kind.new_at(p, s)
    local youngest = s:last()
    return youngest and end_of_lease(p, youngest) or 0
  end

  local function standing(p, s, outcome, x, y, used, now)
    return decision(outcome, x, y, p[1], minus(p[1], used), max(kind.new_at(p, s), now))
  end

  function kind.take(p, s, now, cost, queued, dry)
    local used = in_use(p, s, now)
    if cost == 0 then
      return standing(p, s, GRANTED, 0, now, used, now)
    elseif cost > p[1] then
      return standing(p, s, NEVER, 0, 0, used, now)
    end
    local missing = minus(used + cost, p[1])
    if missing > 0 then
      return standing(p, s, IN_USE, freed(p, s, missing, now), 0, used, now)
    end
    local at = max(s.y, now)
    local answer = standing(p, s, GRANTED, cost, at, used, now)
    answer.full_at = max(answer.full_at, end_of_lease(p, at))
    answer.remaining = answer.remaining - cost
    if not dry then
      forget(p, s, now)
      push(s, cost, now)
    end
    return answer
  end

  local function after(p, s, now, cost, at)
    return standing(p, s, GRANTED, cost, at, in_use(p, s, now), now)
  end

  function kind.renew(p, s, now, cost, at)
    -- Without a lease nothing begins anew.
    if cost == 0 or p[2] == 0 and find(s, cost, at) then
      return after(p, s, now, cost, at)
    elseif not has_ended(p, at, now) and take_out(s, cost, at) then
      -- Nobody else can have these permits, so it keeps them, also above the capacity.
      local renewed = push(s, cost, now)
      return after(p, s, now, cost, renewed)
    end
    -- Its lease has ended. Its permits are anybody's, so it gets them if anybody would.
    return kind.take(p, s, now, cost, true, false)
  end

  -- Gone already, it lost its lease: what others hold is theirs.
  function kind.give_back(p, s, now, cost, at)
    take_out(s, cost, at)
    return after(p, s, now, cost, at)
  end
  kind.finish = kind.give_back

  function kind.charge(p, s, now, cost)
    local at = now
    if cost > 0 then
      forget(p, s, now)
      at = push(s, cost, now)
    end
    return after(p, s, now, cost, at)
  end

  return kind
end
