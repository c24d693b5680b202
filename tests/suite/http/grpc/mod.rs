//! Refusals as gRPC clients see them.

mod clients;
mod hearing;
#[cfg(feature = "retry")]
mod retries;
mod servers;
mod statuses;

use http::{Request, Response, uri::PathAndQuery};
use std::{convert::Infallible, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tower::service_fn;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// Codec of the messages, which are plain texts.
fn texts() -> ProstCodec<String, String> {
    ProstCodec::default()
}

/// With a RetryInfo { retry_delay: 1.5 s } in its details.
const RETRY_INFO: &str = "grpc-status: 8\ngrpc-status-details-bin: CAgaNgoodHlwZS5nb29nbGVhcGlzLmNvb\
    S9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ";

/// With a QuotaFailure { violations: [{ subject: "a", description: "b" }] } in its details.
const QUOTA_FAILURE: &str = "grpc-status: 8\ngrpc-status-details-bin: CAgaNwordHlwZS5nb29nbGVhcGlzLm\
    NvbS9nb29nbGUucnBjLlF1b3RhRmFpbHVyZRIICgYKAWESAWI";

const GREET: &str = "/hello.Greeter/Greet";

/// Greets by name, as tonic serves it.
async fn greet<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Error: Into<BoxError> + Send> + Send + 'static,
{
    let greet = service_fn(async |name: tonic::Request<String>| {
        Ok::<_, Status>(tonic::Response::new(format!("hello {}", name.into_inner())))
    });
    Ok(tonic::server::Grpc::new(texts()).unary(greet, request).await)
}

/// Asks for a greeting, as a client of tonic does.
async fn call<S>(service: S) -> Result<tonic::Response<String>, Status>
where
    S: GrpcService<Body, ResponseBody: Send + 'static>,
    <S::ResponseBody as http_body::Body>::Error: Into<BoxError>,
{
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let request = tonic::Request::new("Ada".to_owned());
    client.unary(request, PathAndQuery::from_static(GREET), texts()).await
}

/// A server on a free port, stopped when it is dropped.
struct Served {
    channel: Channel,
    task: JoinHandle<()>,
}

impl Served {
    /// Runs a server of tonic, and connects to it.
    async fn start<F: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static>(
        serve: impl FnOnce(TcpIncoming) -> F,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = serve(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { server.await.unwrap() });
        let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        Self { channel, task }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
