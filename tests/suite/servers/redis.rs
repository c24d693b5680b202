//! Private Redis servers on free ports, in temporary folders; gone when the test is.

use super::freeze::Frozen;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, aio::MultiplexedConnection};
use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How often a server is asked whether it is ready, before the test fails: every 10 ms.
pub(super) const PATIENCE: u32 = 1000;

/// How often a server is started on another port, before the test fails.
const ATTEMPTS: u32 = 10;

/// A server of a test's own, or the one at `REDIS_URL`.
pub(crate) struct Server {
    url: String,
    own: Option<Own>,
}

struct Own {
    process: Child,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl Own {
    fn run(arguments: &[String]) -> Child {
        let mut command = Command::new("redis-server");
        command.args(arguments).stdout(Stdio::null());
        command.spawn().expect("redis-server is missing: install it")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody uses, and that somebody else may use before you do.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A name that nothing else has, in this process or another.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("tower-ratelimit-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// The server at `REDIS_URL`, or else a private one.
    pub(crate) async fn start() -> Self {
        match env::var("REDIS_URL") {
            Ok(url) => Self { url, own: None },
            Err(_) => Self::start_private(&[]).await,
        }
    }

    /// A private server with these settings.
    pub(crate) async fn start_private(settings: &[&str]) -> Self {
        Self::start_with(|| settings.iter().map(|setting| setting.to_string()).collect()).await
    }

    /// A private server with these settings, which are made anew for each attempt to start it.
    pub(super) async fn start_with(settings: impl Fn() -> Vec<String>) -> Self {
        Self::start_by(|folder, port| {
            let own = format!("--port {port} --bind 127.0.0.1 --save  --appendonly no --dir");
            let own = own.split(' ').map(str::to_owned);
            own.chain([folder.display().to_string()]).chain(settings()).collect()
        })
        .await
    }

    /// A private server that is started by these arguments, for a folder and a port.
    pub(super) async fn start_by(arguments: impl Fn(&Path, u16) -> Vec<String>) -> Self {
        for _ in 0..ATTEMPTS {
            let folder = env::temp_dir().join(unique());
            fs::create_dir_all(&folder).unwrap();
            let port = free_port();
            let arguments = arguments(&folder, port);
            let own = Own { process: Own::run(&arguments), folder, arguments };
            let mut server = Self { url: format!("redis://127.0.0.1:{port}/"), own: Some(own) };
            if server.comes_up().await {
                return server;
            }
        }
        panic!("redis-server ends as soon as it is started");
    }

    /// Waits until a private server answers. It ends where another one has got its port.
    async fn comes_up(&mut self) -> bool {
        for _ in 0..PATIENCE {
            if self.own().process.try_wait().unwrap().is_some() {
                return false;
            }
            if self.is_there().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer at {}", self.url);
    }

    /// Whether it is this process that answers there, and not the one of another test.
    async fn is_there(&mut self) -> bool {
        let Ok(mut connection) = self.try_connect().await else { return false };
        let info = redis::cmd("INFO").arg("server").query_async(&mut connection).await;
        let process = format!("process_id:{}\r\n", self.own().process.id());
        info.is_ok_and(|info: String| info.contains(&process))
    }

    fn own(&mut self) -> &mut Own {
        self.own.as_mut().expect("it is private")
    }

    /// Ends a private server as a crash does.
    pub(crate) fn crash(&mut self) {
        let process = &mut self.own().process;
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again, and does not wait for it.
    pub(crate) fn restart(&mut self) {
        let own = self.own();
        own.process = Own::run(&own.arguments);
    }

    /// Has a private server answer nothing for as long as that lives.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen::new(self.own.as_ref().expect("it is private").process.id())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn port(&self) -> u16 {
        match self.url.as_str().into_connection_info().unwrap().addr() {
            ConnectionAddr::Tcp(_, port) => *port,
            other => panic!("{other:?} has no port"),
        }
    }

    async fn try_connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = Client::open(self.url.as_str())?;
        client.get_multiplexed_async_connection().await
    }

    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.expect("the server answers")
    }

    /// Asks the server a command.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_ask(command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// The same where it may be away.
    pub(crate) async fn try_ask<T: redis::FromRedisValue>(
        &self,
        command: &[&str],
    ) -> redis::RedisResult<T> {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async(&mut self.try_connect().await?).await
    }
}
