-- What is remembered of each key: by which algorithm, its state, the instant of the last
-- reservation, and the instant and permits of each one before it that went back. A record equals a
-- new one from new_at on. The bytes are those of a record that is decided elsewhere.
CREATE {unlogged} TABLE IF NOT EXISTS @@ (
    limit_name bytea NOT NULL,
    key bytea NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state bigint[] NOT NULL,
    ahead bigint NOT NULL,
    free bigint[] NOT NULL,
    new_at bigint NOT NULL,
    bytes bytea,
    PRIMARY KEY (limit_name, key)
) WITH (fillfactor = 70);
