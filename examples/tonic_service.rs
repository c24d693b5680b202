//! A gRPC service by tonic, limited for each client address, and a client that is told when to come
//! back.
//!
//! ```text
//! cargo run --example tonic_service
//! ```
//!
//! An address may be greeted twice a second. The third call is answered with RESOURCE_EXHAUSTED and a
//! `google.rpc.RetryInfo`; the client waits as long as it says and is greeted again. The service is
//! written by hand, where a project has one that is generated from its `.proto` file.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use axum::Router;
use http::{Request, Response, uri::PathAndQuery};
use std::{convert::Infallible, error::Error, time::Duration};
use tokio::net::TcpListener;
use tonic::{
    Code, Status,
    body::Body,
    service::Routes,
    transport::{
        Channel, Endpoint, Server,
        server::{TcpConnectInfo, TcpIncoming},
    },
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tower::{ServiceBuilder, service_fn};
use tower_ratelimit::{
    Rate, RateLimitLayer, SlidingWindow,
    http::{PeerAddr, PeerIp, ResourceExhausted},
};

const GREET: &str = "/hello.Greeter/Greet";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = SlidingWindow::new(Rate::per_second(2)?);
    let limit = RateLimitLayer::per_key(PeerIp::default(), limit).reply(ResourceExhausted);
    let layers = ServiceBuilder::new().map_request(keep_peer).layer(limit).into_inner();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    // `add_service(GreeterServer::new(..))` with a generated one.
    let routes = Routes::from(Router::new().route_service(GREET, service_fn(greet)));
    let server = Server::builder().layer(layers).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let mut client = tonic::client::Grpc::new(Endpoint::from_shared(url)?.connect().await?);
    for name in ["Ada", "Grace"] {
        println!("{}", call(&mut client, name).await?);
    }
    let refused = loop {
        // Where a machine is so busy that a second has passed already, more are greeted.
        match call(&mut client, "Edsger").await {
            Ok(greeting) => println!("{greeting}"),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
    let wait = wait.ok_or("a refusal says when to come back")?;
    println!("{:?}: {}, again in {wait:?}", refused.code(), refused.message());
    assert!(wait <= Duration::from_secs(1));

    tokio::time::sleep(wait).await;
    println!("{}", call(&mut client, "Edsger").await?);
    Ok(())
}

/// Hands on what tonic knows of the connection to where the limit looks for it.
fn keep_peer<B>(mut request: Request<B>) -> Request<B> {
    let connected = request.extensions().get::<TcpConnectInfo>();
    if let Some(peer) = connected.and_then(TcpConnectInfo::remote_addr) {
        request.extensions_mut().insert(PeerAddr(peer));
    }
    request
}

/// The messages are a `google.protobuf.StringValue` each.
fn texts() -> ProstCodec<String, String> {
    ProstCodec::default()
}

async fn greet(request: Request<axum::body::Body>) -> Result<Response<Body>, Infallible> {
    let greet = service_fn(async |name: tonic::Request<String>| {
        Ok::<_, Status>(tonic::Response::new(format!("hello {}", name.into_inner())))
    });
    Ok(tonic::server::Grpc::new(texts()).unary(greet, request).await)
}

async fn call(client: &mut tonic::client::Grpc<Channel>, name: &str) -> Result<String, Status> {
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let request = tonic::Request::new(name.to_owned());
    let path = PathAndQuery::from_static(GREET);
    Ok(client.unary(request, path, texts()).await?.into_inner())
}
