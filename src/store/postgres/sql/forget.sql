-- Forgets what equals new among so many records, two or more, from this one on, but for those that
-- others are about to change. Says how many, and which was the last one looked at: null at the end.
CREATE OR REPLACE FUNCTION @forget(
    set_now bigint, from_name bytea, from_key bytea, most integer,
    OUT forgotten bigint, OUT last_name bytea, OUT last_key bytea
) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    now bigint := coalesce(set_now, @clock());
BEGIN
    SELECT t.limit_name, t.key INTO last_name, last_key
    FROM @@ t WHERE (t.limit_name, t.key) >= (from_name, from_key)
    ORDER BY t.limit_name, t.key OFFSET most - 1 LIMIT 1;
    DELETE FROM @@ d WHERE d.ctid = ANY (ARRAY(
        SELECT t.ctid FROM @@ t
        WHERE (t.limit_name, t.key) >= (from_name, from_key)
            AND (last_name IS NULL OR (t.limit_name, t.key) <= (last_name, last_key))
            AND t.new_at <= now
        FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
END
$$;
