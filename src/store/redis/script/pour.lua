-- What becomes of calls of the same cost, one at least, that come one after another to a bucket which is
-- empty at an instant: of the first the outcome, when it is let through otherwise, and when the bucket is
-- empty then; and how many more pass.
local function pour(interval, capacity, empty_at, now, cost, count)
  if cost > capacity then
    return NEVER, 0, empty_at
  end
  local depth, length = interval * capacity, interval * cost
  local filled = max(empty_at, now) + length
  if filled > END then
    return LATER, END, empty_at
  elseif filled - now > depth and cost > 0 then
    return LATER, filled - depth, empty_at
  end
  local more = 0
  if count > 1 then
    -- At the end of the time line answers are no longer alike.
    more = min(count - 1, floor(minus(min(now + depth, END - 1), filled) / length))
  end
  return GRANTED, now, filled, more
end

-- How many permits are left of a bucket.
local function left_in(interval, capacity, empty_at, now)
  return floor(minus(interval * capacity, minus(empty_at, now)) / interval)
end
