-- Parameters: permits, period. State: where the window begins that is counted now, the permits taken
-- in it, those taken in the window before.
function algorithms.sliding_window_counter()
  local kind = fields('c', 3)

  -- The counters of the window of now; of the latest one, if the clock was set back.
  local function roll(p, s, now)
    local start = floor(now / p[2]) * p[2]
    local passed = floor((start - s[1]) / p[2])
    if s[2] == 0 and s[3] == 0 then
      return { start, 0, 0 }
    elseif passed < 1 then
      return { s[1], s[2], s[3] }
    elseif passed == 1 then
      return { start, 0, s[2] }
    end
    return { start, 0, 0 }
  end

  local function keep(s, now)
    s[1], s[2], s[3] = now[1], now[2], now[3]
  end

  -- How many permits the sliding window that ends now holds, as far as one can tell.
  local function estimate(p, s, now)
    local part, rest = ratio(s[3], minus(p[2], minus(now, s[1])), p[2])
    return plus(s[2], rest and part + 1 or part)
  end

  -- How far into the window after one with so many permits there is room for these and more.
  local function faded(p, previous, room)
    if previous <= room then
      return 0
    end
    -- Less than the period, as there are more permits than room.
    return p[2] - (ratio(p[2], room, previous))
  end

  -- When a call fits whose cost is not above the permits.
  local function fits_at(p, s, cost)
    local room = p[1] - cost
    if room >= s[2] then
      local far = faded(p, s[3], room - s[2])
      if far < p[2] then
        return s[1] + far
      end
    end
    -- Counted in this window, it fades in the next one.
    return s[1] + p[2] + faded(p, s[2], room)
  end

  function kind.new_at(p, s)
    if s[2] == 0 then
      return s[3] == 0 and 0 or s[1] + p[2]
    end
    return plus(s[1], 2 * p[2])
  end

  local function standing(p, outcome, x, y, s, now)
    local full_at = max(kind.new_at(p, s), now)
    return decision(outcome, x, y, p[1], minus(p[1], estimate(p, s, now)), full_at)
  end

  function kind.take(p, s, now, cost, queued, dry)
    local rolled = roll(p, s, now)
    if cost == 0 then
      return standing(p, GRANTED, 0, now, rolled, now)
    elseif cost > p[1] then
      return standing(p, NEVER, 0, 0, rolled, now)
    elseif estimate(p, rolled, now) + cost > p[1] then
      local at = fits_at(p, rolled, cost)
      return standing(p, LATER, at > now and at or END, 0, rolled, now)
    end
    rolled[2] = rolled[2] + cost
    if not dry then keep(s, rolled) end
    return standing(p, GRANTED, cost, max(now, rolled[1]), rolled, now)
  end

  function kind.renew(p, s, now, cost, at)
    return standing(p, GRANTED, cost, at, roll(p, s, now), now)
  end
  kind.finish = kind.renew

  function kind.charge(p, s, now, cost)
    local at = now
    if cost > 0 then
      keep(s, roll(p, s, now))
      s[2], at = plus(s[2], cost), max(now, s[1])
    end
    return standing(p, GRANTED, cost, at, roll(p, s, now), now)
  end

  function kind.give_back(p, s, now, cost, at)
    if cost > 0 then
      keep(s, roll(p, s, now))
      if at >= s[1] then
        s[2] = minus(s[2], cost)
      elseif at >= minus(s[1], p[2]) then
        s[3] = minus(s[3], cost)
      end
    end
    return standing(p, GRANTED, cost, at, roll(p, s, now), now)
  end

  return kind
end
