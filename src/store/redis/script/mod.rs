//! The script that answers a batch inside the database.

use std::sync::LazyLock;

/// The pieces, in reading order: one file each, and one for each algorithm.
const PIECES: [&str; 14] = [
    include_str!("numbers.lua"),
    include_str!("leaky_bucket.lua"),
    include_str!("strict.lua"),
    include_str!("burst_compensating.lua"),
    include_str!("token_bucket.lua"),
    include_str!("quota.lua"),
    include_str!("sliding_window_counter.lua"),
    include_str!("log.lua"),
    include_str!("window_log.lua"),
    include_str!("sliding_window.lua"),
    include_str!("concurrency.lua"),
    include_str!("serialized.lua"),
    include_str!("record.lua"),
    include_str!("batch.lua"),
];

static SCRIPT: LazyLock<(String, redis::Script)> = LazyLock::new(|| {
    let code = PIECES.concat();
    let script = redis::Script::new(&code);
    (code, script)
});

/// All of it, as the server is told once.
pub(super) fn code() -> &'static str {
    &SCRIPT.0
}

/// The name by which the server knows it from then on.
pub(super) fn hash() -> &'static str {
    SCRIPT.1.get_hash()
}
