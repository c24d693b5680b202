//! Limits over real sockets, and what they put on the wire.

mod keys;
#[cfg(feature = "axum")]
mod downloads;
#[cfg(feature = "reqwest")]
mod clients;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod fields;
#[cfg(feature = "axum")]
mod problems;
mod refusals;
#[cfg(all(feature = "tonic", feature = "axum"))]
mod grpc;
mod who;
mod heard;
mod vendors;
mod broken;
mod heeding;
mod heeding_model;
mod listening;
#[cfg(all(feature = "reqwest", feature = "reqwest-middleware", feature = "retry"))]
mod hearing_clients;
#[cfg(feature = "retry")]
mod retries;
mod script;
#[cfg(feature = "axum")]
mod servers;
#[cfg(feature = "axum")]
mod load;
#[cfg(feature = "axum")]
mod wire;
#[cfg(feature = "axum")]
mod settling;

use axum::{Router, ServiceExt, extract::Request, response::Response};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::net::TcpListener;
use tower::Service;

/// A server on a free port of this machine, stopped when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves a router, or whatever stands in front of one.
    pub(crate) async fn start<S>(app: S) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send>,
        S: Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that counts the requests that arrive.
pub(crate) async fn counter() -> (Server, Arc<AtomicUsize>) {
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let app = Router::new().fallback(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { "hello" }
    });
    (Server::start(app).await, arrived)
}

/// A client that asks the server itself, whatever proxy the environment names.
pub(crate) fn direct() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Waits until a condition holds that real sockets have a part in.
#[cfg(any(feature = "reqwest", feature = "reqwest-middleware"))]
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = std::time::Duration::from_secs(10);
    let waits = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let held = tokio::time::timeout(patience, waits).await;
    assert!(held.is_ok(), "not after {patience:?}: {what}");
}
