-- parameters: interval
-- state: the next free slot, and the interval in which that was counted
CREATE OR REPLACE FUNCTION @strict(
    parameters bigint[], INOUT state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint,
    OUT outcome integer, OUT granted_at bigint, OUT wait bigint,
    OUT most bigint, OUT remaining bigint, OUT full_after bigint, OUT rate integer,
    OUT new_at bigint
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    slot bigint := @times(parameters[1], cost);
    next bigint := coalesce(state[1], 0);
BEGIN
    IF state[2] <> parameters[1] THEN
        next := @rescaled(next, state[2], parameters[1], now);
    END IF;
    outcome := 0;
    granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF slot > 7884000000000000 THEN
            outcome := 4;
        ELSIF cost > 0 AND next > now THEN
            outcome := 1;
            wait := next - now;
        ELSIF now + slot > 18446744073709551 THEN
            outcome := 1;
            wait := greatest(18446744073709551 - now, 1);
        ELSIF cost > 0 THEN
            next := now + slot;
        END IF;
    WHEN 2 THEN
        granted_at := greatest(moment, now);
        IF cost > 0 THEN
            next := greatest(@later(next, granted_at - moment), @later(granted_at, slot));
        END IF;
    WHEN 3 THEN
        granted_at := moment;
        next := greatest(next - @left_of(slot, moment, now), 0);
    WHEN 4 THEN
        IF cost > 0 THEN
            next := @later(greatest(next, now), slot);
        END IF;
    ELSE
        granted_at := moment;
    END CASE;
    state := CASE next WHEN 0 THEN '{}' ELSE ARRAY[next, parameters[1]] END;
    most := 1;
    remaining := (next <= now)::integer;
    full_after := greatest(next - now, 0);
    rate := 0;
    new_at := next;
END
$$;
