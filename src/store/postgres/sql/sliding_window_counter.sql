-- How far into the window after one with `previous` permits there is room for `room` of them.
CREATE OR REPLACE FUNCTION @faded(previous bigint, room bigint, period bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE previous
        WHEN 0 THEN 0
        ELSE period - least(@ratio(room, period, previous), period)
    END
$$;

-- From when on nothing of these counters counts any more.
CREATE OR REPLACE FUNCTION @counted_until(
    start bigint, current bigint, previous bigint, period bigint
) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN current = 0 AND previous = 0 THEN 0
        WHEN current = 0 THEN @later(start, period)
        ELSE @later(start, 2 * period)
    END
$$;

-- parameters: permits, period
-- state: where the window begins that is counted now, the permits taken in it and in the one before
CREATE OR REPLACE FUNCTION @sliding_window_counter(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    permits bigint := parameters[1];
    period bigint := parameters[2];
    start bigint := now - now % period;
    current bigint := coalesce(state[2], 0);
    previous bigint := coalesce(state[3], 0);
    passed bigint;
    used bigint;
    room bigint := permits - cost;
    fits_at bigint;
    -- The counters are rolled on to now, but only some asks remember that.
    is_kept boolean := false;
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    answer.rate := 0;
    answer.most := permits;
    IF current <> 0 OR previous <> 0 THEN
        IF start < state[1] + period THEN
            -- Also where the clock was set back.
            start := state[1];
        ELSE
            previous := CASE WHEN start - state[1] < 2 * period THEN current ELSE 0 END;
            current := 0;
        END IF;
    END IF;
    used := current
        + @ratio_up(previous, greatest(period - greatest(now - start, 0), 0), period);
    CASE ask
    WHEN 0 THEN
        IF cost > permits THEN
            answer.outcome := 4;
        ELSIF cost > 0 AND used + cost <= permits AND start + 2 * period <= 18446744073709551 THEN
            current := current + cost;
            answer.granted_at := greatest(now, start);
            is_kept := true;
        ELSIF cost > 0 THEN
            IF room >= current THEN
                fits_at := @faded(previous, room - current, period);
            END IF;
            IF fits_at < period THEN
                fits_at := start + fits_at;
            ELSE
                -- Counted in this window, it fades in the next one.
                fits_at := start + period + @faded(current, room, period);
            END IF;
            answer.outcome := 1;
            answer.wait := CASE
                WHEN fits_at > now AND fits_at <= 18446744073709551 THEN fits_at - now
                ELSE greatest(18446744073709551 - now, 1)
            END;
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        IF cost > 0 THEN
            IF moment >= start THEN
                current := greatest(current - cost, 0);
            ELSIF moment >= start - period THEN
                previous := greatest(previous - cost, 0);
            END IF;
            is_kept := true;
        END IF;
    WHEN 4 THEN
        IF cost > 0 THEN
            current := current + cost;
            answer.granted_at := greatest(now, start);
            is_kept := true;
        END IF;
    ELSE
        answer.granted_at := moment;
    END CASE;
    used := current
        + @ratio_up(previous, greatest(period - greatest(now - start, 0), 0), period);
    answer.remaining := greatest(permits - used, 0);
    answer.full_after := greatest(@counted_until(start, current, previous, period) - now, 0);
    IF is_kept THEN
        state := ARRAY[start, current, previous];
    END IF;
    answer.new_at := @counted_until(
        coalesce(state[1], 0), coalesce(state[2], 0), coalesce(state[3], 0), period
    );
    answer.state := state;
END
$$;
