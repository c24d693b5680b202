-- parameters: permits and period of each rate, by growing period
-- state: a log of calls
CREATE OR REPLACE FUNCTION @sliding_window(
    parameters bigint[], INOUT state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint,
    OUT outcome integer, OUT granted_at bigint, OUT wait bigint,
    OUT most bigint, OUT remaining bigint, OUT full_after bigint, OUT rate integer,
    OUT new_at bigint
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
    granted_at := moment;
    CASE ask
    WHEN 0 THEN
        granted_at := @log_latest(state, now);
    WHEN 2 THEN
        IF now > moment THEN
            log := @log_removed(state, cost, moment);
            IF log IS NOT NULL THEN
                granted_at := @log_latest(log, now);
                state := @log_with(log, cost, granted_at);
            END IF;
        END IF;
    WHEN 3 THEN
        state := coalesce(@log_removed(state, cost, moment), state);
    WHEN 4 THEN
        granted_at := @log_latest(state, now);
        IF cost > 0 THEN
            state := @log_without(state, @log_gone(state, longest, now));
            state := @log_with(state, cost, granted_at);
        END IF;
    ELSE
        NULL;
    END CASE;

    outcome := 0;
    rate := 0;
    most := 4294967295;
    remaining := 4294967295;
    FOR index IN 1 .. cardinality(parameters) / 2 LOOP
        permits := parameters[2 * index - 1];
        period := parameters[2 * index];
        gone := @log_gone(state, period, now);
        used := @log_used(state, gone);
        missing := greatest(used + wanted - permits, 0);
        IF wanted > permits OR (wanted > 0 AND missing > 0) THEN
            IF outcome = 0 THEN
                -- The first failing rate is the one named.
                rate := index - 1;
                most := permits;
                remaining := greatest(permits - used, 0);
                outcome := CASE WHEN wanted > permits THEN 4 ELSE 1 END;
            END IF;
            IF outcome = 1 AND wanted <= permits THEN
                wait := greatest(wait, @log_freed(state, gone, period, missing, now));
            END IF;
        ELSIF outcome = 0 AND greatest(permits - used, 0) < remaining THEN
            rate := index - 1;
            most := permits;
            remaining := greatest(permits - used, 0);
        END IF;
    END LOOP;
    IF ask = 0 AND outcome = 0 AND cost > 0 THEN
        remaining := remaining - cost;
        state := @log_without(state, @log_gone(state, longest, now));
        state := @log_with(state, cost, granted_at);
    END IF;
    new_at := @log_empty_at(state, longest);
    full_after := greatest(new_at - now, 0);
END
$$;
