-- ARGV: the orders, and then each limit: its kind and its parameters. All numbers have eight bytes.
-- The orders begin with the time, or -1 for that of the server. Six numbers are an order: what is asked,
-- which key, which limit, how many of these in a row, and the two that come with an ask. Before
-- several that are one group stand GROUP and, as the fourth number, how many they are.

-- Instants are microseconds of the server's clock and, like all numbers here, whole: they are
-- exact up to 2^53, which is the year 2255. What would be beyond that never comes.
local END = 9007199254740992
-- The longest time that the permits of one call may take by some algorithms, 250 years.
local LONGEST = 7884000000000000
local GRANTED, LATER, IN_USE, EXHAUSTED, NEVER = 0, 1, 2, 3, 4
-- Stands in place of an outcome before so many answers more as the last one, each with so many
-- permits fewer that remain, and full so much later.
local MORE = 5
-- What is asked.
local GROUP, TAKE, PEEK, RENEW, GIVE_BACK = 0, 1, 2, 3, 4
local FINISH, CHARGE, RESERVE, RETURN, FORGET = 5, 6, 7, 8, 9
local min, max, floor = math.min, math.max, math.floor
local pack, read, call = struct.pack, struct.unpack, redis.call

local told, first_order = read('<d', ARGV[1])
local now = told
if told < 0 then
  local time = call('time')
  now = time[1] * 1000000 + time[2]
end

-- How many milliseconds it is until then, as text, and nothing where nothing ends by itself: so is it
-- where the time is told, which does not pass by itself.
local function life_until(instant)
  if instant < END and told < 0 then
    -- Never too few: the server counts from the one in which it is now.
    return string.format('%d', floor(instant / 1000) + 1 - floor(now / 1000))
  end
end

-- Keeps a value until then.
local function put(key, value, ends)
  local life = life_until(ends)
  if life then
    call('psetex', key, life, value)
  else
    call('set', key, value)
  end
end

-- What is written again and again is kept longer than it has to be, so that its life is not set by each
-- call, which takes longer than to write it: by a sixteenth of it, or else a second.
local SECOND = 1000000
local function kept_until(ends)
  return min(ends + max(SECOND, floor(max(ends - now, 0) / 16)), END)
end
