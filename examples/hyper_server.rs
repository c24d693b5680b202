//! A server by hyper alone, limited for each client address and method.
//!
//! ```text
//! cargo run --example hyper_server
//! ```
//!
//! The server puts the address of each connection into its requests, where the limit looks for it.
//! An address may call twice a minute with each method; a third call is answered with 429 and
//! `Retry-After`.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use http::{Method, Request, Response, header::RETRY_AFTER};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, error::Error};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt};
use tower_ratelimit::{
    Rate, RateLimitLayer, SlidingWindow,
    http::{PeerAddr, PeerIp, RequestMethod},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(serve(listener, SlidingWindow::new(Rate::per_minute(2)?)));

    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut statuses = Vec::new();
    for method in [Method::GET, Method::GET, Method::GET, Method::POST] {
        let response = client.request(method.clone(), &url).send().await?;
        let (status, again) = (response.status(), response.headers().get(RETRY_AFTER).cloned());
        println!("{method:<4} -> {status}, retry after {again:?}, {:?}", response.text().await?);
        statuses.push(status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200]);
    Ok(())
}

async fn serve(listener: TcpListener, limit: SlidingWindow) -> std::io::Result<()> {
    // Made once: the connections share what is left of the limit with their clones.
    let service = ServiceBuilder::new()
        .layer(RateLimitLayer::per_key((PeerIp::default(), RequestMethod), limit))
        .service(tower::service_fn(hello));
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = service.clone();
        let with_peer = service_fn(move |mut request: Request<Incoming>| {
            // This is what tells the limit who is connected.
            request.extensions_mut().insert(PeerAddr(peer));
            service.clone().oneshot(request)
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), with_peer);
        tokio::spawn(connection);
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}
