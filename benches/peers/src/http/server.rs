//! A thread that serves, and what processor time it took.

use axum::{ServiceExt, extract::Request, response::Response};
use std::{convert::Infallible, fs, net::SocketAddr, sync::mpsc, thread, time::Duration};
use tokio::{net::TcpListener, runtime};
use tower::Service;

/// All servers of a run, on one thread of their own.
pub struct Servers {
    runtime: runtime::Handle,
    /// Where the kernel says how long the thread has run.
    statistics: String,
}

impl Servers {
    /// Starts the thread.
    pub fn start() -> Self {
        let (send, started) = mpsc::channel();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("the system has sockets and timers");
            let thread = fs::read_link("/proc/thread-self").expect("Linux tells who runs");
            let statistics = format!("/proc/{}/schedstat", thread.display());
            // Whoever started it has gone, and so may it.
            let _ = send.send(Self { runtime: runtime.handle().clone(), statistics });
            runtime.block_on(std::future::pending::<()>());
        });
        started.recv().expect("the thread does not panic")
    }

    /// Serves a router, or whatever stands in front of one.
    pub fn serve<S>(&self, app: S) -> SocketAddr
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send>,
        S: Clone + Send + Sync + 'static,
    {
        let (listener, address) = self.listen();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        self.runtime.spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// The same for those who still are at the version before.
    pub fn serve_07(&self, app: axum_07::Router) -> SocketAddr {
        let (listener, address) = self.listen();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        self.runtime.spawn(async move { axum_07::serve(listener, app).await });
        address
    }

    fn listen(&self) -> (TcpListener, SocketAddr) {
        let _entered = self.runtime.enter();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// How long the thread has run by now.
    pub fn processor_time(&self) -> Duration {
        let statistics = fs::read_to_string(&self.statistics).expect("the thread is alive");
        let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
        Duration::from_nanos(nanoseconds.expect("the first is the time on a processor"))
    }
}
