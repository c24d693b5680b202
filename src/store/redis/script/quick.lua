-- The quick way of a batch that takes permits of one leaky bucket on keys where nobody has reserved any.
-- Most are such, and to make what the long way needs takes longer than to answer them: here is no function
-- of its own, nor a table for each key. Nothing is written before all are answered: where something else
-- turns up, the batch goes the long way as if it had not been here.
local MOST_KEYS = 1024

local is_quick = #ARGV == 3 and #KEYS <= MOST_KEYS
if is_quick then
  local orders, keys, next_order = ARGV[1], KEYS, first_order
  local values = call('mget', unpack(keys))
  local interval, capacity = read('<dd', ARGV[3])
  local depth = interval * capacity
  -- When the bucket of a key is empty, as orders have left it; the last reservation, and until when its
  -- record is kept; and when it is empty that has changed.
  local ends, reserved, kept, changed = {}, {}, {}, {}
  local answers, many = { pack('<d', now) }, 1
  -- At the end of the time line answers are no longer alike.
  is_quick = now + 2 * depth < END

  while is_quick and next_order <= #orders do
    local ask, key, _, count, cost, wait, next = read('<dddddd', orders, next_order)
    next_order = next

    is_quick = (ask == RESERVE or ask == TAKE) and cost > 0 and cost <= capacity
    local empty_at = ends[key]
    if is_quick and not empty_at then
      -- What seems not to be there may be of another type, which is an error.
      local value = values[key] or call('get', keys[key])
      if not value then
        empty_at, reserved[key], kept[key] = 0, 0, 0
      elseif #value == 41 then
        local letter, first, before, held, last, until_then = read('<c1ddddd', value)
        if letter == 'l' and last <= now then
          if first <= now then
            -- What equals new is new.
            empty_at, reserved[key], kept[key] = 0, 0, until_then
          elseif before == interval and held == capacity then
            empty_at, reserved[key], kept[key] = first, last, until_then
          end
        end
      end
      is_quick = empty_at and empty_at + depth < END
    end

    if is_quick then
      local length, filled = interval * cost, max(empty_at, now)
      local granted = min(count, max(floor((now + depth - filled) / length), 0))
      if granted > 0 then
        filled = filled + length
        many = many + 1
        answers[many] = pack('<dddddddd', GRANTED, cost, now, capacity,
          floor((now + depth - filled) / interval), filled - now, 0, 0)
        if granted > 1 then
          many = many + 1
          answers[many] = pack('<dddddddd', MORE, granted - 1, 0, 0, cost, length, 0, 0)
          filled = filled + (granted - 1) * length
        end
        empty_at, changed[key] = filled, filled
      end
      if granted < count then
        local later = filled + length - depth - now
        is_quick = ask == TAKE or later > wait
        many = many + 1
        answers[many] = pack('<dddddddd', LATER, later, 0, capacity,
          floor(max(now + depth - filled, 0) / interval), filled - now, 0, 0)
        if count - granted > 1 then
          -- A refusal changes nothing, so that all that are left get the same answer.
          many = many + 1
          answers[many] = pack('<dddddddd', MORE, count - granted - 1, 0, 0, 0, 0, 0, 0)
        end
      end
      ends[key] = empty_at
    end
  end

  if is_quick then
    for key, empty_at in pairs(changed) do
      local until_then = kept_until(empty_at)
      if kept[key] >= empty_at and kept[key] <= until_then then
        call('setrange', keys[key], '1', pack('<dddd', empty_at, interval, capacity, reserved[key]))
      else
        local value =
          pack('<c1ddddd', 'l', empty_at, interval, capacity, reserved[key], until_then)
        put(keys[key], value, until_then)
      end
    end
    return table.concat(answers)
  end
end
