-- The log with a completion, and no more before it than can make the window full.
CREATE OR REPLACE FUNCTION @completed(
    log bigint[], permits bigint, period bigint, cost bigint, moment bigint
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    log := @log_with(
        @log_without(log, @log_gone(log, period, moment)), cost, @log_latest(log, moment)
    );
    -- So many completions at most can make the window full.
    RETURN @log_without(log, @log_below(log, 1, log[cardinality(log)] - permits + 1));
END
$$;

-- When the call has ended that runs, though nobody ended it; null when it never has, and 0 when none
-- runs.
CREATE OR REPLACE FUNCTION @ending(running bigint[], log bigint[], lease bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN running[1] = 0 THEN 0
        -- A lease that would end beyond the time line does not end.
        WHEN lease > 0 AND running[3] + lease <= 18446744073709551
        THEN @log_latest(log, running[3] + lease)
    END
$$;

-- parameters: permits, period, lease or 0
-- state: whether a call runs, its permits and instant, then a log of completions
CREATE OR REPLACE FUNCTION @serialized(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    permits bigint := parameters[1];
    period bigint := parameters[2];
    lease bigint := coalesce(parameters[3], 0);
    running bigint[] := ARRAY[0, 0, 0];
    log bigint[] := ARRAY[0];
    is_running boolean;
    ending bigint;
    -- When the call ended that nobody ended while it had its lease.
    lost_at bigint;
    free_at bigint;
    gone integer;
    used bigint;
    missing bigint;
BEGIN
    IF cardinality(state) > 0 THEN
        running := state[:3];
        log := state[4:];
    END IF;
    answer.outcome := 0;
    answer.rate := 0;
    answer.most := permits;
    answer.granted_at := CASE WHEN ask IN (0, 4) THEN now ELSE moment END;
    is_running := running = ARRAY[1, cost, moment];
    ending := @ending(running, log, lease);
    IF running[1] = 1 AND ending <= now THEN
        lost_at := ending;
    END IF;
    IF ask = 2 AND is_running AND now - lost_at >= period THEN
        -- By then all that is known of it may have been forgotten.
        is_running := false;
    END IF;
    IF ask = 2 AND is_running THEN
        -- It goes on, also when its lease has ended and nobody has noticed.
        IF lease > 0 THEN
            answer.granted_at := greatest(moment, now);
            running[3] := answer.granted_at;
        END IF;
    ELSIF ask = 3 AND is_running THEN
        running := ARRAY[0, 0, 0];
    ELSIF ask = 5 AND is_running THEN
        running := ARRAY[0, 0, 0];
        -- It ends no earlier than it began, whatever the clock says.
        log := @completed(log, permits, period, cost, coalesce(lost_at, greatest(moment, now)));
    ELSIF ask = 4 AND cost > 0 THEN
        IF lost_at IS NOT NULL THEN
            log := @completed(log, permits, period, running[2], lost_at);
            running := ARRAY[0, 0, 0];
        END IF;
        answer.granted_at := @log_latest(log, now);
        log := @completed(log, permits, period, cost, now);
    END IF;

    ending := @ending(running, log, lease);
    gone := @log_gone(log, period, now);
    used := @log_used(log, gone);
    IF (ask = 0 OR (ask = 2 AND NOT is_running)) AND cost > 0 THEN
        IF cost > permits THEN
            answer.outcome := 4;
        ELSIF ending IS NULL THEN
            answer.outcome := 2;
        ELSE
            missing := used + cost - permits
                + CASE WHEN now - ending < period THEN running[2] ELSE 0 END;
            free_at := CASE
                WHEN missing <= 0 THEN ending
                WHEN missing > used THEN @later(ending, period)
                ELSE greatest(ending, now + @log_freed(log, gone, period, missing, now))
            END;
            IF ending > now THEN
                answer.outcome := 2;
                answer.wait := free_at - now;
            ELSIF missing > 0 THEN
                answer.outcome := 1;
                answer.wait := greatest(free_at - now, 1);
            ELSE
                answer.granted_at := @log_latest(log, now);
                IF lost_at IS NOT NULL THEN
                    log := @completed(log, permits, period, running[2], lost_at);
                END IF;
                running := ARRAY[1, cost, answer.granted_at];
                ending := @ending(running, log, lease);
            END IF;
        END IF;
    ELSIF ask = 2 AND cost = 0 AND NOT is_running THEN
        answer.granted_at := now;
    END IF;
    answer.remaining := CASE
        WHEN ending <= now THEN greatest(
            permits - used - CASE WHEN now - ending < period THEN running[2] ELSE 0 END, 0
        )
        ELSE 0
    END;
    answer.new_at := CASE
        WHEN running[1] = 0 THEN @log_empty_at(log, period)
        WHEN ending IS NULL THEN 18446744073709551
        ELSE @later(ending, period)
    END;
    answer.full_after := greatest(answer.new_at - now, 0);
    answer.state := running || log;
END
$$;
