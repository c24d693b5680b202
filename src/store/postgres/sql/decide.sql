-- The bytes of a limit's name as they are kept: an index cannot hold many, so most of those of a long one
-- are a digest. It is longer than any that is not, so that no two are the same. Keys are never long.
CREATE OR REPLACE FUNCTION @place(bytes bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN octet_length(bytes) <= 1000 THEN bytes
        ELSE substr(bytes, 1, 1000) || sha256(bytes)
    END
$$;

-- Decides a batch.
--
-- names, keys: the keys of the batch, each once, in an order that all clients agree upon.
-- kinds, parameters, ends: the algorithms, and where the parameters of each end.
-- orders, of seven numbers each: which key and which algorithm, counted from one, what is asked,
-- cost, whether queued, moment, and whether it belongs to the group of the order before it.
--
-- The answers are of eight numbers each: when it was decided, outcome, instant of the grant, wait,
-- limit, remaining, time until full, and rate.
--
-- What changes nothing takes no lock. The keys are read, all orders answered, and the records written
-- that are to change, provided that they still are as they were read: mostly nobody was in between.
-- Otherwise those keys are locked whose records are to change, and those of the same groups, and where
-- others have changed one of them, the orders about the locked keys are answered once more.
--
-- Names are looked for in an array of one. Were they compared as they are, a plan that was made while the
-- table was small could read all of it, in the order of the names, as if that were of use to a merge join.
CREATE OR REPLACE FUNCTION @decide(
    set_now bigint, names bytea[], keys bytea[],
    kinds text[], parameters bigint[], ends integer[], orders bigint[]
) RETURNS bigint[] LANGUAGE plpgsql VOLATILE
-- Planning takes longer than deciding, so it is done once for each connection; and a plan made while
-- the table was small must not be one that reads all of it.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    now bigint := coalesce(set_now, @clock());
    many integer := cardinality(orders) / 7;
    none boolean[] := array_fill(false, ARRAY[cardinality(keys)]);
    -- The records as they stand in the table, and as they are to stand.
    stored @@[];
    kept @@[];
    -- The same within a group of several, and for which of them it counts if all are granted.
    tried @@[];
    counts boolean[];
    before @@;
    changed boolean[];
    locked boolean[];
    -- Those put into the table by this batch.
    own boolean[] := none;
    -- How many records should have been locked and were not.
    missing integer := 0;
    is_grown boolean;
    -- How many records are to be written, and whether all of these are there already and stay.
    writes integer;
    are_there boolean;
    written integer;
    is_stale boolean := false;
    read record;
    answers bigint[] := array_fill(NULL::bigint, ARRAY[8 * many]);
    answer @answered;
    has_groups boolean := false;
    group_begins integer;
    group_ends integer;
    is_several boolean;
    passes boolean;
    is_kept boolean;
    stays boolean;
    was_new boolean;
    is_others boolean;
    which integer;
    algorithm integer;
    kind text;
    settings bigint[];
    what integer;
    cost bigint;
    at bigint;
BEGIN
    FOR index IN 1 .. cardinality(keys) LOOP
        names[index] := @place(names[index]);
    END LOOP;
    stored := ARRAY(
        SELECT t
        FROM unnest(names, keys) WITH ORDINALITY AS k (limit_name, key, index)
        LEFT JOIN @@ t ON t.limit_name = ANY (ARRAY[k.limit_name]) AND t.key = k.key
        ORDER BY k.index
    );

    LOOP
        kept := stored;
        changed := none;
        group_ends := 0;
        WHILE group_ends < many LOOP
            group_begins := group_ends;
            LOOP
                group_ends := group_ends + 1;
                EXIT WHEN group_ends = many OR orders[7 * group_ends + 7] = 0;
            END LOOP;
            CONTINUE WHEN is_stale AND NOT locked[orders[7 * group_begins + 1]];
            is_several := group_ends - group_begins > 1;
            IF is_several THEN
                has_groups := true;
                tried := kept;
                counts := none;
            END IF;
            passes := true;
            FOR index IN group_begins .. group_ends - 1 LOOP
                which := orders[7 * index + 1];
                what := orders[7 * index + 3];
                cost := orders[7 * index + 4];
                IF algorithm IS DISTINCT FROM orders[7 * index + 2] THEN
                    algorithm := orders[7 * index + 2];
                    kind := kinds[algorithm];
                    settings := parameters[coalesce(ends[algorithm - 1], 0) + 1:ends[algorithm]];
                END IF;
                before := CASE WHEN is_several THEN tried[which] ELSE kept[which] END;
                -- What was granted by one algorithm is not for another to take back or to renew.
                stays := coalesce(before.kind <> kind AND what IN (2, 3, 5, 7), false);
                -- What equals new is new, so that it is all the same who has forgotten it and who
                -- has not. To one algorithm so is what another has kept.
                is_others := coalesce(
                    before.kind = kind AND @is_of_another(kind, settings, before.state), false
                );
                was_new := before.kind IS NULL OR now >= CASE
                    WHEN before.kind <> kind THEN before.ahead
                    WHEN is_others THEN greatest(
                        before.ahead,
                        (@ask_at(kind, settings, before.state, now, now, 5, 0, false, 0)).new_at
                    )
                    ELSE before.new_at
                END;
                IF was_new THEN
                    before := NULL;
                    is_others := false;
                ELSIF is_others THEN
                    -- What was reserved stays where it is, what comes behind it takes the new limit.
                    at := greatest(before.ahead, now);
                    answer := @ask_at(kind, settings, before.state, at, at, 9, 0, false, 0);
                    before.state := answer.state;
                END IF;
                answer := @answer(
                    kind, settings,
                    CASE before.kind WHEN kind THEN before.state ELSE '{}' END,
                    coalesce(before.ahead, 0), coalesce(before.free, '{}'), now,
                    what, cost,
                    -- Nobody stood in line before the first call.
                    orders[7 * index + 5] = 1 AND NOT was_new, orders[7 * index + 6]
                );
                IF stays AND what = 2 THEN
                    -- Whoever holds them there has lost them.
                    answer.outcome := 2;
                    answer.granted_at := NULL;
                    answer.wait := NULL;
                END IF;
                -- One by one they are put in their places, as a slice they would be copied with all others.
                answers[8 * index + 1] := now;
                answers[8 * index + 2] := answer.outcome;
                answers[8 * index + 3] := answer.granted_at;
                answers[8 * index + 4] := answer.wait;
                answers[8 * index + 5] := answer.most;
                answers[8 * index + 6] := answer.remaining;
                answers[8 * index + 7] := answer.full_after;
                answers[8 * index + 8] := answer.rate;
                CONTINUE WHEN stays;
                IF answer.outcome = 0 THEN
                    is_kept := what = 8 OR what <> 1 AND cost > 0;
                ELSE
                    passes := false;
                    -- A refusal changes nothing, but that the first call came, where the time of the
                    -- limit begins with it, and that the limit is another one since: were that
                    -- forgotten, the time that passes would go on to be counted by the old one.
                    is_kept := what <> 1 AND (was_new OR is_others) AND answer.new_at > now;
                END IF;
                CONTINUE WHEN NOT is_kept AND NOT is_several;
                IF was_new THEN
                    before.limit_name := names[which];
                    before.key := keys[which];
                    before.kind := kind;
                END IF;
                IF before.kind = kind THEN
                    before.state := answer.state;
                ELSIF NOT 0 = ALL (answer.state) THEN
                    before.kind := kind;
                    before.state := answer.state;
                END IF;
                before.ahead := answer.ahead;
                before.free := answer.free;
                before.new_at := answer.new_at;
                IF is_several THEN
                    tried[which] := before;
                    counts[which] := counts[which] OR is_kept;
                END IF;
                IF is_kept AND NOT (is_several AND answer.outcome = 0) THEN
                    kept[which] := before;
                    changed[which] := true;
                END IF;
            END LOOP;
            IF is_several AND passes THEN
                FOR index IN group_begins .. group_ends - 1 LOOP
                    which := orders[7 * index + 1];
                    IF counts[which] THEN
                        kept[which] := tried[which];
                        changed[which] := true;
                    END IF;
                END LOOP;
            END IF;
        END LOOP;
        -- What equals new is not kept, and what is as it was not written.
        writes := 0;
        are_there := true;
        FOR index IN 1 .. cardinality(keys) LOOP
            CONTINUE WHEN NOT changed[index];
            before := kept[index];
            IF before.new_at <= now THEN
                before := NULL;
                kept[index] := NULL;
            END IF;
            changed[index] := before IS DISTINCT FROM stored[index];
            IF changed[index] THEN
                writes := writes + 1;
                are_there := are_there
                    AND before.kind IS NOT NULL AND (stored[index]).kind IS NOT NULL;
            END IF;
        END LOOP;
        EXIT WHEN is_stale;
        IF writes = 0 THEN
            RETURN answers;
        END IF;

        locked := changed;
        is_grown := has_groups;
        WHILE is_grown LOOP
            is_grown := false;
            FOR index IN 1 .. many - 1 LOOP
                IF orders[7 * index + 7] = 1
                    AND locked[orders[7 * index + 1]] <> locked[orders[7 * index - 6]]
                THEN
                    locked[orders[7 * index + 1]] := true;
                    locked[orders[7 * index - 6]] := true;
                    is_grown := true;
                END IF;
            END LOOP;
        END LOOP;

        IF are_there AND locked = changed THEN
            BEGIN
                UPDATE @@ t
                SET kind = (kept[k.index]).kind, state = (kept[k.index]).state,
                    ahead = (kept[k.index]).ahead, free = (kept[k.index]).free,
                    new_at = (kept[k.index]).new_at, bytes = NULL
                FROM generate_series(1, cardinality(keys)) AS k (index)
                WHERE changed[k.index]
                    AND t.limit_name = ANY (ARRAY[names[k.index]]) AND t.key = keys[k.index]
                    AND t IS NOT DISTINCT FROM stored[k.index];
                GET DIAGNOSTICS written = ROW_COUNT;
                IF written = writes THEN
                    RETURN answers;
                END IF;
                RAISE serialization_failure;
            EXCEPTION WHEN serialization_failure THEN
                -- All of it is undone, and what was locked is let go: locks have to be taken in order.
                NULL;
            END;
        END IF;

        -- First what is new, then what is there, each in the order of the keys: nobody who waits here
        -- holds what somebody else waits for.
        FOR index IN 1 .. cardinality(keys) LOOP
            IF changed[index] AND (stored[index]).kind IS NULL THEN
                before := kept[index];
                INSERT INTO @@ VALUES (before.*) ON CONFLICT DO NOTHING;
                own[index] := FOUND;
            END IF;
            missing := missing + (
                locked[index] AND NOT own[index]
                AND (changed[index] OR (stored[index]).kind IS NOT NULL)
            )::integer;
        END LOOP;
        FOR read IN
            SELECT k.index, t AS standing
            FROM unnest(names, keys) WITH ORDINALITY AS k (limit_name, key, index)
            JOIN @@ t ON t.limit_name = ANY (ARRAY[k.limit_name]) AND t.key = k.key
            WHERE locked[k.index] AND NOT own[k.index]
            ORDER BY k.index FOR UPDATE OF t
        LOOP
            missing := missing
                - (changed[read.index] OR (stored[read.index]).kind IS NOT NULL)::integer;
            is_stale := is_stale OR read.standing IS DISTINCT FROM stored[read.index];
            stored[read.index] := read.standing;
        END LOOP;
        IF missing > 0 THEN
            -- It was forgotten in between. Nothing has been done yet that the client cannot ask for again.
            RAISE serialization_failure;
        END IF;
        EXIT WHEN NOT is_stale;
        now := coalesce(set_now, @clock());
    END LOOP;

    FOR index IN 1 .. cardinality(keys) LOOP
        before := kept[index];
        CONTINUE WHEN NOT changed[index] AND NOT own[index];
        IF before.kind IS NULL THEN
            DELETE FROM @@ t WHERE t.limit_name = names[index] AND t.key = keys[index];
        ELSIF own[index] OR (stored[index]).kind IS NOT NULL THEN
            CONTINUE WHEN own[index] AND NOT is_stale;
            UPDATE @@ t
            SET kind = before.kind, state = before.state, ahead = before.ahead,
                free = before.free, new_at = before.new_at, bytes = NULL
            WHERE t.limit_name = names[index] AND t.key = keys[index];
        ELSE
            -- It was not to change at first. To insert it now might wait for somebody who waits for what is
            -- locked here.
            RAISE serialization_failure;
        END IF;
    END LOOP;
    RETURN answers;
END
$$;
