-- The long way of a batch, which answers whatever is asked.
local next_order = first_order
local limits, kinds, records = {}, {}, {}

for i = 2, #ARGV, 2 do
  local name, parameters = ARGV[i], ARGV[i + 1]
  kinds[name] = kinds[name] or algorithms[name]()
  local p = { read('<' .. string.rep('d', #parameters / 8), parameters) }
  -- Behind the numbers comes where they end.
  p[#p] = nil
  limits[i / 2] = { kind = kinds[name], p = p }
end

local function read_order()
  local ask, key, limit, count, a, b, next = read('<dddddd', ARGV[1], next_order)
  next_order = next
  return ask, key, limits[limit], count, a, b
end

-- The record of a key as the orders before have left it. One that is of another kind, and that no order has
-- changed, is looked at again by the next kind, which may be its own.
local function record_of(index, limit)
  local record = records[index]
  if not record or record.is_foreign and record.kind ~= limit.kind then
    local key, kind = KEYS[index], limit.kind
    local state, raw, ahead, free = kind.load(key)
    record = {
      key = key, kind = kind, p = limit.p, is_changed = false, raw = raw,
      is_foreign = raw and not state,
      state = state or kind.fresh(key), ahead = ahead or 0, free = free or {},
    }
    records[index] = record
  end
  return record
end

-- Answers an order about a record, which stays as it is where the answer may not be kept. Returns the
-- answer, the record as it is now, and whether it was new.
local function answer_order(record, limit, ask, a, b, is_in_group)
  local is_other = record.kind ~= limit.kind
  -- What was granted by one kind of limit is not for another to take back or to renew.
  local stays = (is_other or record.is_foreign)
    and (ask == RENEW or ask == GIVE_BACK or ask == FINISH or ask == RETURN)
  -- By itself an order changes what it does not keep only where there are free slots, where the record is of
  -- another kind, or where it renews nothing: that takes place now, and others would come after it.
  if is_in_group or stays or is_other or record.free[1] or ask == RETURN or ask == RENEW and a == 0 then
    record = copy_record(record)
  end
  record.stays = stays
  record.kind, record.p = limit.kind, limit.p
  -- What equals new is new, and so is what another kind of limit has left behind.
  local was_new = is_other or new_at(record) <= now
  if was_new then
    begin_anew(record)
    -- Nobody stood in line before the first call.
    if ask == TAKE or ask == PEEK then
      b = 0
    end
  end
  local is_of_another = limit.kind.is_of_another
  local is_others = is_of_another and is_of_another(limit.p, record.state)
  if is_others then
    if not was_new then
      -- It stays as another limit left it where the answer is not kept.
      record = copy_record(record)
    end
    -- What was reserved stays where it is, and what comes behind it takes the new limit.
    limit.kind.adopt(limit.p, record.state, max(record.ahead, now))
  end
  local answer = decide(record, now, ask, a, b)
  if stays and ask == RENEW then
    answer.outcome, answer.x, answer.y = IN_USE, nil, 0
  end
  return answer, record, was_new or is_others
end

-- Keeps the record that an order has changed. A refusal changes nothing, but that the first call
-- came, where the time of the limit begins with it, and that the limit is another one since: were
-- that forgotten, the time that passes would go on to be counted by the old one.
local function keep(record, key, ask, outcome, permits, is_noted)
  if ask == PEEK or record.stays then
    return
  elseif outcome == GRANTED and (permits > 0 or ask == FORGET)
    or outcome ~= GRANTED and is_noted and new_at(record) > now then
    record.is_changed, record.is_foreign = true, false
    records[key] = record
  end
end

local written, length = { pack('<d', now) }, 1

local function write_answer(answer)
  local outcome, x = answer.outcome, answer.x
  if outcome == LATER then
    x = span(x)
  elseif outcome == IN_USE then
    x = x and span(x) or -1
  end
  length = length + 1
  written[length] = pack('<dddddddd', outcome, x, answer.y, answer.limit, answer.remaining,
    span(answer.full_at), answer.rate, answer.wait)
end

-- Each takes its permits, or none does. A key that comes twice is as the order before left it.
local function answer_together(count)
  local orders, left, all = {}, {}, true
  for i = 1, count do
    local ask, key, limit, _, a, b = read_order()
    local before = left[key] or record_of(key, limit)
    local answer, record, is_noted = answer_order(before, limit, ask, a, b, true)
    write_answer(answer)
    left[key], all = record, all and answer.outcome == GRANTED
    orders[i] = { record, key, ask, answer.outcome, answer.x, is_noted }
  end
  for _, order in ipairs(orders) do
    if all or order[4] ~= GRANTED then
      keep(unpack(order, 1, 6))
    end
  end
end

-- Answers so many of the same order.
local function answer_row(ask, key, limit, count, a, b)
  local takes, is_queued = (ask == TAKE or ask == RESERVE) and a > 0, ask == TAKE and b == 1
  while count > 0 do
    local answer, record, is_noted = answer_order(record_of(key, limit), limit, ask, a, b, false)
    write_answer(answer)
    keep(record, key, ask, answer.outcome, answer.x, is_noted)
    count = count - 1
    -- With nobody ahead and nothing to begin anew, the algorithm alone decides, until it refuses.
    local goes_on = count > 0 and takes and answer.outcome == GRANTED and record.ahead <= now
      and not record.free[1] and new_at(record) > now
    while goes_on do
      answer = limit.kind.take(limit.p, record.state, now, a, is_queued, false)
      goes_on = answer.outcome == GRANTED
      if goes_on then
        write_answer(answer)
        count = count - 1
        goes_on = count > 0
      end
    end
  end
end

while next_order <= #ARGV[1] do
  local ask, key, limit, count, a, b = read_order()
  if ask == GROUP then
    answer_together(count)
  else
    answer_row(ask, key, limit, count, a, b)
  end
end

-- What equals new is not kept, and what does not lives until it does.
for _, record in pairs(records) do
  local ends = new_at(record)
  if not record.is_changed then
    -- It is as it was.
  elseif ends > now then
    record.kind.save(record, ends)
  elseif record.raw then
    call('del', record.key)
  end
end

return table.concat(written)
