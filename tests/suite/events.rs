//! What the log says.

use crate::stored::{Slow, bucket, builder, slow::Mood};
use http::Request;
use std::{
    io,
    sync::{Arc, Mutex, Once},
    time::Duration,
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service};
use tower_ratelimit::{
    Enforcement, JointLimiter, KeyedRateLimiter, ManualClock, Quota, Rate, RateLimitLayer,
    RateLimiter, Strict,
    http::{Header, PeerIp},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens to everything, and writes nothing down.
///
/// Whether anybody listens to an event is looked up when it occurs for the first time, wherever
/// that is. Were the thread of a test the only one that listens, another one which is at the same
/// event for the first time could put down that nobody does.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    });
    tracing::callsite::rebuild_interest_cache();
}

/// Everything that is logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
    listen();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_refusal_is_logged_with_the_limit_and_without_the_key() {
    let builder = KeyedRateLimiter::builder(Strict::new(Rate::per_hour(1).unwrap()));
    let limiter = builder.name("logins").build();
    let log = logged(|| {
        for _ in 0..2 {
            let _ = limiter.key("secret").try_acquire();
        }
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("DEBUG") && log.contains(r#"limit="logins" reason=UsedUp"#), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_missing_key_is_logged_as_an_error_that_names_the_fix() {
    let layer = RateLimitLayer::per_key(PeerIp::default(), Strict::new(Rate::per_hour(1).unwrap()));
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let mut service = layer.layer(inner);
    let log = logged(|| drop(service.call(Request::new(()))));
    assert!(log.contains("ERROR"), "{log}");
    assert!(log.contains("into_make_service_with_connect_info"), "{log}");
}

/// Anybody could fill the log with errors otherwise.
#[test]
fn a_client_that_does_not_say_who_it_is_is_no_error() {
    let by_api_key = Header::new(http::HeaderName::from_static("x-api-key"));
    let layer = RateLimitLayer::per_key(by_api_key, Strict::new(Rate::per_hour(1).unwrap()));
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
    });
    let mut service = layer.layer(inner);
    let log = logged(|| drop(service.call(Request::new(()))));
    assert_eq!(lines(&log), ["DEBUG rate limited reason=Anonymous cost=1 retry_after=None"]);
}

/// The level of each line, and what it says.
fn lines(log: &str) -> Vec<String> {
    let level_and_text = |line: &str| {
        let (before, text) = line.split_once(" tower_ratelimit::events: ").unwrap();
        format!("{} {text}", before.split_whitespace().last().unwrap())
    };
    log.lines().map(level_and_text).collect()
}

#[test]
fn getting_in_line_and_being_let_go_is_traced_with_how_long_it_was() {
    let clock = ManualClock::new();
    let builder = KeyedRateLimiter::builder(Strict::new(Rate::per_second(10).unwrap()));
    let limiter = builder.name("logins").clock(clock.clone()).build().key("secret");
    let log = logged(|| {
        limiter.try_acquire().unwrap();
        let mut waiting = task::spawn(limiter.acquire());
        assert_pending!(waiting.poll());
        clock.advance(Duration::from_millis(100));
        assert_ready_ok!(waiting.poll());
    });
    let expected = [
        r#"TRACE waiting for permits limit="logins" cost=1"#,
        r#"TRACE let go after waiting for permits limit="logins" cost=1 waited=100ms"#,
    ];
    assert_eq!(lines(&log), expected);
}

#[test]
fn one_sent_away_from_the_line_is_logged_as_a_refusal() {
    let clock = ManualClock::new();
    let builder = RateLimiter::builder(Strict::new(Rate::per_second(10).unwrap()));
    let limiter = builder.name("pace").clock(clock).build();
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    let log = logged(|| {
        limiter.close();
        assert_ready_err!(waiting.poll());
    });
    let expected = [
        r#"INFO took hold of a limit limit="pace" action="close""#,
        r#"DEBUG rate limited limit="pace" reason=Closed cost=1 retry_after=None"#,
    ];
    assert_eq!(lines(&log), expected);
}

#[test]
fn a_store_that_is_left_alone_is_a_warning_and_its_next_answer_is_told() {
    let store = Slow::new(0);
    let log = logged(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let second = Duration::from_secs(1);
            let builder = builder(&store, bucket(100, 9)).breaker(2, second).unwrap();
            let limiter = builder.build().unwrap();
            store.set(Mood::Fails);
            // The first one opens it, and what comes then is not worth telling.
            for _ in 0..4 {
                limiter.key("secret").try_acquire().await.unwrap_err();
                tokio::time::sleep(second / 2).await;
            }
            store.set(Mood::Answers);
            tokio::time::sleep(second).await;
            limiter.key("secret").try_acquire().await.unwrap();
            limiter.key("secret").try_acquire().await.unwrap();
        });
    });
    let lines = lines(&log);
    let refused = r#"DEBUG rate limited limit="api" reason=Unavailable cost=1 retry_after=None"#;
    let others: Vec<_> = lines.iter().filter(|line| *line != refused).collect();
    let expected = [
        r#"WARN the store is left alone for a while limit="api" error=it is told to"#,
        r#"INFO the store answers again limit="api""#,
    ];
    assert_eq!(others, expected);
    assert_eq!(lines.len(), 6);
}

