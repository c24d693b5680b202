-- parameters: interval, most at once after a late wake-up
-- state: the next slot, until when slots in the past may be taken, when the last ones were taken, and
-- the interval in which that was counted
CREATE OR REPLACE FUNCTION @burst_compensating(
    parameters bigint[], INOUT state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint,
    OUT outcome integer, OUT granted_at bigint, OUT wait bigint,
    OUT most bigint, OUT remaining bigint, OUT full_after bigint, OUT rate integer,
    OUT new_at bigint
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    step bigint := parameters[1];
    length bigint := @times(step, cost);
    next bigint := coalesce(state[1], 0);
    catch_up_until bigint := coalesce(state[2], 0);
    taken_at bigint := coalesce(state[3], 0);
    slot bigint;
BEGIN
    IF state[4] <> step THEN
        slot := greatest(now - next, 0) / state[4];
        IF greatest(now - next, 0) / step > slot THEN
            -- No more slots have passed than before: a change is not lateness.
            next := now - slot * step;
        ELSE
            next := @rescaled(next, state[4], step, now);
        END IF;
        catch_up_until := @rescaled(catch_up_until, state[4], step, now);
    END IF;
    outcome := 0;
    granted_at := now;
    IF NOT (queued AND ask = 0) AND now >= catch_up_until THEN
        slot := greatest(next, now);
    ELSE
        slot := next
            + greatest(greatest(now - next, 0) / step - (parameters[2] - 1), 0) * step;
    END IF;
    CASE ask
    WHEN 0 THEN
        IF length > 7884000000000000 THEN
            outcome := 4;
        ELSIF cost > 0 AND next > now THEN
            outcome := 1;
            wait := next - now;
        ELSIF slot + length > 18446744073709551 THEN
            outcome := 1;
            wait := greatest(18446744073709551 - now, 1);
        ELSIF cost > 0 THEN
            IF queued AND now > next THEN
                catch_up_until := @later(now, step);
            END IF;
            next := slot + length;
            taken_at := now;
        END IF;
    WHEN 3 THEN
        granted_at := moment;
        IF moment = taken_at THEN
            next := greatest(next - least(length, 18446744073709551), 0);
        END IF;
    WHEN 4 THEN
        IF cost > 0 THEN
            next := @later(slot, length);
            taken_at := now;
        END IF;
    ELSE
        granted_at := moment;
    END CASE;
    state := CASE WHEN next = 0 AND catch_up_until = 0 THEN '{}'
        ELSE ARRAY[next, catch_up_until, taken_at, step] END;
    most := 1;
    remaining := (next <= now)::integer;
    rate := 0;
    new_at := greatest(next, catch_up_until);
    full_after := greatest(new_at - now, 0);
END
$$;
