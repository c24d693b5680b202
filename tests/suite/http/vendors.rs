//! Heads of responses as servers and services document them.

use super::heard::{headers, now, secs};
use http::StatusCode;
use std::time::Duration;
use tower_ratelimit::http::Heard;

const HEADS: &str = include_str!("corpus/heads.txt");

/// A head, its status, and how long it asks to stay away.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) lines: &'static str,
    pause: Option<Duration>,
    name: &'static str,
}

/// `name: status pause`, where the pause is `30s` or `nothing`, and the lines of the head below it.
pub(super) fn heads() -> impl Iterator<Item = Head> {
    HEADS.split("\n\n").map(|head| {
        let (title, lines) = head.split_once('\n').unwrap();
        let (name, expected) = title.split_once(": ").unwrap();
        let (status, pause) = expected.split_once(' ').unwrap();
        let pause = match pause {
            "nothing" => None,
            said => Some(secs(said.strip_suffix('s').unwrap().parse().unwrap())),
        };
        Head { status: status.parse().unwrap(), lines, pause, name }
    })
}

#[test]
fn what_services_are_known_to_send_is_understood() {
    for Head { status, lines, pause, name } in heads() {
        assert_eq!(Heard::read(status, &headers(lines), now()).pause(), pause, "{name}");
    }
    assert!(heads().count() >= 40);
}
