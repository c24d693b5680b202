-- A log of calls with, beside each, how many permits were taken up to and with it: a running sum, so
-- that the permits between any two calls are one subtraction.
local function make_window_log()
  local Log = make_log()

  function Log:total_before(index)
    if index <= self.start then
      return self.before
    end
    local _, total = self:at(index - 1)
    return total
  end

  function Log:total()
    return self:total_before(self.count)
  end

  -- The part of the log that one rate looks at.
  function Log:window(period, now)
    local start = self:younger(period, now)
    local before = self:total_before(start)
    return { period = period, start = start, before = before, used = self:total() - before }
  end

  -- When so many permits, one at least and in use now, have left the window.
  function Log:freed(window, permits, now)
    local enough = window.before + permits
    local index = self:first_not(window.start, function(_, total)
      return total < enough
    end)
    return index < self.count and plus(self:at(index), window.period) or now
  end

  -- The instant at which a call is written down, never before those already in the log.
  function Log:latest(now)
    return max(self:last() or 0, now)
  end

  function Log:write(cost, at)
    self:push(at, self:total() + cost)
  end

  -- Takes permits out, as if they had never been taken: a call, or a part of one. They may have left the log
  -- already.
  function Log:take_out(cost, at)
    local larger
    local index = self:first_not(self.start, function(other)
      return other < at
    end)
    while index < self.count do
      local other, total = self:at(index)
      local taken = total - self:total_before(index)
      if other ~= at then
        break
      elseif taken == cost then
        self:remove(index, -cost)
        return true
      elseif taken > cost then
        larger = larger or index
      end
      index = index + 1
    end
    if larger then
      local _, total = self:at(larger)
      self:remove(larger, -cost, entry(at, total - cost))
    end
    return larger ~= nil
  end

  function Log:forget_up_to(start)
    if start > self.start then
      self.before, self.start = self:total_before(start), start
    end
  end

  function Log:forget(longest, now)
    self:forget_up_to(self:younger(longest, now))
  end

  -- Forgets the oldest calls as long as the younger ones are so many permits.
  function Log:forget_beyond(permits)
    local total = self:total()
    self:forget_up_to(self:first_not(self.start, function(_, up_to)
      return total - up_to >= permits
    end))
  end

  function Log:empty_at(period)
    local last = self:last()
    return last and plus(last, period) or 0
  end

  return Log
end
