-- parameters: permits
-- state: how many are spent
CREATE OR REPLACE FUNCTION @quota(
    parameters bigint[], state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint, OUT answer @answered
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    used bigint := coalesce(state[1], 0);
BEGIN
    answer.outcome := 0;
    answer.granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF cost > parameters[1] THEN
            answer.outcome := 4;
        ELSIF cost > 0 AND used + cost > parameters[1] THEN
            answer.outcome := 3;
        ELSE
            used := used + cost;
        END IF;
    WHEN 3 THEN
        answer.granted_at := moment;
        used := greatest(used - cost, 0);
    WHEN 4 THEN
        used := used + cost;
    ELSE
        answer.granted_at := moment;
    END CASE;
    answer.state := ARRAY[used];
    answer.most := parameters[1];
    answer.remaining := greatest(parameters[1] - used, 0);
    answer.rate := 0;
    answer.new_at := CASE used WHEN 0 THEN 0 ELSE 18446744073709551 END;
    answer.full_after := greatest(answer.new_at - now, 0);
END
$$;
