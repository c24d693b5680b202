-- What algorithms keep that need a log: a header of eight-byte numbers and, behind it, two such
-- numbers for each call, oldest first, and then for each free slot. Of a long log only the ends are
-- read and written.
local HEADER, ENTRY, FEW = 57, 16, 64
local BEGINNING = text(HEADER + FEW * ENTRY - 1)

local function entry(a, b)
  return pack('<dd', a, b)
end

local function make_log()
  local Log = {}
  Log.__index = Log

  -- When the call of this index took place, counted from zero, and the number kept beside it.
  function Log:at(index)
    if index >= self.kept then
      return struct.unpack('<dd', self.tail, (index - self.kept) * ENTRY + 1)
    end
    return struct.unpack('<dd', self:raw(index, index + 1))
  end

  -- The bytes of the calls in the database from one index up to another.
  function Log:raw(from, to)
    if from >= to then
      return ''
    end
    local first = HEADER + from * ENTRY
    return call('getrange', self.key, text(first), text(HEADER + to * ENTRY - 1))
  end

  -- The first index from this one on of which something does not hold; it holds of all before it.
  function Log:first_not(low, holds)
    local high, step = low, 1
    while high < self.count and holds(self:at(high)) do
      low, high, step = high + 1, high + step, 2 * step
    end
    high = min(high, self.count)
    while low < high do
      local middle = floor((low + high) / 2)
      if holds(self:at(middle)) then
        low = middle + 1
      else
        high = middle
      end
    end
    return low
  end

  -- The first call that is younger than this.
  function Log:younger(length, now)
    return self:first_not(self.start, function(at)
      return minus(now, at) >= length
    end)
  end

  function Log:push(at, number)
    self.tail = self.tail .. entry(at, number)
    self.count = self.count + 1
  end

  -- Takes a call out, unless this is what stays of it, and adds so much to the numbers of those behind it.
  function Log:remove(index, more, stays)
    if index < self.kept then
      self.tail = self:raw(index, self.kept) .. self.tail
      self.kept = index
    end
    local offset = (index - self.kept) * ENTRY
    local behind = string.sub(self.tail, offset + ENTRY + 1)
    if more ~= 0 then
      local moved = {}
      for i = 0, #behind / ENTRY - 1 do
        local at, number = struct.unpack('<dd', behind, i * ENTRY + 1)
        moved[i + 1] = entry(at, number + more)
      end
      behind = table.concat(moved)
    end
    self.tail = string.sub(self.tail, 1, offset) .. (stays or '') .. behind
    self.count = self.count - (stays and 0 or 1)
  end

  -- When the last call took place; nothing without one.
  function Log:last()
    if self.count > self.start then
      return (self:at(self.count - 1))
    end
  end

  return Log
end

local function log(letter, Log)
  local kind = {}

  -- Two numbers are for the algorithm, x and y.
  function kind.fresh(key)
    local state = { start = 0, count = 0, before = 0, x = 0, y = 0, kept = 0, tail = '' }
    state.key = key
    return setmetatable(state, Log)
  end

  function kind.load(key)
    local raw = call('getrange', key, '0', BEGINNING)
    if string.sub(raw, 1, 1) ~= letter then
      return nil, raw ~= ''
    end
    local state, ahead, slots = kind.fresh(key)
    state.start, state.count, state.before, state.x, state.y, ahead, slots =
      struct.unpack('<ddddddd', raw, 2)
    local free = {}
    state.kept = state.count + slots
    for i = 0, slots - 1 do
      local at, cost = state:at(state.count + i)
      free[i + 1] = { at = at, cost = cost }
    end
    state.kept = state.count
    if state.count <= FEW then
      state.kept, state.tail = 0, string.sub(raw, HEADER + 1, HEADER + state.count * ENTRY)
    end
    return state, true, ahead, free
  end

  local function header(s, record)
    return letter .. pack('<ddddddd', s.start, s.count, s.before, s.x, s.y,
      record.ahead, #record.free)
  end

  local function free_slots(record)
    local slots = {}
    for i, grant in ipairs(record.free) do
      slots[i] = entry(grant.at, grant.cost)
    end
    return table.concat(slots)
  end

  function kind.save(record, ends)
    local s, key = record.state, record.key
    -- Those that are forgotten go when they are more than those that are not.
    if s.kept > 0 and s.start > FEW and 2 * s.start > s.count then
      s.tail = s:raw(min(s.start, s.kept), s.kept) .. s.tail
      s.kept = min(s.start, s.kept)
      s.tail = string.sub(s.tail, (s.start - s.kept) * ENTRY + 1)
      s.count, s.start, s.kept = s.count - s.start, 0, 0
    elseif s.kept == 0 then
      s.tail = string.sub(s.tail, s.start * ENTRY + 1)
      s.count, s.start = s.count - s.start, 0
    end
    if s.kept == 0 then
      put(key, header(s, record) .. s.tail .. free_slots(record), ends)
      return
    end
    local tail = s.tail .. free_slots(record)
    if tail ~= '' then
      call('setrange', key, text(HEADER + s.kept * ENTRY), tail)
    end
    call('setrange', key, '0', header(s, record))
    local life = life_until(ends)
    if life then
      call('pexpire', key, life)
    else
      call('persist', key)
    end
  end

  return kind
end
