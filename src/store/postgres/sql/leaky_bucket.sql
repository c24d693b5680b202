-- parameters: interval, capacity
-- state: when the bucket is empty, and the interval in which that was counted
CREATE OR REPLACE FUNCTION @leaky_bucket(
    parameters bigint[], INOUT state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint,
    OUT outcome integer, OUT granted_at bigint, OUT wait bigint,
    OUT most bigint, OUT remaining bigint, OUT full_after bigint, OUT rate integer,
    OUT new_at bigint
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    step bigint := parameters[1];
    depth bigint := step * parameters[2];
    empty_at bigint := coalesce(state[1], 0);
    filled_at bigint;
BEGIN
    IF state[2] <> step THEN
        empty_at := @rescaled(empty_at, state[2], step, now);
    END IF;
    outcome := 0;
    granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF cost > parameters[2] THEN
            outcome := 4;
        ELSIF cost > 0 THEN
            filled_at := greatest(empty_at, now) + step * cost;
            IF filled_at > 18446744073709551 THEN
                outcome := 1;
                wait := greatest(18446744073709551 - now, 1);
            ELSIF filled_at - now > depth THEN
                outcome := 1;
                wait := filled_at - now - depth;
            ELSE
                empty_at := filled_at;
            END IF;
        END IF;
    WHEN 3 THEN
        granted_at := moment;
        empty_at := greatest(empty_at - @left_of(@times(step, cost), moment, now), 0);
    WHEN 4 THEN
        IF cost > 0 THEN
            empty_at := @later(greatest(empty_at, now), @times(step, cost));
        END IF;
    ELSE
        granted_at := moment;
    END CASE;
    state := CASE empty_at WHEN 0 THEN '{}' ELSE ARRAY[empty_at, step] END;
    most := parameters[2];
    full_after := greatest(empty_at - now, 0);
    remaining := greatest(depth - full_after, 0) / step;
    rate := 0;
    new_at := empty_at;
END
$$;
