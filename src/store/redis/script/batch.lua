-- ARGV: the time or nothing; the number of limits and, of each, its kind, the number of its
-- parameters and the parameters; then the orders: a word, which key, which limit, and numbers. Before
-- several that are one group stand `group` and how many they are.
local position = 0

local function word()
  position = position + 1
  return ARGV[position]
end

local function number()
  return tonumber(word())
end

local now, told = number(), true
if not now then
  local time = redis.call('time')
  now, told = tonumber(time[1]) * 1000000 + tonumber(time[2]), false
end

local limits, records, answers = {}, {}, { now }

for i = 1, number() do
  local limit = { kind = algorithms[word()], p = {} }
  for parameter = 1, number() do
    limit.p[parameter] = number()
  end
  limits[i] = limit
end

-- The record of a key as it is now: what equals new is new, and so is what another kind of limit
-- has left behind.
local function record_of(index, limit)
  local record = records[index]
  if not record then
    record = { key = KEYS[index], kind = limit.kind, p = limit.p }
    record.state, record.raw, record.ahead, record.turn = limit.kind.load(record.key)
    record.state = record.state or limit.kind.fresh(record.key)
    record.ahead, record.turn = record.ahead or 0, record.turn or 0
    record.ahead_before, record.turn_before = record.ahead, record.turn
    records[index] = record
  end
  local is_other = record.kind ~= limit.kind
  record.kind, record.p = limit.kind, limit.p
  if is_other or new_at(record) <= now then
    begin_anew(record)
  end
  -- What was reserved stays where it is, and what comes behind it takes the new interval.
  if limit.kind.carry_over then
    limit.kind.carry_over(limit.p, record.state, max(record.ahead, now))
  end
  return record
end

local counts = {
  take = 2, peek = 2, renew = 2, back = 2, finish = 2, charge = 1, reserve = 2, returned = 4,
  forget = 0,
}

local function read_order()
  local order = { name = word(), key = number(), limit = limits[number()] }
  for i = 1, counts[order.name] do
    order[i] = number()
  end
  return order
end

local function decide(order, name)
  local record = record_of(order.key, order.limit)
  return asks[name](record, now, order[1], order[2], order[3], order[4])
end

local function span(instant)
  return instant >= END and -1 or max(instant - now, 0)
end

local function write_answer(answer)
  local x, y = answer.x, answer.y
  if answer.outcome == LATER then
    x = span(x)
  elseif answer.outcome == IN_USE then
    x = x and span(x) or -1
  end
  local from = #answers
  answers[from + 1], answers[from + 2], answers[from + 3] = answer.outcome, x, y
  answers[from + 4], answers[from + 5] = answer.limit, answer.remaining
  answers[from + 6], answers[from + 7] = span(answer.full_at), answer.rate
  answers[from + 8] = answer.wait
  answers[from + 9], answers[from + 10] = answer.turn or -1, answer.after or 0
end

-- Each takes its permits, or none does.
local function decide_together(count)
  local orders, foreseen, all = {}, {}, true
  for i = 1, count do
    orders[i] = read_order()
    foreseen[i] = decide(orders[i], 'peek')
    all = all and foreseen[i].outcome == GRANTED
  end
  for i = 1, count do
    write_answer(all and decide(orders[i], 'take') or foreseen[i])
  end
end

while position < #ARGV do
  if ARGV[position + 1] == 'group' then
    word()
    decide_together(number())
  else
    local order = read_order()
    write_answer(decide(order, order.name))
  end
end

-- What equals new is not kept, and what does not lives until it does.
for _, record in pairs(records) do
  local ends = new_at(record)
  if ends > now then
    -- Time that is told does not pass by itself, so nothing may end by itself.
    -- The server counts from the millisecond in which it is now.
    local life = ends < END and not told and divide_up(ends, 1000) - floor(now / 1000)
    record.kind.save(record, life and text(life))
  elseif record.raw then
    redis.call('del', record.key)
  end
end

return answers
