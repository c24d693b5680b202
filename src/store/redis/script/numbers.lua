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
  return a > b and a - b or 0
end

-- How long it is until then, or -1 where that never comes.
local function span(instant)
  return instant >= END and -1 or minus(instant, now)
end

-- Whether what is kept until an instant is kept long enough, and not too long, to be there until another.
local function lives_on(kept, ends)
  return kept >= ends and kept <= kept_until(ends)
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
-- come the instant of the last reservation, until when the record is kept and, for each free slot, two
-- more.
local function fields(letter, count)
  local kind = {}
  local format = '<' .. string.rep('d', count + 2)

  function kind.fresh()
    local state = {}
    for i = 1, count + 2 do state[i] = 0 end
    return state
  end

  function kind.load(key)
    local raw = call('get', key)
    if not raw or string.sub(raw, 1, 1) ~= letter then
      return nil, raw
    end
    local state, free = { read(format, raw, 2) }, {}
    for at = state[count + 3], #raw, 16 do
      local grant = {}
      grant.at, grant.cost = read('<dd', raw, at)
      free[#free + 1] = grant
    end
    return state, raw, state[count + 1], free
  end

  function kind.save(record, ends)
    local state, raw = record.state, record.raw
    local is_kept = lives_on(state[count + 2], ends)
    if not is_kept then
      state[count + 2] = kept_until(ends)
    end
    state[count + 1] = record.ahead
    local value = letter .. pack(format, unpack(state, 1, count + 2))
    for _, grant in ipairs(record.free) do
      value = value .. pack('<dd', grant.at, grant.cost)
    end
    if value == raw then
      return
    elseif is_kept and #value == #raw then
      call('setrange', record.key, '0', value)
    else
      put(record.key, value, state[count + 2])
    end
  end

  return kind
end
