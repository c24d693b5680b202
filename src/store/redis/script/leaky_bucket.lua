-- Parameters: interval, capacity. State: when the bucket is empty, and the interval.
function algorithms.leaky_bucket()
  local kind = fields('l', 2)
  kind.carry_over = carry_interval

  local function standing(p, outcome, x, y, empty_at, now)
    local filled = minus(empty_at, now)
    local remaining = floor(minus(p[1] * p[2], filled) / p[1])
    return decision(outcome, x, y, p[2], remaining, now + filled)
  end

  function kind.new_at(p, s)
    return s[1]
  end

  function kind.take(p, s, now, cost, queued, dry)
    if cost > p[2] then
      return standing(p, NEVER, 0, 0, s[1], now)
    end
    local depth = p[1] * p[2]
    local filled = max(s[1], now) + p[1] * cost
    if filled > END then
      return standing(p, LATER, END, 0, s[1], now)
    elseif cost == 0 then
      return standing(p, GRANTED, 0, now, s[1], now)
    elseif filled - now > depth then
      return standing(p, LATER, filled - depth, 0, s[1], now)
    end
    if not dry then s[1] = filled end
    return standing(p, GRANTED, cost, now, filled, now)
  end

  function kind.renew(p, s, now, cost, at)
    return standing(p, GRANTED, cost, at, s[1], now)
  end
  kind.finish = kind.renew

  function kind.charge(p, s, now, cost)
    if cost > 0 then
      s[1] = plus(max(s[1], now), times(p[1], cost))
    end
    return standing(p, GRANTED, cost, now, s[1], now)
  end

  function kind.give_back(p, s, now, cost, at)
    s[1] = minus(s[1], left_of(cost, at, p[1], now))
    return standing(p, GRANTED, cost, at, s[1], now)
  end

  return kind
end
