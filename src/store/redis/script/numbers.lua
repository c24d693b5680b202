-- Instants are microseconds of the server's clock and, like all numbers here, whole: they are
-- exact up to 2^53, which is the year 2255. What would be beyond that never comes.
local END = 9007199254740992
-- The longest time that the permits of one call may take by some algorithms, 250 years.
local LONGEST = 7884000000000000
local GRANTED, LATER, IN_USE, EXHAUSTED, NEVER = 0, 1, 2, 3, 4
local min, max, floor = math.min, math.max, math.floor
-- What makes each algorithm, when a batch needs it: making all of them takes longer than most batches.
local algorithms = {}

-- A number as text: by itself it would be written with 14 digits.
local function text(number)
  return string.format('%.0f', number)
end

local function plus(a, b)
  return min(a + b, END)
end

local function minus(a, b)
  return max(a - b, 0)
end

local function times(a, b)
  return min(a * b, END)
end

local function divide_up(a, b)
  local quotient = floor(a / b)
  return quotient * b < a and quotient + 1 or quotient
end

-- The whole part of a * b / c and whether there is a rest, for b <= c. The product may have more
-- digits than a number keeps, so it is made bit by bit then.
local function ratio(a, b, c)
  if a * b < END then
    local quotient = floor(a * b / c)
    return quotient, quotient * c < a * b
  end
  local quotient, rest, bit = 0, 0, 4503599627370496
  while bit >= 1 do
    quotient, rest = 2 * quotient, 2 * rest
    if a >= bit then
      a, rest = a - bit, rest + b
    end
    while rest >= c do
      quotient, rest = quotient + 1, rest - c
    end
    bit = bit / 2
  end
  return quotient, rest > 0
end

-- How much of the time that permits take is left when they are given back.
local function left_of(cost, at, interval, now)
  return minus(times(interval, cost), minus(now, at))
end

-- The end of permits that are taken one after another, an interval each, when the interval changes:
-- those still to come take the new one, on from the last tick.
local function rescale(ends, before, after, now)
  if ends <= now then
    return ends
  end
  local outstanding = divide_up(ends - now, before)
  return max(plus(ends - before * outstanding, times(after, outstanding)), now)
end

-- Takes over a state of two numbers: the end of permits, and the interval.
local function carry_interval(p, s, now)
  if s[2] > 0 and s[2] ~= p[1] then
    s[1] = rescale(s[1], s[2], p[1], now)
  end
  s[2] = p[1]
end

-- The answer of an algorithm: instants are absolute.
local function decision(outcome, x, y, limit, remaining, full_at)
  return {
    outcome = outcome, x = x, y = y,
    limit = limit, remaining = remaining, full_at = full_at, rate = 0,
  }
end

-- What algorithms keep that have no log: so many numbers, as text.
local function fields(letter, count)
  local kind = { letter = letter }
  function kind.fresh()
    local state = {}
    for i = 1, count do state[i] = 0 end
    return state
  end
  function kind.load(key)
    local raw = redis.call('get', key)
    if not raw or string.sub(raw, 1, 1) ~= letter then
      return nil, raw
    end
    local state, i = {}, 0
    for number in string.gmatch(string.sub(raw, 2), '%S+') do
      i = i + 1
      state[i] = tonumber(number)
    end
    local free = {}
    for at = count + 2, i, 2 do
      free[#free + 1] = { at = state[at], cost = state[at + 1] }
    end
    return state, raw, state[count + 1], free
  end
  function kind.save(record, life)
    local state, written = record.state, { letter .. text(record.state[1]) }
    for i = 2, count do written[i] = text(state[i]) end
    if record.ahead > 0 then
      written[count + 1] = text(record.ahead)
      for _, grant in ipairs(record.free) do
        written[#written + 1] = text(grant.at)
        written[#written + 1] = text(grant.cost)
      end
    end
    local value = table.concat(written, ' ')
    if value == record.raw then
      return
    elseif life then
      redis.call('set', record.key, value, 'PX', life)
    else
      redis.call('set', record.key, value)
    end
  end
  return kind
end
