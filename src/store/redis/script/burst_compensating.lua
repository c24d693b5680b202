-- Parameters: interval, the longest burst. State: the next slot of the grid, until when slots in the
-- past may be taken, when the last slots were taken, and the interval of the limit that left it.
function algorithms.burst_compensating()
  local kind = fields('b', 4)

  function kind.new_at(p, s)
    return max(s[1], s[2])
  end

  function kind.is_of_another(p, s)
    return s[4] ~= p[1]
  end

  function kind.adopt(p, s, now)
    local before, after = s[4], p[1]
    if before > 0 then
      local passed = floor(minus(now, s[1]) / before)
      if floor(minus(now, s[1]) / after) > passed then
        -- No more slots have passed than before: a change is not lateness.
        s[1] = now - passed * after
      else
        s[1] = rescale(s[1], before, after, now)
      end
      s[2] = rescale(s[2], before, after, now)
    end
    s[4] = after
  end

  local function standing(p, outcome, x, y, s, now)
    return decision(outcome, x, y, 1, s[1] <= now and 1 or 0, max(s[1], s[2], now))
  end

  -- The slot that a call takes which is let go now.
  local function slot(p, s, now, queued)
    if not queued and now >= s[2] then
      return max(s[1], now)
    end
    local missed = floor(minus(now, s[1]) / p[1])
    return s[1] + minus(missed, p[2] - 1) * p[1]
  end

  function kind.take(p, s, now, cost, queued, dry)
    local length = p[1] * cost
    if length > LONGEST then
      return standing(p, NEVER, 0, 0, s, now)
    elseif cost == 0 then
      return standing(p, GRANTED, 0, now, s, now)
    elseif s[1] > now then
      return standing(p, LATER, s[1], 0, s, now)
    end
    local next = slot(p, s, now, queued) + length
    if next > END then
      return standing(p, LATER, END, 0, s, now)
    end
    local after = dry and {} or s
    after[2] = queued and now > s[1] and now + p[1] or s[2]
    after[1], after[3] = next, now
    return standing(p, GRANTED, cost, now, after, now)
  end

  function kind.renew(p, s, now, cost, at)
    return standing(p, GRANTED, cost, at, s, now)
  end
  kind.finish = kind.renew

  -- Like a call that has just come, but for asking whether there is a slot.
  function kind.charge(p, s, now, cost)
    if cost > 0 then
      s[1], s[3] = plus(slot(p, s, now, false), times(p[1], cost)), now
    end
    return standing(p, GRANTED, cost, now, s, now)
  end

  -- Those let go at the same instant are as good as each other: the last slot of them is free.
  function kind.give_back(p, s, now, cost, at)
    if at == s[3] then
      s[1] = minus(s[1], times(p[1], cost))
    end
    return standing(p, GRANTED, cost, at, s, now)
  end

  return kind
end
