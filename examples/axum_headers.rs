//! Axum routes that say how their limit stands, and in a problem document why a request is refused.
//!
//! ```text
//! cargo run --example axum_headers
//! ```
//!
//! The server is asked three times, by itself, and its responses are printed as they are on the wire.
//! Scripts in browsers see the fields only where a CORS layer outside of the limit lets them:
//! `Access-Control-Expose-Headers: RateLimit, RateLimit-Policy, Retry-After`. Here a layer without
//! any CORS crate sets that.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::{Router, middleware::map_response, response::Response, routing::get};
use http::{HeaderValue, header::ACCESS_CONTROL_EXPOSE_HEADERS};
use std::{error::Error, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_ratelimit::{
    KeyedRateLimiter, Rate, RateLimitLayer, SlidingWindow,
    http::{FieldGeneration, PeerIp, RateLimitFields, TooManyRequests},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // By its name clients know the limit, so it has to be one that a header field can carry.
    let limit = SlidingWindow::new(Rate::per_minute(2)?);
    let limiter = KeyedRateLimiter::builder(limit).name("per address").build();
    let layer = RateLimitLayer::per_key(PeerIp::default(), limiter)
        .reply(TooManyRequests.problem())
        .fields(RateLimitFields::always(FieldGeneration::Draft11))?;
    let app =
        Router::new().route("/", get(async || "hello\n")).layer(layer).layer(map_response(expose));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });

    for _ in 0..3 {
        let mut socket = TcpStream::connect(address).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        socket.read_to_string(&mut response).await?;
        println!("{response}\n");
    }
    Ok(())
}

/// What a CORS layer does for the scripts of other origins.
async fn expose(mut response: Response) -> Response {
    let fields = HeaderValue::from_static("RateLimit, RateLimit-Policy, Retry-After");
    response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, fields);
    response
}
