-- Until when a bucket is taken that nobody has reserved of; null where there is more to its record. It is
-- now, or the instant from which the record equals a new one.
CREATE OR REPLACE FUNCTION @level(record @@, now bigint, step bigint, depth bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN record.kind IS NULL THEN now
        WHEN record.kind <> 'leaky_bucket' THEN NULL
        -- What equals new is new.
        WHEN record.new_at <= now THEN now
        WHEN record.ahead <= now AND record.free = '{}'
            AND record.state[2] = step AND record.state[3] * step = depth
            AND record.state[1] = record.new_at
            AND record.new_at <= now + depth THEN record.new_at
    END
$$;

-- The quick way of a batch that takes permits of one leaky bucket on keys where nobody has reserved
-- any. Most are such, and one by one their orders take more than twice as long. Null where something
-- else turns up: nothing is written then, and the batch has to go the long way.
--
-- names, keys, parameters: as for the long way.
-- costs, counts, moments: how many permits each call about a key takes, how many such calls there
-- are, and how long the most patient of them would wait.
--
-- The answer is a null, when it was decided, how many records are new, and three numbers of each key, first
-- of all keys the first: how many permits were granted, how many there had been, and how long until the
-- bucket would have been full.
CREATE OR REPLACE FUNCTION @take(
    set_now bigint, names bytea[], keys bytea[], parameters bigint[],
    costs bigint[], counts bigint[], moments bigint[]
) RETURNS bigint[] LANGUAGE plpgsql VOLATILE
-- For the reasons that the long way has.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    now bigint := coalesce(set_now, @clock());
    name bytea := @place(names[1]);
    step bigint := parameters[1];
    depth bigint := step * parameters[2];
    read record;
    answers bigint[];
    inserted bigint := 0;
    updated bigint := 0;
BEGIN
    SELECT
        array_agg(r.tid) AS tids, array_agg(r.level) AS levels, array_agg(r.granted) AS granted,
        array_agg((now + depth - r.level) / step) AS remaining,
        array_agg(r.level - now) AS full_after,
        bool_and(coalesce(
            r.granted = r.cost * r.count
            OR r.level + step * (r.granted + r.cost) - (now + depth) > r.moment,
            false
        )) AS are_all,
        count(*) FILTER (WHERE r.granted > 0 AND r.tid IS NULL) AS inserts,
        count(*) FILTER (WHERE r.granted > 0 AND r.tid IS NOT NULL) AS updates
    INTO read
    FROM (
        SELECT
            k.cost, k.count, k.moment, l.level, t.ctid AS tid,
            least(k.count, (now + depth - l.level) / (step * k.cost)) * k.cost AS granted
        FROM unnest(names, keys, costs, counts, moments)
            WITH ORDINALITY AS k (name, key, cost, count, moment, index)
        LEFT JOIN @@ t ON t.limit_name = ANY (ARRAY[@place(k.name)]) AND t.key = k.key
        CROSS JOIN LATERAL (SELECT @level(t, now, step, depth) AS level) AS l
        ORDER BY k.index
    ) AS r;
    -- Beyond the end of the time line the long way cuts.
    IF NOT read.are_all OR now + 2 * depth > 18446744073709551 THEN
        RETURN NULL;
    END IF;
    answers := ARRAY[NULL, now, read.inserts] || read.granted || read.remaining || read.full_after;
    IF read.inserts + read.updates = 0 THEN
        RETURN answers;
    END IF;

    BEGIN
        -- First what is new, then what is there, each in the order of the keys: nobody who waits here
        -- holds what somebody else waits for.
        IF read.inserts > 0 THEN
            INSERT INTO @@
            SELECT name, k.key, 'leaky_bucket',
                ARRAY[k.level + k.granted * step, step, parameters[2]], 0, '{}',
                k.level + k.granted * step, NULL
            FROM unnest(keys, read.tids, read.levels, read.granted)
                AS k (key, tid, level, granted)
            WHERE k.granted > 0 AND k.tid IS NULL
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS inserted = ROW_COUNT;
        END IF;
        -- Where a row is is found faster than its key; the key says whether it still is that row.
        IF read.updates > 0 AND inserted = read.inserts THEN
            UPDATE @@ t
            SET state = ARRAY[k.level + k.granted * step, step, parameters[2]],
                ahead = CASE WHEN t.new_at <= now THEN 0 ELSE t.ahead END, free = '{}',
                new_at = k.level + k.granted * step
            FROM unnest(keys, read.tids, read.levels, read.granted)
                AS k (key, tid, level, granted)
            WHERE k.granted > 0 AND t.ctid = k.tid
                AND (t.limit_name, t.key) IS NOT DISTINCT FROM (name, k.key)
                AND @level(t, now, step, depth) = k.level;
            GET DIAGNOSTICS updated = ROW_COUNT;
        END IF;
        IF inserted = read.inserts AND updated = read.updates THEN
            RETURN answers;
        END IF;
        RAISE serialization_failure;
    EXCEPTION WHEN serialization_failure THEN
        -- Somebody was in between. All of it is undone, and what was locked is let go.
        RETURN NULL;
    END;
END
$$;
