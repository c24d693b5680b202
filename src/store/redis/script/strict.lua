-- Parameters: interval. State: the next free slot, and the interval of the limit that left it.
function algorithms.strict()
  local kind = fields('s', 2)

  function kind.is_of_another(p, s)
    return s[2] ~= p[1]
  end

  function kind.adopt(p, s, now)
    s[1], s[2] = rescale(s[1], s[2], p[1], now), p[1]
  end

  local function standing(outcome, x, y, next, now)
    return decision(outcome, x, y, 1, next <= now and 1 or 0, max(next, now))
  end

  function kind.new_at(p, s)
    return s[1]
  end

  function kind.take(p, s, now, cost, queued, dry)
    local slot = p[1] * cost
    if slot > LONGEST then
      return standing(NEVER, 0, 0, s[1], now)
    elseif cost == 0 then
      return standing(GRANTED, 0, now, s[1], now)
    elseif s[1] > now then
      return standing(LATER, s[1], 0, s[1], now)
    elseif now + slot > END then
      return standing(LATER, END, 0, s[1], now)
    end
    if not dry then s[1] = now + slot end
    return standing(GRANTED, cost, now, now + slot, now)
  end

  -- The gap counts from the call itself, and a debt made meanwhile from the gap.
  function kind.renew(p, s, now, cost, at)
    local renewed = max(at, now)
    if cost > 0 then
      s[1] = max(plus(s[1], renewed - at), plus(renewed, times(p[1], cost)))
    end
    return standing(GRANTED, cost, renewed, s[1], now)
  end

  function kind.finish(p, s, now, cost, at)
    return standing(GRANTED, cost, at, s[1], now)
  end

  function kind.charge(p, s, now, cost)
    if cost > 0 then
      s[1] = plus(max(s[1], now), times(p[1], cost))
    end
    return standing(GRANTED, cost, now, s[1], now)
  end

  function kind.give_back(p, s, now, cost, at)
    s[1] = minus(s[1], left_of(cost, at, p[1], now))
    return standing(GRANTED, cost, at, s[1], now)
  end

  return kind
end
