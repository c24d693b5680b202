-- KEYS: records. ARGV: nothing, to read them; or for each what it was when it was read, what it is to
-- be, and how many milliseconds it lives: nothing for ever, `same` as it is. They are changed when all
-- are as they were, and the answer is empty then. Otherwise it is the time, and what they are.
local are_same = #ARGV > 0
local time = redis.call('time')
local kept = { time[1], time[2] }

for i, key in ipairs(KEYS) do
  local value = redis.call('get', key) or ''
  kept[i + 2] = value
  are_same = are_same and value == ARGV[3 * i - 2]
end

if not are_same then
  return kept
end

for i, key in ipairs(KEYS) do
  local value, life = ARGV[3 * i - 1], ARGV[3 * i]
  if life == 'same' then
    -- It was only looked at.
  elseif value == '' then
    redis.call('del', key)
  elseif life == '' then
    redis.call('set', key, value)
  else
    redis.call('set', key, value, 'PX', life)
  end
end

return {}
