-- Parameters: permits. State: how many are spent.
function algorithms.quota()
  local kind = fields('q', 1)

  function kind.new_at(p, s)
    return s[1] == 0 and 0 or END
  end

  local function standing(p, outcome, x, y, used, now)
    return decision(outcome, x, y, p[1], minus(p[1], used), used == 0 and now or END)
  end

  function kind.take(p, s, now, cost, queued, dry)
    if cost > p[1] then
      return standing(p, NEVER, 0, 0, s[1], now)
    elseif cost > 0 and cost > minus(p[1], s[1]) then
      return standing(p, EXHAUSTED, 0, 0, s[1], now)
    end
    local used = s[1] + cost
    if not dry then s[1] = used end
    return standing(p, GRANTED, cost, now, used, now)
  end

  function kind.renew(p, s, now, cost, at)
    return standing(p, GRANTED, cost, at, s[1], now)
  end
  kind.finish = kind.renew

  function kind.charge(p, s, now, cost)
    s[1] = plus(s[1], cost)
    return standing(p, GRANTED, cost, now, s[1], now)
  end

  function kind.give_back(p, s, now, cost, at)
    s[1] = minus(s[1], cost)
    return standing(p, GRANTED, cost, at, s[1], now)
  end

  return kind
end
