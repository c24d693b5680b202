//! What the log says.

use http::Request;
use std::{
    io,
    sync::{Arc, Mutex},
};
use tower::{Layer, Service};
use tower_ratelimit::{KeyedRateLimiter, Rate, RateLimitLayer, Strict, http::PeerIp};

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

/// Everything that is logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
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
