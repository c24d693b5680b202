-- A record is the state of a key, the instant of the last reservation on it (ahead), and the
-- reservations before that one that went back (free). The state is that of the last reservation, and
-- what changes it before that instant changes it as it will be then.
local MOST_FREE = 1024

-- From when on it equals a new one.
local function new_at(record)
  return max(record.kind.new_at(record.p, record.state), record.ahead)
end

local function begin_anew(record)
  record.state, record.ahead, record.free = record.kind.fresh(record.key), 0, {}
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

-- Gives the free slots before this instant back to the algorithm, behind everybody.
local function close_free(record, before)
  while record.free[1] and record.free[1].at < before do
    local grant = table.remove(record.free, 1)
    record.kind.give_back(record.p, record.state, record.ahead, grant.cost, grant.at)
  end
end

-- How the limit stands, for a call that takes nothing.
local function nothing(record, now)
  local answer = record.kind.take(record.p, record.state, max(record.ahead, now), 0, false, true)
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
  local answer = record.kind.take(record.p, record.state, record.ahead, cost, true, true)
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
  local p, state = record.p, record.state
  if record.free[1] and record.kind.take(p, state, at, cost, true, true).outcome ~= GRANTED then
    -- It needs what the free slots have, and comes before those who may come for them.
    close_free(record, END)
  end
  local answer = record.kind.take(p, state, at, cost, true, false)
  if answer.outcome == GRANTED then
    record.ahead = at
    -- These have answers, too.
    local own = copy(answer)
    close_free(record, now)
    own.wait = at - now
    return own
  end
  return answer
end

local function take_or_look(record, now, cost, queued, looks)
  if cost == 0 then
    return nothing(record, now)
  elseif record.ahead > now then
    return behind(record, now, cost)
  end
  return record.kind.take(record.p, record.state, now, cost, queued, looks)
end

-- Takes permits as soon as they are to be had, if that is within the longest wait.
local function reserve(record, now, cost, longest)
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
    answer = record.kind.take(record.p, record.state, now, cost, false, false)
  end
  if answer.outcome == LATER and answer.x - now <= longest then
    return take_at(record, now, answer.x, cost)
  end
  return answer
end

-- What was reserved goes back.
local function take_back(record, now, cost, at)
  close_free(record, now)
  local free = record.free
  if at >= now and at < record.ahead and #free < MOST_FREE then
    local place = 1
    while free[place] and (free[place].at < at or free[place].at == at and free[place].cost <= cost) do
      place = place + 1
    end
    table.insert(free, place, { at = at, cost = cost })
  elseif at <= record.ahead then
    return record.kind.give_back(record.p, record.state, max(record.ahead, now), cost, at)
  end
  -- Nobody reserved beyond the last one: it was forgotten meanwhile, and nothing goes back.
  local answer = nothing(record, now)
  answer.x, answer.y = cost, at
  return answer
end

local function decide_as_is(record, now, ask, a, b)
  local kind, p, state = record.kind, record.p, record.state
  if ask == RESERVE then
    return reserve(record, now, a, b)
  elseif ask == TAKE or ask == PEEK then
    return take_or_look(record, now, a, b == 1, ask == PEEK)
  elseif ask == RENEW then
    -- The call takes place now, whoever is ahead.
    return kind.renew(p, state, now, a, b)
  elseif ask == GIVE_BACK then
    return kind.give_back(p, state, max(record.ahead, now), a, b)
  elseif ask == FINISH then
    return kind.finish(p, state, max(record.ahead, now), a, b)
  elseif ask == CHARGE then
    return kind.charge(p, state, max(record.ahead, now), a)
  elseif ask == RETURN then
    return take_back(record, now, a, b)
  end
  begin_anew(record)
  return nothing(record, now)
end

-- Two numbers come with an ask: the permits and, of a reservation, the longest wait; of a call to be
-- let go now, whether it stood in line; of what was granted, when that was.
local function decide(record, now, ask, a, b)
  if record.ahead <= now then
    close_free(record, END)
  end
  local answer = decide_as_is(record, now, ask, a, b)
  -- While others are ahead there is nothing to be had now.
  if record.ahead > now then
    answer.remaining = 0
  end
  return answer
end
