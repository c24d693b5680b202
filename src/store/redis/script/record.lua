-- A record is the state of a key, the instant of the last reservation on it (ahead) and the number
-- of that (turn). Whatever is asked before that instant is decided as it will be then.
local asks = {}

-- From when on it equals a new one.
local function new_at(record)
  return max(record.kind.new_at(record.p, record.state), record.ahead)
end

local function begin_anew(record)
  record.state, record.ahead, record.turn = record.kind.fresh(record.key), 0, 0
  record.state.changed = true
end

-- The answer, given at an instant that is not before now.
local function answered(answer, now, at)
  answer.wait = answer.outcome == GRANTED and at - now or 0
  return answer
end

local function take(record, now, at, cost, queued, dry)
  local answer = record.kind.take(record.p, record.state, at, cost, queued, dry)
  return answered(answer, now, at)
end

-- What a call would be told that gets in line now, as a refusal.
local function turn(record, now, cost, queued)
  local at = max(record.ahead, now)
  local answer = take(record, now, at, cost, queued, true)
  if answer.outcome == GRANTED then
    answer.outcome, answer.x, answer.y = LATER, at, 0
  end
  answer.remaining, answer.wait = 0, 0
  return answer
end

local function ask(record, now, name, cost, at)
  local instant = max(record.ahead, now)
  local answer = record.kind[name](record.p, record.state, instant, cost, at)
  return answered(answer, now, instant)
end

function asks.take(record, now, cost, queued)
  if cost == 0 then
    return take(record, now, now, 0, false, false)
  elseif record.ahead > now then
    return turn(record, now, cost, true)
  end
  return take(record, now, now, cost, queued == 1, false)
end

function asks.peek(record, now, cost, queued)
  if record.ahead > now and cost > 0 then
    return turn(record, now, cost, true)
  end
  return take(record, now, max(record.ahead, now), cost, queued == 1, true)
end

function asks.renew(record, now, cost, at)
  return ask(record, now, 'renew', cost, at)
end

function asks.back(record, now, cost, at)
  return ask(record, now, 'give_back', cost, at)
end

function asks.finish(record, now, cost, at)
  return ask(record, now, 'finish', cost, at)
end

function asks.charge(record, now, cost)
  return ask(record, now, 'charge', cost)
end

-- Takes permits as soon as they are to be had, if that is within the longest wait.
function asks.reserve(record, now, cost, longest)
  if cost == 0 then
    return take(record, now, now, 0, false, false)
  end
  local at = max(record.ahead, now)
  local queued = at > now
  local foreseen = take(record, now, at, cost, queued, true)
  if foreseen.outcome == LATER then
    at = foreseen.x
  elseif foreseen.outcome ~= GRANTED then
    return foreseen
  end
  if at - now > longest then
    return turn(record, now, cost, queued)
  end
  local answer = take(record, now, at, cost, queued or at > now, false)
  if answer.outcome == GRANTED and at > now then
    answer.turn, answer.after = (record.turn + 1) % 4294967296, record.ahead
    record.turn, record.ahead = answer.turn, at
  end
  return answer
end

-- What was reserved goes back. Behind the last one stands nobody.
function asks.returned(record, now, cost, at, number, after)
  local answer = ask(record, now, 'give_back', cost, at)
  if record.turn == number and record.ahead == at then
    record.turn, record.ahead = (number - 1) % 4294967296, after
  end
  return answer
end

function asks.forget(record, now)
  begin_anew(record)
  return take(record, now, now, 0, false, true)
end
