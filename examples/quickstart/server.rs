//! The server, with one route limited per address and one per API key.

use crate::{
    Result,
    client::Load,
    table::{Promise, Row},
};
use axum::{Router, routing::get};
use http::{HeaderName, StatusCode, header::RETRY_AFTER};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinSet, time::sleep_until};
use tower_ratelimit::{
    Invalid, Rate, RateLimitLayer, SlidingWindow,
    http::{Header, PeerIp},
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A route, and how many calls a minute each of those it tells apart may make.
pub(crate) type Route = (&'static str, u32);

pub(crate) const PER_ADDRESS: Route = ("/per-address", 20);
pub(crate) const PER_KEY: Route = ("/per-key", 10);

/// Starts the server, and says where it is.
pub(crate) async fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = router()?.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

fn router() -> std::result::Result<Router, Invalid> {
    let hello = || get(async || "hello");
    let a_minute = |permits| Rate::per_minute(permits).map(SlidingWindow::new);
    let per_address = RateLimitLayer::per_key(PeerIp::default(), a_minute(PER_ADDRESS.1)?);
    let per_key = RateLimitLayer::per_key(Header::new(API_KEY), a_minute(PER_KEY.1)?);
    Ok(Router::new()
        .route("/open", hello())
        .route(PER_ADDRESS.0, hello().layer(per_address))
        .route(PER_KEY.0, hello().layer(per_key)))
}

/// Calls a route half as often again as it allows, all at once.
pub(crate) async fn burst(
    name: &'static str,
    (path, limit): Route,
    key: Option<&'static str>,
    at: Duration,
    load: &Load,
) -> Result<Row> {
    sleep_until(load.start + at).await;
    let mut calls = JoinSet::new();
    for _ in 0..limit * 3 / 2 {
        let mut request = load.http.get(format!("{}{path}", load.server));
        if let Some(key) = key {
            request = request.header(API_KEY, key);
        }
        calls.spawn(request.send());
    }
    let mut row = Row::new(name, Rate::per_minute(limit)?);
    while let Some(response) = calls.join_next().await {
        let response = response??;
        row.calls += 1;
        match response.status() {
            // Drawn as of the response, a few milliseconds after it was let through.
            StatusCode::OK => row.admitted.push(load.clock.now()),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = response.headers().get(RETRY_AFTER);
                let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
                row.refused(seconds.map(Duration::from_secs));
            }
            status => return Err(format!("{path} answered {status}").into()),
        }
    }
    row.promise = promise(row.admitted.len(), limit);
    Ok(row)
}

/// No clock is needed for it: the whole run fits into the minute that the limit looks at.
fn promise(seen: usize, limit: u32) -> Promise {
    let promised = u64::from(limit);
    let broken = (seen as u64 > promised).then(|| format!("{seen} calls, {promised} promised"));
    Promise { seen, promised, lag: Duration::ZERO, broken }
}
