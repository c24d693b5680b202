-- A log of calls: how many permits were taken before the oldest call, then for each call, oldest
-- first, its instant and how many permits were taken up to and with it.

-- The number of calls.
CREATE OR REPLACE FUNCTION @log_calls(log bigint[]) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (cardinality(log) - 1) / 2
$$;

-- The instant at which a call is written down: never before those already in the log.
CREATE OR REPLACE FUNCTION @log_latest(log bigint[], now bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE cardinality(log) WHEN 1 THEN now ELSE greatest(log[cardinality(log) - 1], now) END
$$;

-- When no call is left in a window of this length.
CREATE OR REPLACE FUNCTION @log_empty_at(log bigint[], period bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE cardinality(log) WHEN 1 THEN 0 ELSE @later(log[cardinality(log) - 1], period) END
$$;

-- How many calls at the beginning have less than this in a column: 0 are the instants, 1 the sums.
CREATE OR REPLACE FUNCTION @log_below(log bigint[], column_ integer, bound bigint)
RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    low integer := 0;
    high integer := (cardinality(log) - 1) / 2;
    middle integer;
BEGIN
    WHILE low < high LOOP
        middle := (low + high) / 2;
        IF log[2 * middle + 2 + column_] < bound THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

-- How many calls have left the window of this length.
CREATE OR REPLACE FUNCTION @log_gone(log bigint[], period bigint, now bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT @log_below(log, 0, now - period + 1)
$$;

-- How many permits are in the window after so many calls that have left it.
CREATE OR REPLACE FUNCTION @log_used(log bigint[], gone integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT log[cardinality(log)] - log[2 * gone + 1]
$$;

-- How long until this many permits of that window, one at least, have left it, too.
CREATE OR REPLACE FUNCTION @log_freed(
    log bigint[], gone integer, period bigint, permits bigint, now bigint
) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    index integer := @log_below(log, 1, log[2 * gone + 1] + permits);
BEGIN
    index := greatest(index, gone);
    IF index >= (cardinality(log) - 1) / 2 THEN
        RETURN 0;
    END IF;
    RETURN greatest(@later(log[2 * index + 2], period) - now, 0);
END
$$;

-- The log without so many calls at its beginning.
CREATE OR REPLACE FUNCTION @log_without(log bigint[], calls integer) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE calls WHEN 0 THEN log ELSE log[2 * calls + 1:] END
$$;

-- The log with a call more.
CREATE OR REPLACE FUNCTION @log_with(log bigint[], cost bigint, moment bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT log || ARRAY[moment, log[cardinality(log)] + cost]
$$;

-- The log without these permits, a call or a part of one, as if they had never been taken; null when they are not
-- there.
CREATE OR REPLACE FUNCTION @log_removed(log bigint[], cost bigint, moment bigint)
RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    calls integer := (cardinality(log) - 1) / 2;
    index integer := @log_below(log, 0, moment);
    larger integer;
    taken bigint;
BEGIN
    LOOP
        IF index >= calls OR log[2 * index + 2] <> moment THEN
            IF larger IS NULL THEN
                RETURN NULL;
            END IF;
            index := larger;
            EXIT;
        END IF;
        taken := log[2 * index + 3] - log[2 * index + 1];
        IF taken = cost THEN
            log := log[:2 * index + 1] || log[2 * index + 4:];
            calls := calls - 1;
            EXIT;
        END IF;
        IF taken > cost AND larger IS NULL THEN
            larger := index;
        END IF;
        index := index + 1;
    END LOOP;
    FOR later IN index .. calls - 1 LOOP
        log[2 * later + 3] := log[2 * later + 3] - cost;
    END LOOP;
    RETURN log;
END
$$;
