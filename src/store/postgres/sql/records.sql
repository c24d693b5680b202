-- For algorithms that are decided elsewhere: their records are bytes.

-- The records of these keys, null where there is none, and the time.
CREATE OR REPLACE FUNCTION @read(
    set_now bigint, names bytea[], keys bytea[], OUT now bigint, OUT records bytea[]
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    read record;
BEGIN
    records := array_fill(NULL::bytea, ARRAY[cardinality(keys)]);
    FOR read IN
        SELECT k.index, t.bytes
        FROM unnest(names, keys) WITH ORDINALITY AS k (limit_name, key, index)
        CROSS JOIN LATERAL (SELECT @place(k.limit_name) AS limit_name) AS p
        JOIN @@ t ON t.limit_name = ANY (ARRAY[p.limit_name]) AND t.key = k.key
    LOOP
        records[read.index] := read.bytes;
    END LOOP;
    now := coalesce(set_now, @clock());
END
$$;

-- Puts records in the place of others, all of them or, where one has changed meanwhile, none. The keys
-- are in an order that all clients agree upon.
CREATE OR REPLACE FUNCTION @swap(
    names bytea[], keys bytea[], before bytea[], after bytea[], equals_new_at bigint[]
) RETURNS void LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off AS $$
DECLARE
    which_name bytea;
BEGIN
    FOR index IN 1 .. cardinality(keys) LOOP
        which_name := @place(names[index]);
        IF before[index] IS NULL THEN
            INSERT INTO @@ AS t VALUES (
                which_name, keys[index], 'bytes', '{}', 0, '{}', equals_new_at[index], after[index]
            )
            ON CONFLICT (limit_name, key) DO UPDATE
            SET kind = excluded.kind, state = excluded.state, ahead = excluded.ahead,
                free = excluded.free, new_at = excluded.new_at, bytes = excluded.bytes
            WHERE t.bytes IS NULL;
        ELSIF after[index] IS NULL THEN
            DELETE FROM @@ t
            WHERE t.limit_name = which_name AND t.key = keys[index] AND t.bytes = before[index];
        ELSE
            UPDATE @@ t SET bytes = after[index], new_at = equals_new_at[index]
            WHERE t.limit_name = which_name AND t.key = keys[index] AND t.bytes = before[index];
        END IF;
        IF NOT FOUND THEN
            RAISE serialization_failure;
        END IF;
    END LOOP;
END
$$;
