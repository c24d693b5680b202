-- parameters: permits and period of each rate, by growing period
-- state: a log of calls
CREATE OR REPLACE FUNCTION @sliding_window(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    longest bigint := parameters[cardinality(parameters)];
    permits bigint;
    period bigint;
    wanted bigint := CASE ask WHEN 0 THEN cost ELSE 0 END;
    gone integer;
    used bigint;
    missing bigint;
    log bigint[];
BEGIN
    IF cardinality(state) = 0 THEN
        state := ARRAY[0];
    END IF;
    answer.granted_at := moment;
    CASE ask
    WHEN 0 THEN
        answer.granted_at := @log_latest(state, now);
    WHEN 2 THEN
        -- What has left the log is gone, whether it was forgotten yet or not.
        IF now > moment AND now - moment < longest THEN
            log := @log_removed(state, cost, moment);
            IF log IS NOT NULL THEN
                answer.granted_at := @log_latest(log, now);
                state := @log_with(log, cost, answer.granted_at);
            END IF;
        END IF;
    WHEN 3 THEN
        state := coalesce(@log_removed(state, cost, moment), state);
    WHEN 4 THEN
        answer.granted_at := @log_latest(state, now);
        IF cost > 0 THEN
            state := @log_without(state, @log_gone(state, longest, now));
            state := @log_with(state, cost, answer.granted_at);
        END IF;
    ELSE
        NULL;
    END CASE;

    answer.outcome := 0;
    answer.rate := 0;
    answer.most := 4294967295;
    answer.remaining := 4294967295;
    FOR index IN 1 .. cardinality(parameters) / 2 LOOP
        permits := parameters[2 * index - 1];
        period := parameters[2 * index];
        gone := @log_gone(state, period, now);
        used := @log_used(state, gone);
        missing := greatest(used + wanted - permits, 0);
        IF wanted > permits OR (wanted > 0 AND missing > 0) THEN
            IF answer.outcome = 0 THEN
                -- The first failing rate is the one named.
                answer.rate := index - 1;
                answer.most := permits;
                answer.remaining := greatest(permits - used, 0);
                answer.outcome := CASE WHEN wanted > permits THEN 4 ELSE 1 END;
            END IF;
            IF answer.outcome = 1 AND wanted <= permits THEN
                answer.wait := greatest(answer.wait, @log_freed(state, gone, period, missing, now));
            END IF;
        ELSIF answer.outcome = 0 AND greatest(permits - used, 0) < answer.remaining THEN
            answer.rate := index - 1;
            answer.most := permits;
            answer.remaining := greatest(permits - used, 0);
        END IF;
    END LOOP;
    IF ask = 0 AND answer.outcome = 0 AND cost > 0 THEN
        answer.remaining := answer.remaining - cost;
        state := @log_without(state, @log_gone(state, longest, now));
        state := @log_with(state, cost, answer.granted_at);
    END IF;
    answer.new_at := @log_empty_at(state, longest);
    answer.full_after := greatest(answer.new_at - now, 0);
    answer.state := state;
END
$$;
