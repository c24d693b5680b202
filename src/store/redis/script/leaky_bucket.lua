-- Parameters: interval, capacity. State: when the bucket is empty, and the interval and the capacity of
-- the limit that left it.
function algorithms.leaky_bucket()
  local kind = fields('l', 3)

  function kind.is_of_another(p, s)
    return s[2] ~= p[1] or s[3] ~= p[2]
  end

  -- No more is in it than it holds.
  function kind.adopt(p, s, now)
    s[1] = min(rescale(s[1], s[2], p[1], now), plus(now, p[1] * p[2]))
    s[2], s[3] = p[1], p[2]
  end

  local function standing(p, outcome, x, y, empty_at, now)
    local remaining = floor(minus(p[1] * p[2], minus(empty_at, now)) / p[1])
    return decision(outcome, x, y, p[2], remaining, max(empty_at, now))
  end

  function kind.new_at(p, s)
    return s[1]
  end

  function kind.take(p, s, now, cost, queued, dry)
    local empty_at, depth = s[1], p[1] * p[2]
    local filled = max(empty_at, now) + p[1] * cost
    if cost > p[2] then
      return standing(p, NEVER, 0, 0, empty_at, now)
    elseif filled > END then
      return standing(p, LATER, END, 0, empty_at, now)
    elseif filled - now > depth and cost > 0 then
      return standing(p, LATER, filled - depth, 0, empty_at, now)
    elseif cost > 0 and not dry then
      s[1] = filled
    end
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
