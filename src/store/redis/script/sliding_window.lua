-- Parameters: permits and period of each rate, by growing period. State: a log.
function algorithms.sliding_window()
  local kind = log('w', make_window_log())

  local function longest(p)
    return p[#p]
  end

  function kind.new_at(p, s)
    return s:empty_at(longest(p))
  end

  -- How the log stands, and whether a call would fit into all windows.
  local function look(p, s, now, cost)
    local outcome, x, y = GRANTED, cost, s:latest(now)
    local rate, limit, least = 0, END, END
    for i = 1, #p, 2 do
      local window = s:window(p[i + 1], now)
      local remaining = minus(p[i], window.used)
      local missing = cost > 0 and minus(window.used + cost, p[i]) or 0
      local refused, until_then = GRANTED, 0
      if cost > p[i] then
        refused = NEVER
      elseif missing > 0 then
        refused, until_then = LATER, s:freed(window, missing, now)
      end
      -- The first failing rate is the one named, the wait is the longest of all.
      if outcome == GRANTED and refused ~= GRANTED then
        outcome, x, y = refused, until_then, 0
        rate, limit, least = (i - 1) / 2, p[i], remaining
      elseif outcome == LATER and refused == LATER then
        x = max(x, until_then)
      elseif outcome == GRANTED and remaining < least then
        rate, limit, least = (i - 1) / 2, p[i], remaining
      end
    end
    local answer = decision(outcome, x, y, limit, least, max(kind.new_at(p, s), now))
    answer.rate = rate
    return answer
  end

  function kind.take(p, s, now, cost, queued, dry)
    local answer = look(p, s, now, cost)
    if answer.outcome == GRANTED and cost > 0 then
      answer.remaining = answer.remaining - cost
      answer.full_at = plus(answer.y, longest(p))
      if not dry then
        s:forget(longest(p), now)
        s:write(cost, answer.y)
      end
    end
    return answer
  end

  local function after(p, s, now, cost, at)
    local answer = look(p, s, now, 0)
    answer.x, answer.y = cost, at
    return answer
  end

  function kind.renew(p, s, now, cost, at)
    -- What has left the log is gone, whether it was forgotten yet or not.
    if now > at and minus(now, at) < longest(p) and s:take_out(cost, at) then
      at = s:latest(now)
      s:write(cost, at)
    end
    return after(p, s, now, cost, at)
  end

  function kind.finish(p, s, now, cost, at)
    return after(p, s, now, cost, at)
  end

  function kind.charge(p, s, now, cost)
    local at = s:latest(now)
    if cost > 0 then
      s:forget(longest(p), now)
      s:write(cost, at)
    end
    return after(p, s, now, cost, at)
  end

  function kind.give_back(p, s, now, cost, at)
    s:take_out(cost, at)
    return after(p, s, now, cost, at)
  end

  return kind
end
