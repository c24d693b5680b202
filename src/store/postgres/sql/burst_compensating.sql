-- parameters: interval, most at once after a late wake-up
-- state: the next slot, until when slots in the past may be taken, when the last ones were taken, and
-- the interval of the limit that left it
CREATE OR REPLACE FUNCTION @burst_compensating(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    step bigint := parameters[1];
    length bigint := @times(step, cost);
    next bigint := coalesce(state[1], 0);
    catch_up_until bigint := coalesce(state[2], 0);
    taken_at bigint := coalesce(state[3], 0);
    slot bigint;
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    IF NOT (queued AND ask = 0) AND now >= catch_up_until THEN
        slot := greatest(next, now);
    ELSE
        slot := next
            + greatest(greatest(now - next, 0) / step - (parameters[2] - 1), 0) * step;
    END IF;
    CASE ask
    WHEN 0 THEN
        IF length > 7884000000000000 THEN
            answer.outcome := 4;
        ELSIF cost > 0 AND next > now THEN
            answer.outcome := 1;
            answer.wait := next - now;
        ELSIF slot + length > 18446744073709551 THEN
            answer.outcome := 1;
            answer.wait := greatest(18446744073709551 - now, 1);
        ELSIF cost > 0 THEN
            IF queued AND now > next THEN
                catch_up_until := @later(now, step);
            END IF;
            next := slot + length;
            taken_at := now;
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        IF moment = taken_at THEN
            next := greatest(next - least(length, 18446744073709551), 0);
        END IF;
    WHEN 4 THEN
        IF cost > 0 THEN
            next := @later(slot, length);
            taken_at := now;
        END IF;
    WHEN 9 THEN
        slot := greatest(now - next, 0) / state[4];
        IF greatest(now - next, 0) / step > slot THEN
            -- No more slots have passed than before: a change is not lateness.
            next := now - slot * step;
        ELSE
            next := @rescaled(next, state[4], step, now);
        END IF;
        catch_up_until := @rescaled(catch_up_until, state[4], step, now);
    ELSE
        answer.granted_at := moment;
    END CASE;
    answer.state := CASE WHEN next = 0 AND catch_up_until = 0 THEN '{}'
        ELSE ARRAY[next, catch_up_until, taken_at, step] END;
    answer.most := 1;
    answer.remaining := (next <= now)::integer;
    answer.rate := 0;
    answer.new_at := greatest(next, catch_up_until);
    answer.full_after := greatest(answer.new_at - now, 0);
END
$$;
