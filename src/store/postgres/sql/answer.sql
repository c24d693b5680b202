-- Asks an algorithm as of `at`, which may be later than `now`: all spans count from `now`.
--
-- The asks are 0 take, 2 renew, 3 give back, 4 charge, 5 end, 9 take over a state that is of another
-- limit; the outcomes 0 granted, 1 later, 2 in use, 3 exhausted, 4 never.
CREATE OR REPLACE FUNCTION @ask_at(
    kind text, parameters bigint[], state bigint[], now bigint, at bigint,
    ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    CASE kind
    WHEN 'leaky_bucket' THEN
        answer := @leaky_bucket(parameters, state, at, ask, cost, queued, moment);
    WHEN 'strict' THEN
        answer := @strict(parameters, state, at, ask, cost, queued, moment);
    WHEN 'burst_compensating' THEN
        answer := @burst_compensating(parameters, state, at, ask, cost, queued, moment);
    WHEN 'token_bucket', 'fixed_window' THEN
        answer := @tokens(parameters, state, at, ask, cost, queued, moment);
    WHEN 'quota' THEN
        answer := @quota(parameters, state, at, ask, cost, queued, moment);
    WHEN 'sliding_window' THEN
        answer := @sliding_window(parameters, state, at, ask, cost, queued, moment);
    WHEN 'sliding_window_counter' THEN
        answer := @sliding_window_counter(parameters, state, at, ask, cost, queued, moment);
    WHEN 'concurrency' THEN
        answer := @concurrency(parameters, state, at, ask, cost, queued, moment);
    WHEN 'serialized' THEN
        answer := @serialized(parameters, state, at, ask, cost, queued, moment);
    END CASE;
    answer.wait := CASE answer.outcome WHEN 0 THEN 0 ELSE answer.wait + (at - now) END;
    answer.full_after := answer.full_after + (at - now);
END
$$;

-- Whether a limit of the same kind left a state that counts otherwise; null where none did.
CREATE OR REPLACE FUNCTION @is_of_another(kind text, parameters bigint[], state bigint[])
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN kind = 'leaky_bucket' THEN state[2] <> parameters[1] OR state[3] <> parameters[2]
        WHEN kind = 'strict' THEN state[2] <> parameters[1]
        WHEN kind = 'burst_compensating' THEN state[4] <> parameters[1]
        WHEN kind IN ('token_bucket', 'fixed_window') THEN
            state[4] <> parameters[3] OR state[5] <> @interval(parameters[1], parameters[2])
    END
$$;

-- Gives the free slots before an instant back to the algorithm, behind everybody.
CREATE OR REPLACE FUNCTION @close_free(
    kind text, parameters bigint[], INOUT state bigint[], ahead bigint, INOUT free bigint[],
    before bigint
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    answer @answered;
    closed integer := 0;
BEGIN
    WHILE free[2 * closed + 1] < before LOOP
        answer := @ask_at(
            kind, parameters, state, ahead, ahead,
            3, free[2 * closed + 2], false, free[2 * closed + 1]
        );
        state := answer.state;
        closed := closed + 1;
    END LOOP;
    IF closed > 0 THEN
        free := free[2 * closed + 1:];
    END IF;
END
$$;

-- Answers one order about one key, and changes its record as the answer says.
--
-- 0 take, 1 peek, 2 renew, 3 give back, 4 charge, 5 end; 6 reserve, with the longest wait as the
-- moment; 7 return a reservation; 8 forget.
CREATE OR REPLACE FUNCTION @answer(
    kind text, parameters bigint[], state bigint[], ahead bigint, free bigint[],
    now bigint, what integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    outcome integer;
    granted_at bigint;
    wait bigint;
    new_at bigint;
    closed record;
    place integer;
    at bigint;
    -- Whether the answer is how the limit stands, for a call that takes nothing.
    is_nothing boolean := false;
    -- Whether the call has to stand behind all others.
    is_behind boolean := false;
    is_closed boolean := false;
BEGIN
    IF ahead <= now AND cardinality(free) > 0 THEN
        closed := @close_free(kind, parameters, state, ahead, free, 9223372036854775807);
        state := closed.state;
        free := closed.free;
        is_closed := true;
    ELSIF ahead <= now AND what IN (0, 6) AND cost > 0 THEN
        -- Nobody else has a place in line: the answer is that of the algorithm, unless it is to be had
        -- within the wait. Most orders end here.
        answer := @ask_at(kind, parameters, state, now, now, 0, cost, queued, 0);
        IF what = 0 OR answer.outcome <> 1 OR answer.wait > moment THEN
            answer.ahead := ahead;
            answer.free := free;
            answer.new_at := greatest(answer.new_at, ahead);
            RETURN;
        END IF;
    END IF;

    CASE
    WHEN what = 8 THEN
        state := '{}';
        ahead := 0;
        free := '{}';
        cost := 0;
        is_nothing := true;
        granted_at := now;
    WHEN what IN (0, 1, 6) AND cost = 0 THEN
        is_nothing := true;
        granted_at := now;
    WHEN what IN (0, 1) AND ahead > now THEN
        is_behind := true;
    WHEN what IN (0, 1) THEN
        answer := @ask_at(kind, parameters, state, now, now, 0, cost, queued, 0);
        IF what = 0 THEN
            state := answer.state;
        END IF;
    WHEN what = 2 THEN
        -- The call takes place now, whoever is ahead.
        answer := @ask_at(kind, parameters, state, now, now, what, cost, false, moment);
        state := answer.state;
    WHEN what < 6 THEN
        answer := @ask_at(
            kind, parameters, state, now, greatest(ahead, now), what, cost, false, moment
        );
        state := answer.state;
    WHEN what = 6 THEN
        place := 0;
        WHILE free[2 * place + 1] < now OR free[2 * place + 2] < cost LOOP
            place := place + 1;
        END LOOP;
        IF place < cardinality(free) / 2 THEN
            is_nothing := true;
            granted_at := free[2 * place + 1];
        ELSIF ahead > now THEN
            is_behind := true;
        ELSE
            -- Asked and not foreseen: a time that begins with the first call begins.
            answer := @ask_at(kind, parameters, state, now, now, 0, cost, false, 0);
            state := answer.state;
        END IF;
    WHEN what = 7 THEN
        closed := @close_free(kind, parameters, state, ahead, free, now);
        is_closed := is_closed OR free <> closed.free;
        state := closed.state;
        free := closed.free;
        IF moment >= now AND moment < ahead AND cardinality(free) < 2048 THEN
            place := 0;
            WHILE (free[2 * place + 1], free[2 * place + 2]) <= (moment, cost) LOOP
                place := place + 1;
            END LOOP;
            free := free[:2 * place] || ARRAY[moment, cost] || free[2 * place + 1:];
            is_nothing := true;
        ELSIF moment <= ahead THEN
            answer := @ask_at(
                kind, parameters, state, now, greatest(ahead, now), 3, cost, false, moment
            );
            state := answer.state;
        ELSE
            -- Nobody reserved beyond the last one: it was forgotten meanwhile.
            is_nothing := true;
        END IF;
        granted_at := moment;
    END CASE;

    IF is_behind THEN
        -- By then the free slots are over.
        closed := @close_free(kind, parameters, state, ahead, free, 9223372036854775807);
        answer := @ask_at(kind, parameters, closed.state, now, ahead, 0, cost, true, 0);
    ELSIF is_nothing THEN
        answer := @ask_at(kind, parameters, state, now, greatest(ahead, now), 0, 0, false, 0);
    END IF;
    outcome := answer.outcome;
    wait := answer.wait;
    IF is_nothing THEN
        outcome := 0;
        wait := 0;
    ELSE
        granted_at := answer.granted_at;
    END IF;
    IF is_behind AND outcome = 0 THEN
        outcome := 1;
        wait := ahead - now;
    END IF;

    IF what = 6 AND is_nothing AND cost > 0 THEN
        wait := granted_at - now;
        IF wait > moment THEN
            outcome := 1;
        ELSE
            free := free[:2 * place] || free[2 * place + 3:];
        END IF;
    ELSIF what = 6 AND outcome = 1 AND wait <= moment THEN
        -- Permits that are to be had at this instant, behind all others.
        at := @later(now, wait);
        IF cardinality(free) > 0 THEN
            answer := @ask_at(kind, parameters, state, now, at, 0, cost, true, 0);
            IF answer.outcome <> 0 THEN
                -- It needs what the free slots have, and comes before those who may come for them.
                state := closed.state;
                free := closed.free;
                is_closed := true;
            END IF;
        END IF;
        answer := @ask_at(kind, parameters, state, now, at, 0, cost, true, 0);
        outcome := answer.outcome;
        granted_at := answer.granted_at;
        wait := answer.wait;
        IF outcome = 0 THEN
            wait := at - now;
            state := answer.state;
            ahead := at;
            closed := @close_free(kind, parameters, state, ahead, free, now);
            is_closed := is_closed OR free <> closed.free;
            state := closed.state;
            free := closed.free;
        END IF;
    END IF;

    new_at := answer.new_at;
    IF is_closed THEN
        new_at := (@ask_at(kind, parameters, state, now, now, 0, 0, false, 0)).new_at;
    END IF;
    answer.state := state;
    answer.ahead := ahead;
    answer.free := free;
    answer.new_at := greatest(new_at, ahead);
    answer.outcome := outcome;
    answer.granted_at := granted_at;
    answer.wait := wait;
    IF ahead > now THEN
        -- While others are ahead there is nothing to be had now.
        answer.remaining := 0;
    END IF;
END
$$;
