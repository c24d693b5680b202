-- parameters: permits, period
-- state: whether a call runs, its permits and instant, then a log of completions
CREATE OR REPLACE FUNCTION @serialized(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    permits bigint := parameters[1];
    period bigint := parameters[2];
    running bigint[] := ARRAY[0, 0, 0];
    log bigint[] := ARRAY[0];
    is_running boolean;
    completed_at bigint;
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
    IF ask = 2 AND is_running THEN
        answer.granted_at := greatest(moment, now);
        running[3] := answer.granted_at;
    ELSIF ask = 3 AND is_running THEN
        running := ARRAY[0, 0, 0];
    ELSIF ask = 5 AND is_running THEN
        running := ARRAY[0, 0, 0];
        -- It ends no earlier than it began, whatever the clock says.
        completed_at := greatest(moment, now);
    ELSIF ask = 4 AND cost > 0 THEN
        completed_at := now;
        answer.granted_at := @log_latest(log, now);
    END IF;
    IF completed_at IS NOT NULL THEN
        log := @log_with(
            @log_without(log, @log_gone(log, period, completed_at)),
            cost,
            @log_latest(log, completed_at)
        );
        -- So many completions at most can make the window full.
        log := @log_without(log, @log_below(log, 1, log[cardinality(log)] - permits + 1));
    END IF;

    gone := @log_gone(log, period, now);
    used := @log_used(log, gone);
    IF ask = 0 OR (ask = 2 AND NOT is_running) THEN
        missing := greatest(used + cost - permits, 0);
        IF cost = 0 THEN
            answer.granted_at := now;
        ELSIF cost > permits THEN
            answer.outcome := 4;
        ELSIF running[1] = 1 THEN
            answer.outcome := 2;
        ELSIF missing > 0 THEN
            answer.outcome := 1;
            answer.wait := greatest(@log_freed(log, gone, period, missing, now), 1);
        ELSE
            answer.granted_at := @log_latest(log, now);
            running := ARRAY[1, cost, answer.granted_at];
        END IF;
    END IF;
    answer.remaining := CASE running[1] WHEN 1 THEN 0 ELSE greatest(permits - used, 0) END;
    answer.new_at := CASE running[1]
        WHEN 1 THEN 18446744073709551
        ELSE @log_empty_at(log, period)
    END;
    answer.full_after := greatest(answer.new_at - now, 0);
    answer.state := running || log;
END
$$;
