-- Parameters: permits, period. State: a log of those that have ended, and the call that runs: its
-- cost (x), which is 0 when there is none, and its instant (y).
function algorithms.serialized()
  local kind = log('r', make_window_log())

  function kind.new_at(p, s)
    return s.x > 0 and END or s:empty_at(p[2])
  end

  local function standing(p, s, outcome, x, y, now)
    local remaining = s.x > 0 and 0 or minus(p[1], s:window(p[2], now).used)
    return decision(outcome, x, y, p[1], remaining, max(kind.new_at(p, s), now))
  end

  function kind.take(p, s, now, cost, queued, dry)
    if cost == 0 then
      return standing(p, s, GRANTED, 0, now, now)
    elseif cost > p[1] then
      return standing(p, s, NEVER, 0, 0, now)
    elseif s.x > 0 then
      return standing(p, s, IN_USE, nil, 0, now)
    end
    local window = s:window(p[2], now)
    local missing = minus(window.used + cost, p[1])
    if missing > 0 then
      return standing(p, s, LATER, s:freed(window, missing, now), 0, now)
    end
    local at = s:latest(now)
    local answer = standing(p, s, GRANTED, cost, at, now)
    answer.remaining, answer.full_at = 0, END
    if not dry then
      s.x, s.y = cost, at
    end
    return answer
  end

  local function is_running(s, cost, at)
    return s.x > 0 and s.x == cost and s.y == at
  end

  local function complete(p, s, cost, now)
    local at = s:latest(now)
    s:forget(p[2], now)
    s:write(cost, at)
    s:forget_beyond(p[1])
    return at
  end

  function kind.renew(p, s, now, cost, at)
    if not is_running(s, cost, at) then
      -- It was lost, and its turn is anybody's.
      return kind.take(p, s, now, cost, true, false)
    end
    s.y = max(at, now)
    return standing(p, s, GRANTED, cost, s.y, now)
  end

  function kind.give_back(p, s, now, cost, at)
    if is_running(s, cost, at) then
      s.x, s.y = 0, 0
    end
    return standing(p, s, GRANTED, cost, at, now)
  end

  function kind.finish(p, s, now, cost, at)
    if is_running(s, cost, at) then
      s.x, s.y = 0, 0
      -- It ends no earlier than it began, whatever the clock says.
      complete(p, s, cost, max(at, now))
    end
    return standing(p, s, GRANTED, cost, at, now)
  end

  function kind.charge(p, s, now, cost)
    local at = now
    if cost > 0 then
      at = complete(p, s, cost, now)
    end
    return standing(p, s, GRANTED, cost, at, now)
  end

  return kind
end
