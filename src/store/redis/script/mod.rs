//! The scripts that run inside the database.

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, aio::ConnectionLike};
use std::sync::LazyLock;

/// What the algorithms are, by kind: each made of these pieces, in reading order. The server makes the
/// functions of a script anew for each call, so a script has those only that it needs, and what can do
/// without the others stands before them.
const KINDS: [(&str, &[&str]); 10] = [
    ("leaky_bucket", &[QUICK, NUMBERS, include_str!("leaky_bucket.lua")]),
    ("strict", &[NUMBERS, include_str!("strict.lua")]),
    ("burst_compensating", &[NUMBERS, include_str!("burst_compensating.lua")]),
    ("token_bucket", &[NUMBERS, include_str!("token_bucket.lua")]),
    ("fixed_window", &[NUMBERS, include_str!("token_bucket.lua")]),
    ("quota", &[NUMBERS, include_str!("quota.lua")]),
    ("sliding_window_counter", &[NUMBERS, include_str!("sliding_window_counter.lua")]),
    ("sliding_window", &[NUMBERS, LOG, WINDOW_LOG, include_str!("sliding_window.lua")]),
    ("concurrency", &[NUMBERS, LOG, include_str!("concurrency.lua")]),
    ("serialized", &[NUMBERS, LOG, WINDOW_LOG, include_str!("serialized.lua")]),
];

const QUICK: &str = include_str!("quick.lua");
const NUMBERS: &str = include_str!("numbers.lua");
const LOG: &str = include_str!("log.lua");
const WINDOW_LOG: &str = include_str!("window_log.lua");

/// Whether there is an algorithm of this kind.
pub(super) fn knows(kind: &str) -> bool {
    KINDS.iter().any(|(known, _)| *known == kind)
}

/// What answers a batch with limits of these kinds.
pub(super) fn decides(kinds: &[&str]) -> &'static Script {
    static EACH: LazyLock<Vec<Script>> =
        LazyLock::new(|| KINDS.iter().map(|kind| Script::deciding(&[*kind])).collect());
    static ALL: LazyLock<Script> = LazyLock::new(|| Script::deciding(&KINDS));
    let place = match kinds {
        [kind, others @ ..] if others.iter().all(|other| other == kind) => {
            KINDS.iter().position(|(known, _)| known == kind)
        }
        _ => None,
    };
    place.and_then(|place| EACH.get(place)).unwrap_or(&ALL)
}

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
    /// One that decides, with these algorithms.
    fn deciding(kinds: &[(&str, &[&'static str])]) -> Self {
        let mut pieces = vec![include_str!("beginning.lua")];
        for piece in kinds.iter().flat_map(|(_, pieces)| *pieces) {
            if !pieces.contains(piece) {
                pieces.push(piece);
            }
        }
        pieces.extend([include_str!("record.lua"), include_str!("batch.lua")]);
        Self::new(pieces.concat())
    }

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
