-- parameters: interval
-- state: the next free slot, and the interval of the limit that left it
CREATE OR REPLACE FUNCTION @strict(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    slot bigint := @times(parameters[1], cost);
    next bigint := coalesce(state[1], 0);
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF slot > 7884000000000000 THEN
            answer.outcome := 4;
        ELSIF cost > 0 AND next > now THEN
            answer.outcome := 1;
            answer.wait := next - now;
        ELSIF now + slot > 18446744073709551 THEN
            answer.outcome := 1;
            answer.wait := greatest(18446744073709551 - now, 1);
        ELSIF cost > 0 THEN
            next := now + slot;
        END IF;
    WHEN 2 THEN
        answer.granted_at := greatest(moment, now);
        IF cost > 0 THEN
            next := greatest(
                @later(next, answer.granted_at - moment), @later(answer.granted_at, slot)
            );
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        next := greatest(next - @left_of(slot, moment, now), 0);
    WHEN 4 THEN
        IF cost > 0 THEN
            next := @later(greatest(next, now), slot);
        END IF;
    WHEN 9 THEN
        next := @rescaled(next, state[2], parameters[1], now);
    ELSE
        answer.granted_at := moment;
    END CASE;
    answer.state := CASE next WHEN 0 THEN '{}' ELSE ARRAY[next, parameters[1]] END;
    answer.most := 1;
    answer.remaining := (next <= now)::integer;
    answer.full_after := greatest(next - now, 0);
    answer.rate := 0;
    answer.new_at := next;
END
$$;
