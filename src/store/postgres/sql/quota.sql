-- parameters: permits
-- state: how many are spent
CREATE OR REPLACE FUNCTION @quota(
    parameters bigint[], INOUT state bigint[],
    now bigint, ask integer, cost bigint, queued boolean, moment bigint,
    OUT outcome integer, OUT granted_at bigint, OUT wait bigint,
    OUT most bigint, OUT remaining bigint, OUT full_after bigint, OUT rate integer,
    OUT new_at bigint
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    used bigint := coalesce(state[1], 0);
BEGIN
    outcome := 0;
    granted_at := now;
    CASE ask
    WHEN 0 THEN
        IF cost > parameters[1] THEN
            outcome := 4;
        ELSIF cost > 0 AND used + cost > parameters[1] THEN
            outcome := 3;
        ELSE
            used := used + cost;
        END IF;
    WHEN 3 THEN
        granted_at := moment;
        used := greatest(used - cost, 0);
    WHEN 4 THEN
        used := used + cost;
    ELSE
        granted_at := moment;
    END CASE;
    state := ARRAY[used];
    most := parameters[1];
    remaining := greatest(parameters[1] - used, 0);
    rate := 0;
    new_at := CASE used WHEN 0 THEN 0 ELSE 18446744073709551 END;
    full_after := greatest(new_at - now, 0);
END
$$;
