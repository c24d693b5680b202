-- The bytes of a name or a key as they are kept: an index cannot hold many, so most of those of a
-- long one are a digest. It is longer than any that is not, so that no two are the same.
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
-- What changes nothing takes no lock. The keys are read and all orders answered; then those keys
-- are locked whose records are to change, and those of the same groups. Where others have changed
-- one of them in between, the orders about the locked keys are answered once more.
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
    stored @@[] := array_fill(NULL::@@, ARRAY[cardinality(keys)]);
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
    is_stale boolean := false;
    read record;
    answers bigint[] := array_fill(NULL::bigint, ARRAY[8 * many]);
    answer record;
    group_begins integer;
    group_ends integer;
    is_several boolean;
    passes boolean;
    is_kept boolean;
    was_new boolean;
    is_others boolean;
    which integer;
    algorithm integer;
    what integer;
    cost bigint;
BEGIN
    FOR index IN 1 .. cardinality(keys) LOOP
        names[index] := @place(names[index]);
        keys[index] := @place(keys[index]);
    END LOOP;
    FOR read IN
        SELECT k.index, t AS standing
        FROM unnest(names, keys) WITH ORDINALITY AS k (limit_name, key, index)
        JOIN @@ t ON t.limit_name = k.limit_name AND t.key = k.key
    LOOP
        stored[read.index] := read.standing;
    END LOOP;

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
                tried := kept;
                counts := none;
            END IF;
            passes := true;
            FOR index IN group_begins .. group_ends - 1 LOOP
                which := orders[7 * index + 1];
                algorithm := orders[7 * index + 2];
                what := orders[7 * index + 3];
                cost := orders[7 * index + 4];
                before := CASE WHEN is_several THEN tried[which] ELSE kept[which] END;
                -- What equals new is new, so that it is all the same who has forgotten it and who
                -- has not. To one algorithm so is what another has kept.
                was_new := before.kind IS NULL OR now >= CASE
                    WHEN before.kind = kinds[algorithm] THEN before.new_at ELSE before.ahead
                END;
                IF was_new THEN
                    before := NULL;
                END IF;
                answer := @answer(
                    kinds[algorithm],
                    parameters[coalesce(ends[algorithm - 1], 0) + 1:ends[algorithm]],
                    CASE before.kind WHEN kinds[algorithm] THEN before.state ELSE '{}' END,
                    coalesce(before.ahead, 0), coalesce(before.free, '{}'), now,
                    what, cost,
                    -- Nobody stood in line before the first call.
                    orders[7 * index + 5] = 1 AND NOT was_new, orders[7 * index + 6]
                );
                answers[8 * index + 1:8 * index + 8] := ARRAY[
                    now, answer.outcome, answer.granted_at, answer.wait, answer.most,
                    answer.remaining, answer.full_after, answer.rate
                ];
                passes := passes AND answer.outcome = 0;
                -- A refusal changes nothing, but that the first call came, where the time of the
                -- limit begins with it, and that the limit is another one since: were that forgotten,
                -- the time that passes would go on to be counted by the old one.
                is_others := coalesce(before.free, '{}') = '{}' AND answer.state <> before.state
                    AND kinds[algorithm] IN ('leaky_bucket', 'strict', 'burst_compensating');
                is_kept := what = 8 OR what <> 1 AND CASE answer.outcome
                    WHEN 0 THEN cost > 0
                    ELSE (was_new OR coalesce(is_others, false)) AND answer.new_at > now
                END;
                CONTINUE WHEN NOT is_kept AND NOT is_several;
                before.limit_name := names[which];
                before.key := keys[which];
                IF coalesce(before.kind, kinds[algorithm]) = kinds[algorithm]
                    OR NOT 0 = ALL (answer.state)
                THEN
                    before.kind := kinds[algorithm];
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
        FOR index IN 1 .. cardinality(keys) LOOP
            IF changed[index] THEN
                IF (kept[index]).new_at <= now THEN
                    kept[index] := NULL;
                END IF;
                changed[index] := kept[index] IS DISTINCT FROM stored[index];
            END IF;
        END LOOP;
        EXIT WHEN is_stale;
        IF NOT true = ANY (changed) THEN
            RETURN answers;
        END IF;

        locked := changed;
        LOOP
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
            EXIT WHEN NOT is_grown;
        END LOOP;

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
            JOIN @@ t ON t.limit_name = k.limit_name AND t.key = k.key
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
            INSERT INTO @@ VALUES (before.*) ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RAISE serialization_failure;
            END IF;
        END IF;
    END LOOP;
    RETURN answers;
END
$$;
