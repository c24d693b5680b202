//! Private Redis servers on free ports, in temporary folders; gone when the test is.

use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, aio::MultiplexedConnection, cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How often a server is asked whether it is ready, before the test fails: every 10 ms.
const PATIENCE: u32 = 1000;

/// A server of a test's own, or the one at `REDIS_URL`.
pub(crate) struct Server {
    url: String,
    _own: Option<Own>,
}

struct Own {
    process: Child,
    folder: PathBuf,
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody uses, and that has room for the one of the cluster above it.
fn free_port() -> u16 {
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
            Ok(url) => Self { url, _own: None },
            Err(_) => Self::start_private(&[]).await,
        }
    }

    /// A private server with these settings.
    pub(crate) async fn start_private(settings: &[&str]) -> Self {
        let folder = env::temp_dir().join(unique());
        fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&folder)
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "no redis-server: install it (Debian: redis-server), or set REDIS_URL to a server",
            );
        let server =
            Self { url: format!("redis://127.0.0.1:{port}/"), _own: Some(Own { process, folder }) };
        for _ in 0..PATIENCE {
            if server.try_connect().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer at {}", server.url);
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
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        cmd.query_async(&mut self.connect().await)
            .await
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

/// Three servers that share all slots.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let settings = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            servers.push(Server::start_private(&settings).await);
        }
        for (server, slots) in
            servers.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")])
        {
            let () = server.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]).await;
        }
        for other in &servers[1..] {
            let (port, bus) = (other.port().to_string(), other.bus().await);
            let () = servers[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        let cluster = Self { servers };
        for server in &cluster.servers {
            cluster.wait_for(server).await;
        }
        cluster
    }

    /// Waits until a server knows of all others and their slots.
    async fn wait_for(&self, server: &Server) {
        for _ in 0..PATIENCE {
            let info: String = server.ask(&["CLUSTER", "INFO"]).await;
            if info.contains("cluster_state:ok") && info.contains("cluster_size:3") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the cluster does not come together");
    }

    pub(crate) async fn connect(&self) -> ClusterConnection {
        let urls: Vec<_> = self.servers.iter().map(Server::url).collect();
        ClusterClient::new(urls).unwrap().get_async_connection().await.unwrap()
    }
}

impl Server {
    /// The port on which the servers of a cluster talk to each other.
    async fn bus(&self) -> String {
        let nodes: String = self.ask(&["CLUSTER", "NODES"]).await;
        let own = nodes.lines().find(|line| line.contains("myself")).unwrap();
        own.split(['@', ',', ' ']).nth(2).unwrap().to_owned()
    }
}
