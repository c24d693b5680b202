-- The holders of permits: the permits of all of them, the instant of the last grant, then for each,
-- oldest first, the instant of the grant and its permits.

-- How many leases have ended.
CREATE OR REPLACE FUNCTION @ended(holders bigint[], lease bigint, now bigint) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    ended integer := 0;
BEGIN
    IF lease > 0 THEN
        WHILE now - holders[2 * ended + 3] >= lease LOOP
            ended := ended + 1;
        END LOOP;
    END IF;
    RETURN ended;
END
$$;

-- The holders without so many at the beginning.
CREATE OR REPLACE FUNCTION @holders_without(holders bigint[], ended integer) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    permits bigint := holders[1];
BEGIN
    IF ended = 0 THEN
        RETURN holders;
    END IF;
    FOR index IN 1 .. ended LOOP
        permits := permits - holders[2 * index + 2];
    END LOOP;
    RETURN ARRAY[permits, holders[2]] || holders[2 * ended + 3:];
END
$$;

-- The holders with a grant more.
CREATE OR REPLACE FUNCTION @holders_with(holders bigint[], cost bigint, moment bigint)
RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[holders[1] + cost, moment] || holders[3:] || ARRAY[moment, cost]
$$;

-- The holders without one grant; null when it is not there.
CREATE OR REPLACE FUNCTION @holders_removed(holders bigint[], cost bigint, moment bigint)
RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    FOR index IN 1 .. cardinality(holders) / 2 - 1 LOOP
        IF holders[2 * index + 1] = moment AND holders[2 * index + 2] = cost THEN
            RETURN ARRAY[holders[1] - cost, holders[2]]
                || holders[3:2 * index] || holders[2 * index + 3:];
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

-- How long until the leases of this many permits have ended, after those that have; null when
-- they never do.
CREATE OR REPLACE FUNCTION @holders_freed(
    holders bigint[], ended integer, permits bigint, lease bigint, now bigint
) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    freed bigint := 0;
BEGIN
    IF lease > 0 THEN
        FOR index IN ended + 1 .. cardinality(holders) / 2 - 1 LOOP
            freed := freed + holders[2 * index + 2];
            IF freed >= permits THEN
                -- A lease that would end beyond the time line does not end.
                RETURN CASE WHEN holders[2 * index + 1] + lease <= 18446744073709551
                    THEN greatest(holders[2 * index + 1] + lease - now, 0) END;
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

-- parameters: capacity, lease or 0
-- state: the holders
CREATE OR REPLACE FUNCTION @concurrency(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    lease bigint := parameters[2];
    latest bigint;
    ended integer;
    missing bigint;
    others bigint[];
    -- Somebody comes back whose permits are anybody's.
    is_lost boolean := false;
BEGIN
    IF cardinality(state) = 0 THEN
        state := ARRAY[0, 0];
    END IF;
    latest := greatest(state[2], now);
    answer.outcome := 0;
    answer.rate := 0;
    answer.most := parameters[1];
    answer.granted_at := CASE WHEN ask IN (0, 4) THEN now ELSE moment END;
    IF ask = 2 AND cost > 0 THEN
        IF lease = 0 OR now - moment < lease THEN
            others := @holders_removed(state, cost, moment);
        END IF;
        IF others IS NULL THEN
            is_lost := true;
        ELSIF lease > 0 THEN
            -- Without one nothing begins anew.
            answer.granted_at := latest;
            state := @holders_with(others, cost, latest);
        END IF;
    ELSIF ask IN (3, 5) THEN
        state := coalesce(@holders_removed(state, cost, moment), state);
    ELSIF ask = 4 AND cost > 0 THEN
        answer.granted_at := latest;
        state := @holders_without(state, @ended(state, lease, now));
        state := @holders_with(state, cost, latest);
    END IF;

    ended := @ended(state, lease, now);
    others := @holders_without(state, ended);
    IF (ask = 0 OR is_lost) AND cost > 0 THEN
        missing := greatest(others[1] + cost - answer.most, 0);
        IF cost > answer.most THEN
            answer.outcome := 4;
        ELSIF missing > 0 THEN
            answer.outcome := 2;
            answer.wait := @holders_freed(state, ended, missing, lease, now);
        ELSE
            answer.granted_at := latest;
            others := @holders_with(others, cost, latest);
            state := others;
        END IF;
    END IF;
    answer.remaining := greatest(answer.most - others[1], 0);
    answer.new_at := CASE
        WHEN cardinality(state) = 2 THEN 0
        WHEN lease = 0 THEN 18446744073709551
        ELSE @later(state[cardinality(state) - 1], lease)
    END;
    answer.full_after := greatest(answer.new_at - now, 0);
    answer.state := state;
END
$$;
