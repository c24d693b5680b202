-- What is answered, and what the record is from then on. An algorithm leaves out who is ahead and what
-- is free, of which it knows nothing. A type with a name is made three times as fast as one that only
-- lists its columns.
DO $$
BEGIN
    CREATE TYPE @answered AS (
        state bigint[], ahead bigint, free bigint[], new_at bigint,
        outcome integer, granted_at bigint, wait bigint,
        most bigint, remaining bigint, full_after bigint, rate integer
    );
EXCEPTION WHEN duplicate_object THEN
    NULL;
END
$$;