#[test]
fn taking_hold_of_a_limit_is_logged_once_with_its_name() {
    let strict = || Strict::new(Rate::per_second(10).unwrap());
    let one = RateLimiter::builder(strict()).name("one").build();
    let many = KeyedRateLimiter::builder(strict()).name("many").build();
    let secret = many.key("secret");
    let log = logged(|| {
        one.cancel();
        one.breach();
        one.end_breach();
        one.reset();
        one.set_algorithm(strict());
        one.close();
        many.cancel();
        many.breach();
        many.end_breach();
        many.reset();
        many.set_algorithm(strict());
        many.close();
        secret.cancel();
        secret.reset();
    });
    let all = ["cancel", "breach", "end_breach", "reset", "set_algorithm", "close"];
    let both =
        all.map(|action| ("one", action)).into_iter().chain(all.map(|action| ("many", action)));
    let expected =
        both.chain([("many", "cancel_key"), ("many", "reset_key")]).map(|(limit, action)| {
            format!("INFO took hold of a limit limit={limit:?} action={action:?}")
        });
    assert_eq!(lines(&log), expected.collect::<Vec<_>>());
}

#[test]
fn a_call_of_several_limits_is_logged_with_the_one_that_held_it_up() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let wide = limits.limit("wide", Strict::new(Rate::per_second(1000).unwrap())).unwrap();
    let narrow = limits.limit("narrow", Strict::new(Rate::per_second(10).unwrap())).unwrap();
    let few = limits.limit("few", Quota::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let both = limiter.on(wide, "secret").on(narrow, "secret");
    let log = logged(|| {
        drop(both.try_acquire().unwrap());
        let mut waiting = task::spawn(both.acquire());
        assert_pending!(waiting.poll());
        clock.advance(Duration::from_millis(10));
        // Only the line of the wide one is in its way; the other would let it go.
        let mut behind = task::spawn(limiter.on(few, "secret").on(wide, "secret").acquire());
        assert_pending!(behind.poll());
        let _ = both.try_acquire().unwrap_err();
        clock.advance(Duration::from_millis(90));
        assert_ready_ok!(waiting.poll());
    });
    let expected = [
        r#"TRACE waiting for permits limit="narrow" cost=1"#,
        r#"TRACE waiting for permits limit="wide" cost=1"#,
        r#"DEBUG rate limited limit="narrow" reason=UsedUp cost=1 retry_after=Some(190ms)"#,
        r#"TRACE let go after waiting for permits limit="narrow" cost=1 waited=100ms"#,
    ];
    assert_eq!(lines(&log), expected);
}

#[test]
fn taking_hold_of_several_limits_is_logged_with_the_name_of_each() {
    let strict = || Strict::new(Rate::per_second(10).unwrap());
    let mut limits = JointLimiter::builder();
    let [a, b] = ["a", "b"].map(|name| limits.limit(name, strict()).unwrap());
    let limiter = limits.build();
    let log = logged(|| {
        limiter.cancel();
        limiter.breach();
        limiter.end_breach();
        limiter.reset();
        limiter.set_algorithm(b, strict()).unwrap();
        limiter.on(a, "secret").cancel();
        limiter.on(a, "x").on(a, "y").on(b, "secret").reset();
        limiter.close();
    });
    let both = |action| [("a", action), ("b", action)];
    let all = ["cancel", "breach", "end_breach", "reset"].map(both).into_iter().flatten();
    let keys = [("b", "set_algorithm"), ("a", "cancel_key")].into_iter().chain(both("reset_key"));
    let expected = all.chain(keys).chain(both("close")).map(|(limit, action)| {
        format!("INFO took hold of a limit limit={limit:?} action={action:?}")
    });
    assert_eq!(lines(&log), expected.collect::<Vec<_>>());
}

#[test]
fn a_refusal_that_does_not_stand_is_logged_beside_the_refusal() {
    let limiter = RateLimiter::builder(Strict::new(Rate::per_hour(1).unwrap())).name("calls");
    let enforcement = Enforcement::shadow();
    let limiter = enforcement.of(limiter.clock(ManualClock::new()).build());
    let layer = RateLimitLayer::new(limiter).refuse();
    let mut service = layer.layer(tower::service_fn(async |()| Ok::<_, io::Error>(())));
    let log = logged(|| {
        for _ in 0..2 {
            assert_ready_ok!(task::spawn(std::future::poll_fn(|cx| service.poll_ready(cx))).poll());
            assert_ready_ok!(task::spawn(service.call(())).poll());
        }
        enforcement.set_percent(100.0).unwrap();
        enforcement.set_percent(101.0).unwrap_err();
    });
    let fields = r#"limit="calls" reason=UsedUp cost=1 retry_after=Some(3600s)"#;
    let expected = [
        format!("DEBUG rate limited {fields}"),
        format!("DEBUG let through though rate limited {fields}"),
        r#"INFO took hold of a limit action="set_percent""#.to_owned(),
    ];
    assert_eq!(lines(&log), expected);
}
