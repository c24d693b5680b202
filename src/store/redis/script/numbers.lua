-- Instants are microseconds of the server's clock and, like all numbers here, whole: they are
-- exact up to 2^53, which is the year 2255. What would be beyond that never comes.
local END = 9007199254740992
-- The longest time that the permits of one call may take by some algorithms, 250 years.
local LONGEST = 7884000000000000
local GRANTED, LATER, IN_USE, EXHAUSTED, NEVER = 0, 1, 2, 3, 4
-- What is asked.
local GROUP, TAKE, PEEK, RENEW, GIVE_BACK = 0, 1, 2, 3, 4
local FINISH, CHARGE, RESERVE, RETURN, FORGET = 5, 6, 7, 8, 9
local min, max, floor = math.min, math.max, math.floor
local pack, call = struct.pack, redis.call
-- What makes each algorithm, when a batch needs it: making all of them takes longer than most batches.
local algorithms = {}

-- A number as text: by itself it would be written with 14 digits, or slowly.
local function text(number)
  return string.format('%d', number)
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

-- Takes over a state of two numbers: the end of permits, and the interval. Whether that one is
-- another.
local function carry_interval(p, s, now)
  local is_changed = s[2] > 0 and s[2] ~= p[1]
  if is_changed then
    s[1] = rescale(s[1], s[2], p[1], now)
  end
  s[2] = p[1]
  return is_changed
end

-- The answer of an algorithm: instants are absolute. There is one at a time, as a table for each
-- would take as long as the rest.
local answer = {
  outcome = 0, x = 0, y = 0, limit = 0, remaining = 0, full_at = 0, rate = 0, wait = 0,
}

local function decision(outcome, x, y, limit, remaining, full_at)
  answer.outcome, answer.x, answer.y = outcome, x, y
  answer.limit, answer.remaining, answer.full_at = limit, remaining, full_at
  answer.rate, answer.wait = 0, 0
  return answer
end

-- What algorithms keep that have no log: a letter and eight-byte numbers. So many are the state's; then
-- comes the instant of the last reservation and, for each free slot, two more.
local function fields(letter, count)
  local kind = { letter = letter }
  local format = '<' .. string.rep('d', count + 1)

  function kind.fresh()
    local state = {}
    for i = 1, count do state[i] = 0 end
    return state
  end

  function kind.load(key)
    local raw = call('get', key)
    if not raw or string.sub(raw, 1, 1) ~= letter then
      return nil, raw
    end
    local state, free = { struct.unpack(format, raw, 2) }, {}
    for at = state[count + 2], #raw, 16 do
      local grant = {}
      grant.at, grant.cost = struct.unpack('<dd', raw, at)
      free[#free + 1] = grant
    end
    return state, raw, state[count + 1], free
  end

  function kind.save(record, life)
    local state = record.state
    state[count + 1] = record.ahead
    local value = letter .. pack(format, unpack(state, 1, count + 1))
    for _, grant in ipairs(record.free) do
      value = value .. pack('<dd', grant.at, grant.cost)
    end
    if value == record.raw then
      return
    elseif life then
      call('psetex', record.key, life, value)
    else
      call('set', record.key, value)
    end
  end

  return kind
end
