-- The quick way of a batch that takes permits of one leaky bucket on keys where nobody has reserved any.
-- Most are such, and to make what the long way needs takes longer than to answer them. Nothing is
-- written before all are answered: where something else turns up, the batch goes the long way as if
-- it had not been here.
local MOST_KEYS = 1024

-- When a bucket is empty, when the last reservation of it was, and until when its record is kept; nothing
-- where that is not all there is to it.
local function plain_bucket(value, interval, capacity)
  if not value then
    return 0, 0, 0
  elseif #value == 41 then
    local letter, empty_at, before, held, reserved, kept = read('<c1ddddd', value)
    if letter ~= 'l' or reserved > now then
      return nil
    elseif empty_at <= now then
      -- What equals new is new.
      return 0, 0, kept
    elseif before == interval and held == capacity then
      return empty_at, reserved, kept
    end
  end
end

local function answer_quickly()
  local orders, keys = ARGV[1], KEYS
  if #ARGV ~= 3 or #keys > MOST_KEYS then
    return nil
  end
  local interval, capacity = read('<dd', ARGV[3])
  local values = call('mget', unpack(keys))
  local ends, reserved, kept, is_changed = {}, {}, {}, {}
  local answers, length, next_order = { pack('<d', now) }, 1, first_order

  while next_order <= #orders do
    local ask, key, _, count, cost, wait, next = read('<dddddd', orders, next_order)
    next_order = next
    if ask ~= RESERVE and ask ~= TAKE or cost == 0 then
      return nil
    end

    local empty_at = ends[key]
    if not empty_at then
      -- What seems not to be there may be of another type, which is an error.
      local value = values[key] or call('get', keys[key])
      empty_at, reserved[key], kept[key] = plain_bucket(value, interval, capacity)
      if not empty_at then
        return nil
      end
    end

    while count > 0 do
      local outcome, at, filled, more = pour(interval, capacity, empty_at, now, cost, count)
      local x, y, fewer, later = cost, now, cost, interval * cost
      if outcome == GRANTED then
        is_changed[key] = true
      elseif outcome == LATER and ask == RESERVE and at - now <= wait then
        return nil
      else
        -- A refusal changes nothing, so that all that are left get the same answer.
        x, y, more, fewer, later = outcome == LATER and span(at) or 0, 0, count - 1, 0, 0
      end
      length = length + 1
      answers[length] = pack('<dddddddd', outcome, x, y, capacity,
        left_in(interval, capacity, filled, now), span(max(filled, now)), 0, 0)
      if more > 0 then
        length = length + 1
        answers[length] = pack('<dddddddd', MORE, more, 0, 0, fewer, later, 0, 0)
      end
      empty_at, count = filled + more * later, count - 1 - more
    end
    ends[key] = empty_at
  end

  for key in pairs(is_changed) do
    local empty_at = ends[key]
    if lives_on(kept[key], empty_at) then
      call('setrange', keys[key], '1', pack('<dddd', empty_at, interval, capacity, reserved[key]))
    else
      local until_then = kept_until(empty_at)
      local value = pack('<c1ddddd', 'l', empty_at, interval, capacity, reserved[key], until_then)
      put(keys[key], value, until_then)
    end
  end
  return table.concat(answers)
end

local answers = answer_quickly()
if answers then
  return answers
end
