-- The quickest way of a batch that takes permits of one leaky bucket: where there is a record of each key
-- and every call is granted, they are read, decided and written at once. Null where something else turns
-- up: nothing is written then, and the batch has to go another way.
--
-- names, keys, parameters, costs, counts: as for the quick way. So are the answers.
--
-- Records are locked in the order of the keys. Whoever finds one locked waits, and decides by what it has
-- become; after a long wait not by an instant that is long over.
CREATE OR REPLACE FUNCTION @grant(
    set_now bigint, names bytea[], keys bytea[], parameters bigint[], costs bigint[], counts bigint[]
) RETURNS bigint[] LANGUAGE plpgsql VOLATILE
-- For the reasons that the long way has.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    now bigint := coalesce(set_now, @clock());
    step bigint := parameters[1];
    depth bigint := step * parameters[2];
    done record;
BEGIN
    -- Beyond the end of the time line the long way cuts.
    IF now + 2 * depth > 18446744073709551 THEN
        RETURN NULL;
    END IF;
    WITH granted AS (
        UPDATE @@ t
        SET state = ARRAY[greatest(t.new_at, now) + k.taken * step, step, parameters[2]],
            ahead = CASE WHEN t.new_at <= now THEN 0 ELSE t.ahead END, free = '{}',
            new_at = greatest(t.new_at, now) + k.taken * step
        FROM (
            SELECT @place(u.name) AS name, u.key, u.cost * u.count AS taken, u.index
            FROM unnest(names, keys, costs, counts)
                WITH ORDINALITY AS u (name, key, cost, count, index)
        ) AS k
        WHERE t.limit_name = ANY (ARRAY[k.name]) AND t.key = k.key
            AND k.taken <= (now + depth - @level(t, now, step, depth)) / step
        RETURNING k.index, k.taken, t.new_at - k.taken * step AS level
    )
    SELECT count(*) AS count, array_agg(g.taken) AS taken,
        array_agg((now + depth - g.level) / step) AS remaining,
        array_agg(g.level - now) AS full_after
    INTO done FROM (SELECT * FROM granted ORDER BY index) AS g;
    -- A tenth of a second, which is longer than any batch takes by itself.
    IF done.count < cardinality(keys) OR set_now IS NULL AND @clock() - now > 100000 THEN
        -- All of it is undone, and what was locked is let go.
        RAISE serialization_failure;
    END IF;
    RETURN ARRAY[NULL, now, 0] || done.taken || done.remaining || done.full_after;
EXCEPTION WHEN serialization_failure THEN
    RETURN NULL;
END
$$;
