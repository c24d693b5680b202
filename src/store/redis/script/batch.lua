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

local kinds = {}

for i = 1, number() do
  local name = word()
  kinds[name] = kinds[name] or algorithms[name]()
  local limit = { kind = kinds[name], p = {} }
  for parameter = 1, number() do
    limit.p[parameter] = number()
  end
  limits[i] = limit
end

-- The record of a key as the orders before have left it.
local function record_of(index, limit)
  local record = records[index]
  if not record then
    record = { key = KEYS[index], kind = limit.kind, p = limit.p }
    record.state, record.raw, record.ahead, record.free = limit.kind.load(record.key)
    record.state = record.state or limit.kind.fresh(record.key)
    record.ahead, record.free = record.ahead or 0, record.free or {}
    records[index] = record
  end
  return record
end

local counts = {
  take = 2, peek = 2, renew = 2, back = 2, finish = 2, charge = 1, reserve = 2, returned = 2,
  forget = 0,
}

local function read_order()
  local order = { name = word(), key = number(), limit = limits[number()] }
  for i = 1, counts[order.name] do
    order[i] = number()
  end
  return order
end

-- Answers an order about a record, which stays as it is where the answer may not be kept.
local function answer_order(order, record, is_in_group)
  local limit = order.limit
  local is_other = record.kind ~= limit.kind
  -- By itself an order changes what it does not keep only where there are free slots.
  if is_in_group or record.free[1] or order.name == 'returned' then
    record = copy_record(record)
  end
  record.kind, record.p = limit.kind, limit.p
  -- What equals new is new, and so is what another kind of limit has left behind.
  order.was_new = is_other or new_at(record) <= now
  if order.was_new then
    begin_anew(record)
  end
  -- Nobody stood in line before the first call.
  if order.was_new and (order.name == 'take' or order.name == 'peek') then
    order[2] = 0
  end
  -- What was reserved stays where it is, and what comes behind it takes the new interval.
  if limit.kind.carry_over then
    limit.kind.carry_over(limit.p, record.state, max(record.ahead, now))
  end
  order.record, order.answer = record, decide(record, now, order.name, order)
end

-- Keeps the record that an order has changed. A refusal changes nothing, but that the first call
-- came, where the time of the limit begins with it.
local function keep(order)
  local answer, record = order.answer, order.record
  local changes = order.name ~= 'peek'
  if answer.outcome == GRANTED then
    changes = changes and (answer.x > 0 or order.name == 'forget')
  else
    changes = changes and order.was_new and new_at(record) > now
  end
  if changes then
    record.is_changed = true
    records[order.key] = record
  end
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
  answers[from + 8] = answer.wait or 0
end

-- Each takes its permits, or none does. A key that comes twice is as the order before left it.
local function answer_together(count)
  local orders, left, all = {}, {}, true
  for i = 1, count do
    local order = read_order()
    answer_order(order, left[order.key] or record_of(order.key, order.limit), true)
    left[order.key] = order.record
    all = all and order.answer.outcome == GRANTED
    orders[i] = order
  end
  for _, order in ipairs(orders) do
    write_answer(order.answer)
    if all or order.answer.outcome ~= GRANTED then
      keep(order)
    end
  end
end

while position < #ARGV do
  if ARGV[position + 1] == 'group' then
    word()
    answer_together(number())
  else
    local order = read_order()
    answer_order(order, record_of(order.key, order.limit))
    write_answer(order.answer)
    keep(order)
  end
end

-- What equals new is not kept, and what does not lives until it does.
for _, record in pairs(records) do
  local ends = new_at(record)
  if not record.is_changed then
    -- It is as it was.
  elseif ends > now then
    -- Time that is told does not pass by itself, so nothing may end by itself.
    -- The server counts from the millisecond in which it is now.
    local life = ends < END and not told and divide_up(ends, 1000) - floor(now / 1000)
    record.kind.save(record, life and text(life))
  elseif record.raw then
    redis.call('del', record.key)
  end
end

return answers
