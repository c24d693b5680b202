-- parameters: interval, capacity
-- state: when the bucket is empty, and the interval and the capacity of the limit that left it
CREATE OR REPLACE FUNCTION @leaky_bucket(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    step bigint := parameters[1];
    depth bigint := step * parameters[2];
    empty_at bigint := coalesce(state[1], 0);
    filled_at bigint;
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF cost > parameters[2] THEN
            answer.outcome := 4;
        ELSIF cost > 0 THEN
            filled_at := greatest(empty_at, now) + step * cost;
            IF filled_at > 18446744073709551 THEN
                answer.outcome := 1;
                answer.wait := greatest(18446744073709551 - now, 1);
            ELSIF filled_at - now > depth THEN
                answer.outcome := 1;
                answer.wait := filled_at - now - depth;
            ELSE
                empty_at := filled_at;
            END IF;
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        empty_at := greatest(empty_at - @left_of(@times(step, cost), moment, now), 0);
    WHEN 4 THEN
        IF cost > 0 THEN
            empty_at := @later(greatest(empty_at, now), @times(step, cost));
        END IF;
    WHEN 9 THEN
        -- No more is in it than it holds.
        empty_at := least(@rescaled(empty_at, state[2], step, now), @later(now, depth));
    ELSE
        answer.granted_at := moment;
    END CASE;
    answer.state := CASE empty_at WHEN 0 THEN '{}' ELSE ARRAY[empty_at, step, parameters[2]] END;
    answer.most := parameters[2];
    answer.full_after := greatest(empty_at - now, 0);
    answer.remaining := greatest(depth - answer.full_after, 0) / step;
    answer.rate := 0;
    answer.new_at := empty_at;
END
$$;
