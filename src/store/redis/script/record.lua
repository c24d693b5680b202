-- A record is the state of a key, the instant of the last reservation on it (ahead), and the
-- reservations before that one that went back (free). The state is that of the last reservation, and
-- what changes it before that instant changes it as it will be then.
local asks = {}
local MOST_FREE = 1024

-- From when on it equals a new one.
local function new_at(record)
  return max(record.kind.new_at(record.p, record.state), record.ahead)
end

local function begin_anew(record)
  record.state, record.ahead, record.free = record.kind.fresh(record.key), 0, {}
  record.state.changed = true
end

local function copy(from)
  local to = {}
  for name, value in pairs(from) do
    to[name] = value
  end
  return setmetatable(to, getmetatable(from))
end

-- Changes of the copy leave the original as it is.
local function copy_record(from)
  local to = copy(from)
  to.state, to.free = copy(from.state), copy(from.free)
  return to
end

-- Takes at an instant, or only looks.
local function take_or_look(record, at, cost, queued, looks)
  return record.kind.take(record.p, record.state, at, cost, queued, looks)
end

local function ask(record, at, name, cost, granted_at)
  return record.kind[name](record.p, record.state, at, cost, granted_at)
end

-- Gives the free slots before this instant back to the algorithm, behind everybody.
local function close_free(record, before)
  while record.free[1] and record.free[1].at < before do
    local grant = table.remove(record.free, 1)
    ask(record, record.ahead, 'give_back', grant.cost, grant.at)
  end
end

-- How the limit stands, for a call that takes nothing.
local function nothing(record, now)
  local answer = take_or_look(record, max(record.ahead, now), 0, false, true)
  answer.outcome, answer.x, answer.y = GRANTED, 0, now
  return answer
end

-- What a call is told that has to stand behind all others, with nobody else asking.
local function behind(record, now, cost)
  if record.free[1] then
    -- By then they are over.
    record = copy_record(record)
    close_free(record, END)
  end
  local answer = take_or_look(record, record.ahead, cost, true, true)
  if answer.outcome == GRANTED then
    answer.outcome, answer.x, answer.y = LATER, record.ahead, 0
  end
  return answer
end

-- Takes a slot that went back.
local function take_free(record, now, index, cost, longest)
  local answer, at = nothing(record, now), record.free[index].at
  if at - now > longest then
    answer.outcome, answer.x, answer.y = LATER, at, 0
    return answer
  end
  table.remove(record.free, index)
  answer.x, answer.y, answer.wait = cost, at, at - now
  return answer
end

-- Takes permits that are to be had at this instant, behind all others.
local function take_at(record, now, at, cost)
  if record.free[1] and take_or_look(record, at, cost, true, true).outcome ~= GRANTED then
    -- It needs what the free slots have, and comes before those who may come for them.
    close_free(record, END)
  end
  local answer = take_or_look(record, at, cost, true, false)
  if answer.outcome == GRANTED then
    record.ahead = at
    close_free(record, now)
    answer.wait = at - now
  end
  return answer
end

function asks.take(record, now, cost, queued)
  if cost == 0 then
    return nothing(record, now)
  elseif record.ahead > now then
    return behind(record, now, cost)
  end
  return take_or_look(record, now, cost, queued == 1, false)
end

function asks.peek(record, now, cost, queued)
  if cost == 0 then
    return nothing(record, now)
  elseif record.ahead > now then
    return behind(record, now, cost)
  end
  return take_or_look(record, now, cost, queued == 1, true)
end

-- The call takes place now, whoever is ahead.
function asks.renew(record, now, cost, at)
  return ask(record, now, 'renew', cost, at)
end

function asks.back(record, now, cost, at)
  return ask(record, max(record.ahead, now), 'give_back', cost, at)
end

function asks.finish(record, now, cost, at)
  return ask(record, max(record.ahead, now), 'finish', cost, at)
end

function asks.charge(record, now, cost)
  return ask(record, max(record.ahead, now), 'charge', cost)
end

-- Takes permits as soon as they are to be had, if that is within the longest wait.
function asks.reserve(record, now, cost, longest)
  if cost == 0 then
    return nothing(record, now)
  end
  for index, free in ipairs(record.free) do
    if free.at >= now and free.cost >= cost then
      return take_free(record, now, index, cost, longest)
    end
  end
  local answer
  if record.ahead > now then
    answer = behind(record, now, cost)
  else
    -- Asked and not foreseen: a time that begins with the first call begins.
    answer = take_or_look(record, now, cost, false, false)
  end
  if answer.outcome == LATER and answer.x - now <= longest then
    return take_at(record, now, answer.x, cost)
  end
  return answer
end

-- What was reserved goes back.
function asks.returned(record, now, cost, at)
  close_free(record, now)
  local free = record.free
  if at >= now and at < record.ahead and #free < MOST_FREE then
    local place = 1
    while free[place] and (free[place].at < at or free[place].at == at and free[place].cost <= cost) do
      place = place + 1
    end
    table.insert(free, place, { at = at, cost = cost })
  elseif at <= record.ahead then
    return asks.back(record, now, cost, at)
  end
  -- Nobody reserved beyond the last one: it was forgotten meanwhile, and nothing goes back.
  local answer = nothing(record, now)
  answer.x, answer.y = cost, at
  return answer
end

function asks.forget(record, now)
  begin_anew(record)
  return nothing(record, now)
end

local function decide(record, now, name, numbers)
  if record.ahead <= now then
    close_free(record, END)
  end
  local answer = asks[name](record, now, numbers[1], numbers[2])
  -- While others are ahead there is nothing to be had now.
  if record.ahead > now then
    answer.remaining = 0
  end
  return answer
end
