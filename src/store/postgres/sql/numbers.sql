-- Time is whole microseconds, and ends where that of the Rust side does: 18446744073709551. What
-- does not fit is cut to the end, as it is there.

-- The product, cut to the largest number.
CREATE OR REPLACE FUNCTION @times(a bigint, b bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN b = 0 THEN 0
        WHEN a > 9223372036854775807 / b THEN 9223372036854775807
        ELSE a * b
    END
$$;

-- The instant a span after another.
CREATE OR REPLACE FUNCTION @later(instant bigint, span bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(instant + least(span, 18446744073709551), 18446744073709551)
$$;

-- How much of the time that permits take is left when they go back.
CREATE OR REPLACE FUNCTION @left_of(length bigint, granted_at bigint, now bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(length, 18446744073709551) - greatest(now - granted_at, 0), 0)
$$;

-- The end of permits that are taken one after another, an interval each, when the interval changes:
-- those still to come take the new one, on from the last tick.
CREATE OR REPLACE FUNCTION @rescaled(ends bigint, before bigint, after bigint, now bigint)
RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    outstanding bigint := (ends - now + before - 1) / before;
BEGIN
    IF before = after OR ends <= now THEN
        RETURN ends;
    END IF;
    ends := ends - before * outstanding + least(@times(after, outstanding), 18446744073709551);
    RETURN greatest(least(ends, 18446744073709551), now);
END
$$;

-- a * b / c, rounded down; the product may be larger than any bigint.
CREATE OR REPLACE FUNCTION @ratio(a bigint, b bigint, c bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN b = 0 THEN 0
        WHEN a <= 9223372036854775807 / b THEN a * b / c
        ELSE least(div(a::numeric * b, c), 9223372036854775807)::bigint
    END
$$;

-- The same, rounded up.
CREATE OR REPLACE FUNCTION @ratio_up(a bigint, b bigint, c bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN b = 0 THEN 0
        WHEN a <= (9223372036854775807 - c) / b THEN (a * b + c - 1) / c
        ELSE least(div(a::numeric * b + c - 1, c), 9223372036854775807)::bigint
    END
$$;

-- The clock of the server.
CREATE OR REPLACE FUNCTION @clock() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;
