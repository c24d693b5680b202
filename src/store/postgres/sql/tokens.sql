-- The instants at which permits arrive are one period apart: in fixed places, of which `first` is
-- the first, or, where that is below zero, counted on from the last one.

-- How many instants of a grid in fixed places have come.
CREATE OR REPLACE FUNCTION @come(first bigint, period bigint, now bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN now < first THEN 0 ELSE (now - first) / period + 1 END
$$;

-- How many ticks come after `tick`, up to and with `now`.
CREATE OR REPLACE FUNCTION @passed(first bigint, period bigint, tick bigint, now bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN first < 0 THEN greatest(now - tick, 0) / period
        ELSE greatest(@come(first, period, now) - @come(first, period, tick), 0)
    END
$$;

-- The tick to count from when nothing is counted yet.
CREATE OR REPLACE FUNCTION @begin(first bigint, period bigint, now bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN first < 0 THEN now
        WHEN now < first THEN 0
        ELSE now - (now - first) % period
    END
$$;

-- When this many permits will have arrived; null beyond the time line.
CREATE OR REPLACE FUNCTION @full_at(
    amount bigint, period bigint, first bigint, tick bigint, permits bigint
) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    ticks bigint := (permits + amount - 1) / amount;
    full_at bigint;
BEGIN
    IF permits = 0 THEN
        RETURN 0;
    END IF;
    IF first >= 0 THEN
        ticks := @come(first, period, tick) + ticks - 1;
        tick := first;
    END IF;
    full_at := tick + least(@times(period, ticks), 18446744073709552);
    RETURN CASE WHEN full_at <= 18446744073709551 THEN full_at END;
END
$$;

-- How many nanoseconds a permit takes.
CREATE OR REPLACE FUNCTION @interval(period bigint, amount bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (1000 * period + amount - 1) / amount
$$;

-- parameters: period, permits that arrive in it, capacity, permits missing at first, whether the
-- instants are in fixed places, the first of those
-- state: permits missing at the last tick, those of them taken after it, that tick; and, once anybody
-- has asked, the capacity and the interval of the limit that left it
CREATE OR REPLACE FUNCTION @tokens(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    period bigint := parameters[1];
    amount bigint := parameters[2];
    capacity bigint := parameters[3];
    first bigint := CASE parameters[5] WHEN 1 THEN parameters[6] ELSE -1 END;
    is_begun boolean := coalesce(state[4], 0) > 0;
    missing bigint := coalesce(state[1], 0);
    fresh bigint := coalesce(state[2], 0);
    tick bigint := coalesce(state[3], 0);
    ticks bigint;
    full_at bigint;
    back bigint;
    -- What is missing is taken from what has arrived until now, but only some asks remember that.
    is_kept boolean := false;
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    answer.rate := 0;
    answer.most := capacity;
    IF is_begun THEN
        ticks := @passed(first, period, tick, now);
        missing := greatest(missing - @times(ticks, amount), 0);
        IF missing = 0 THEN
            fresh := 0;
            tick := @begin(first, period, now);
        ELSIF ticks > 0 THEN
            fresh := 0;
            tick := CASE
                WHEN first < 0 THEN tick + ticks * period
                ELSE greatest(@begin(first, period, now), tick)
            END;
        END IF;
    ELSE
        missing := parameters[4];
        fresh := 0;
        tick := @begin(first, period, now);
    END IF;
    CASE ask
    WHEN 0 THEN
        IF cost > capacity THEN
            answer.outcome := 4;
        ELSIF cost > 0 THEN
            IF missing + cost <= capacity THEN
                full_at := @full_at(amount, period, first, tick, missing + cost);
                answer.outcome := CASE WHEN full_at IS NULL THEN 1 ELSE 0 END;
                full_at := NULL;
            ELSE
                full_at := @full_at(amount, period, first, tick, missing + cost - capacity);
                answer.outcome := 1;
            END IF;
            IF answer.outcome = 0 THEN
                missing := missing + cost;
                fresh := fresh + CASE WHEN now > tick THEN cost ELSE 0 END;
                is_kept := true;
            ELSE
                answer.wait := CASE
                    WHEN full_at IS NULL THEN greatest(18446744073709551 - now, 1)
                    ELSE greatest(full_at - now, 0)
                END;
                -- The wait counts from the first call: it has to be remembered.
                is_kept := NOT is_begun;
            END IF;
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        IF is_begun AND cost > 0 THEN
            ticks := CASE
                WHEN first < 0 THEN (greatest(tick - moment, 0) + period - 1) / period
                ELSE @passed(first, period, moment, tick)
            END;
            back := least(greatest(cost - @times(ticks, amount), 0), missing);
            missing := missing - back;
            IF moment > tick THEN
                fresh := greatest(fresh - back, 0);
            END IF;
            IF missing > 0 AND fresh >= missing AND first < 0 THEN
                tick := greatest(now, tick);
                fresh := 0;
            END IF;
            is_kept := true;
        END IF;
    WHEN 4 THEN
        IF cost > 0 THEN
            missing := missing + cost;
            fresh := fresh + CASE WHEN now > tick THEN cost ELSE 0 END;
            is_kept := true;
        END IF;
    WHEN 9 THEN
        -- What has arrived is counted by this limit. No more is missing than it holds.
        missing := least(missing, capacity);
        fresh := least(fresh, missing);
        is_kept := is_begun;
    ELSE
        answer.granted_at := moment;
    END CASE;
    answer.remaining := greatest(capacity - missing, 0);
    full_at := @full_at(amount, period, first, tick, missing);
    answer.full_after := greatest(coalesce(full_at, 18446744073709551) - now, 0);
    IF is_kept THEN
        state := ARRAY[missing, fresh, tick, capacity, @interval(period, amount)];
    ELSIF is_begun THEN
        full_at := @full_at(amount, period, first, state[3], state[1]);
    END IF;
    answer.new_at := CASE
        WHEN NOT is_begun AND NOT is_kept THEN 0
        WHEN parameters[4] > 0 THEN 18446744073709551
        ELSE coalesce(full_at, 18446744073709551)
    END;
    answer.state := state;
END
$$;
