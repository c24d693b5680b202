//! The scripts that run inside the database.

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, aio::ConnectionLike};
use std::sync::LazyLock;

/// The pieces of the one that decides, in reading order: one for each algorithm, and some for all.
const DECIDE: [&str; 14] = [
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

/// The algorithms in it.
pub(super) const KINDS: [&str; 10] = [
    "leaky_bucket",
    "strict",
    "burst_compensating",
    "token_bucket",
    "fixed_window",
    "quota",
    "sliding_window_counter",
    "sliding_window",
    "concurrency",
    "serialized",
];

/// Answers a batch.
pub(super) static BATCH: LazyLock<Script> = LazyLock::new(|| Script::new(DECIDE.concat()));

/// Changes records that nobody else has changed meanwhile.
pub(super) static SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("swap.lua").to_owned()));

/// A script as the server is told it once, and the name by which it knows it from then on.
#[derive(Debug)]
pub(super) struct Script {
    code: String,
    hash: String,
}

/// What a script is told, besides the names of records.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Word(&'static str),
    Number(u64),
    Bytes(Vec<u8>),
}

impl Script {
    fn new(code: String) -> Self {
        let hash = redis::Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Runs it on the server that has these records.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        keys: &[String],
        arguments: &[Argument],
    ) -> Result<T, RedisError> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            for argument in arguments {
                match argument {
                    Argument::Word(word) => command.arg(*word),
                    Argument::Number(number) => command.arg(*number),
                    Argument::Bytes(bytes) => command.arg(&bytes[..]),
                };
            }
            command
        };
        match command("EVALSHA", &self.hash).query_async(connection).await {
            // Nothing was run, so the same may be sent again.
            Err(error) if is_unknown(&error) => {
                command("EVAL", &self.code).query_async(connection).await
            }
            reply => reply,
        }
    }
}

/// Whether the server does not know the script.
fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
