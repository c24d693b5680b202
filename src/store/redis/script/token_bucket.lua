-- Parameters: period, permits that arrive in it, capacity, permits missing at first, whether the grid
-- is fixed, its first instant. State: permits missing at the last tick, those of them taken after
-- it, the tick; and, once anybody has asked, the capacity and the interval of the limit that left it.
local function bucket(letter)
  local kind = fields(letter, 5)

  -- How many nanoseconds a permit takes.
  local function interval(p)
    local whole = floor(p[1] / p[2])
    return 1000 * whole + divide_up(1000 * (p[1] - whole * p[2]), p[2])
  end

  -- How many instants of a fixed grid have come.
  local function come(p, now)
    return now < p[6] and 0 or floor((now - p[6]) / p[1]) + 1
  end

  -- How many ticks come after one, up to and with now.
  local function passed(p, tick, now)
    if p[5] == 1 then
      return minus(come(p, now), come(p, tick))
    end
    return floor(minus(now, tick) / p[1])
  end

  -- The tick to count from when nothing is counted yet.
  local function begin(p, now)
    if p[5] == 0 then
      return now
    end
    local instants = come(p, now)
    return instants == 0 and 0 or p[6] + (instants - 1) * p[1]
  end

  local function last(p, tick, now)
    if p[5] == 1 then
      return max(begin(p, now), tick)
    end
    return tick + passed(p, tick, now) * p[1]
  end

  -- When so many permits, one at least, will have arrived.
  local function full_at(p, s, permits)
    local ticks, from = divide_up(permits, p[2]), s[3]
    if p[5] == 1 then
      ticks, from = come(p, from) + ticks - 1, p[6]
    end
    return plus(from, times(p[1], ticks))
  end

  -- The state with what has arrived until now.
  local function current(p, s, now)
    if s[4] == 0 then
      return { p[4], 0, begin(p, now), p[3], interval(p) }
    end
    local ticks = passed(p, s[3], now)
    local missing = minus(s[1], times(ticks, p[2]))
    if missing == 0 then
      return { 0, 0, begin(p, now), s[4], s[5] }
    elseif ticks == 0 then
      return { s[1], s[2], s[3], s[4], s[5] }
    end
    return { missing, 0, last(p, s[3], now), s[4], s[5] }
  end

  local function keep(s, now)
    s[1], s[2], s[3], s[4], s[5] = now[1], now[2], now[3], now[4], now[5]
  end

  function kind.is_of_another(p, s)
    return s[4] > 0 and (s[4] ~= p[3] or s[5] ~= interval(p))
  end

  -- What has arrived is counted by this limit. No more is missing than it holds.
  function kind.adopt(p, s, now)
    keep(s, current(p, s, now))
    s[1] = min(s[1], p[3])
    s[2], s[4], s[5] = min(s[2], s[1]), p[3], interval(p)
  end

  local function standing(p, outcome, x, y, s, now)
    local full = s[1] == 0 and now or max(full_at(p, s, s[1]), now)
    return decision(outcome, x, y, p[3], minus(p[3], s[1]), full)
  end

  local function charge(s, cost, now)
    s[1] = plus(s[1], cost)
    if now > s[3] then
      s[2] = plus(s[2], cost)
    end
  end

  function kind.new_at(p, s)
    if s[4] == 0 then
      return 0
    elseif p[4] > 0 then
      return END
    end
    return s[1] == 0 and 0 or full_at(p, s, s[1])
  end

  function kind.take(p, s, now, cost, queued, dry)
    local state = current(p, s, now)
    if cost > p[3] then
      return standing(p, NEVER, 0, 0, state, now)
    elseif cost == 0 then
      return standing(p, GRANTED, 0, now, state, now)
    end
    local missing = plus(state[1], cost)
    local lacking = minus(missing, p[3])
    local at = full_at(p, state, lacking == 0 and missing or lacking)
    if lacking > 0 or at >= END then
      -- The wait counts from the first call: it has to be remembered.
      if s[4] == 0 and not dry then keep(s, state) end
      return standing(p, LATER, lacking > 0 and at or END, 0, state, now)
    end
    charge(state, cost, now)
    if not dry then keep(s, state) end
    return standing(p, GRANTED, cost, now, state, now)
  end

  function kind.renew(p, s, now, cost, at)
    return standing(p, GRANTED, cost, at, current(p, s, now), now)
  end
  kind.finish = kind.renew

  function kind.charge(p, s, now, cost)
    if cost > 0 then
      keep(s, current(p, s, now))
      charge(s, cost, now)
    end
    return standing(p, GRANTED, cost, now, current(p, s, now), now)
  end

  -- Puts back what has not arrived since it was taken.
  function kind.give_back(p, s, now, cost, at)
    if s[4] > 0 and cost > 0 then
      keep(s, current(p, s, now))
      local ticks = p[5] == 1 and passed(p, at, s[3]) or divide_up(minus(s[3], at), p[1])
      local back = min(minus(cost, times(ticks, p[2])), s[1])
      s[1] = s[1] - back
      if at > s[3] then
        s[2] = minus(s[2], back)
      end
      -- Those left found a full bucket, as it turns out: the first of them would have begun the
      -- grid. The state does not know when it came, but it was not after now.
      if s[1] > 0 and s[2] >= s[1] and p[5] == 0 then
        s[2], s[3] = 0, max(now, s[3])
      end
    end
    return standing(p, GRANTED, cost, at, current(p, s, now), now)
  end

  return kind
end

function algorithms.token_bucket()
  return bucket('t')
end

function algorithms.fixed_window()
  return bucket('f')
end
