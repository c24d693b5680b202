-- Parameters: permits, period, lease or 0. State: a log of those that have ended, and the call that
-- runs: its cost (x), which is 0 when there is none, and its instant (y).
function algorithms.serialized()
  local kind = log('r', make_window_log())

  -- When a call that began at this instant has ended though nobody ended it, if it ever has.
  local function completed_at(p, s, at)
    local lease = p[3] or 0
    return lease > 0 and at + lease < END and s:latest(at + lease) or nil
  end

  -- The completion that those behind the call that runs wait for, an instant and its permits; no
  -- instant when only its end helps.
  local function ending(p, s)
    if s.x == 0 then
      return 0, 0
    end
    return completed_at(p, s, s.y), s.x
  end

  -- How many permits of this window are in use, with those of a call that nobody ends.
  local function in_use(p, window, at, cost, now)
    return window.used + (minus(now, at) < p[2] and cost or 0)
  end

  function kind.new_at(p, s)
    if s.x == 0 then
      return s:empty_at(p[2])
    end
    local at = ending(p, s)
    return at and plus(at, p[2]) or END
  end

  local function standing(p, s, outcome, x, y, now)
    local at, cost = ending(p, s)
    local remaining = 0
    if at and at <= now then
      remaining = minus(p[1], in_use(p, s:window(p[2], now), at, cost, now))
    end
    return decision(outcome, x, y, p[1], remaining, max(kind.new_at(p, s), now))
  end

  local function complete(p, s, cost, now)
    local at = s:latest(now)
    s:forget(p[2], now)
    s:write(cost, at)
    s:forget_beyond(p[1])
    return at
  end

  -- When the call ended that nobody ended while it had its lease.
  local function lost_at(p, s, now)
    local at = ending(p, s)
    return s.x > 0 and at and at <= now and at or nil
  end

  -- Writes it down, as something new is about to be.
  local function complete_lost(p, s, now)
    local at, cost = lost_at(p, s, now), s.x
    if at then
      s.x, s.y = 0, 0
      complete(p, s, cost, at)
    end
  end

  function kind.take(p, s, now, cost, queued, dry)
    if cost == 0 then
      return standing(p, s, GRANTED, 0, now, now)
    elseif cost > p[1] then
      return standing(p, s, NEVER, 0, 0, now)
    end
    local ends, running = ending(p, s)
    if not ends then
      return standing(p, s, IN_USE, nil, 0, now)
    end
    local window = s:window(p[2], now)
    local missing = minus(in_use(p, window, ends, running, now) + cost, p[1])
    local free_at = ends
    if missing > window.used then
      free_at = plus(ends, p[2])
    elseif missing > 0 then
      free_at = max(ends, s:freed(window, missing, now))
    end
    if ends > now then
      return standing(p, s, IN_USE, free_at, 0, now)
    elseif missing > 0 then
      return standing(p, s, LATER, free_at, 0, now)
    end
    local at = s:latest(now)
    local answer = standing(p, s, GRANTED, cost, at, now)
    local completed = completed_at(p, s, at)
    answer.remaining = 0
    answer.full_at = completed and max(plus(completed, p[2]), now) or END
    if not dry then
      complete_lost(p, s, now)
      s.x, s.y = cost, at
    end
    return answer
  end

  local function is_running(s, cost, at)
    return s.x > 0 and s.x == cost and s.y == at
  end

  -- The call goes on, also when its lease has ended and nobody has noticed.
  function kind.renew(p, s, now, cost, at)
    local lost = lost_at(p, s, now)
    -- By then all that is known of it may have been forgotten.
    local is_new = lost and minus(now, lost) >= p[2]
    if is_new or not is_running(s, cost, at) then
      -- It was lost, and its turn is anybody's.
      return kind.take(p, s, now, cost, true, false)
    end
    -- Without a lease nothing begins anew.
    s.y = (p[3] or 0) > 0 and max(at, now) or at
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
      -- It ends no earlier than it began, whatever the clock says.
      local ends = lost_at(p, s, now) or max(at, now)
      s.x, s.y = 0, 0
      complete(p, s, cost, ends)
    end
    return standing(p, s, GRANTED, cost, at, now)
  end

  function kind.charge(p, s, now, cost)
    local at = now
    if cost > 0 then
      complete_lost(p, s, now)
      at = complete(p, s, cost, now)
    end
    return standing(p, s, GRANTED, cost, at, now)
  end

  return kind
end
