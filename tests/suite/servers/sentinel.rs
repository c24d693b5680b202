//! Two servers of our own, and a sentinel that sees to it that one of them is the master.

use super::redis::{PATIENCE, Server};
use redis::sentinel::{SentinelClient, SentinelServerType::Master};
use std::{fs, time::Duration};

/// A master, its replica, and who watches them.
pub(crate) struct Watched {
    pub(crate) servers: [Server; 2],
    sentinel: Server,
}

impl Watched {
    pub(crate) async fn start() -> Self {
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let servers =
            [Server::start_private(&at_once).await, Server::start_private(&at_once).await];
        let () = servers[1].ask(&["REPLICAOF", "127.0.0.1", &servers[0].port().to_string()]).await;
        let watched = Self { sentinel: start_sentinel(servers[0].port()).await, servers };
        let is_known = async || {
            let replicas: String = watched.sentinel.ask(&["INFO", "sentinel"]).await;
            let copy: String = watched.servers[1].ask(&["INFO", "replication"]).await;
            replicas.contains("slaves=1") && copy.contains("master_link_status:up")
        };
        watched.until("the sentinel knows of the replica", is_known).await;
        watched
    }

    /// Where the sentinel is.
    pub(crate) fn url(&self) -> &str {
        self.sentinel.url()
    }

    pub(crate) fn client(&self) -> SentinelClient {
        SentinelClient::build(vec![self.url()], "main", None, Master).unwrap()
    }

    /// Which of the servers is the master, as the sentinel sees it.
    pub(crate) async fn master(&self) -> usize {
        let master = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
        let [_, port]: [String; 2] = self.sentinel.ask(&master).await;
        usize::from(port == self.servers[1].port().to_string())
    }

    /// Has the replica become the master, and the master a replica, to which sentinels come after ten seconds.
    pub(crate) async fn fail_over(&self) {
        let master = self.master().await;
        let mut sentinel = self.sentinel.connect().await;
        // It may not know yet that there is a replica again.
        let mut failover = redis::cmd("SENTINEL");
        failover.arg("FAILOVER").arg("main");
        while failover.query_async::<()>(&mut sentinel).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.until("the replica is the master", async || {
            let info: String = self.servers[master].ask(&["INFO", "replication"]).await;
            let is_replica = info.contains("role:slave") && info.contains("master_link_status:up");
            self.master().await != master && is_replica
        })
        .await;
    }

    /// Waits until the replica has all that the master had when this was asked.
    pub(crate) async fn is_copied(&self) {
        let offset = async |server: usize| {
            let info: String = self.servers[server].ask(&["INFO", "replication"]).await;
            let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            offset.unwrap().parse::<u64>().unwrap()
        };
        let master = self.master().await;
        let written = offset(master).await;
        self.until("all is copied", async || offset(1 - master).await >= written).await;
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..PATIENCE {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not so: {what}");
    }
}

/// One that alone decides, and soon, whether the master at this port is away.
async fn start_sentinel(master: u16) -> Server {
    Server::start_by(|folder, port| {
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 300\n\
             sentinel failover-timeout main 2000\n",
            folder.display()
        );
        let file = folder.join("sentinel.conf");
        fs::write(&file, settings).unwrap();
        vec![file.display().to_string(), "--sentinel".to_owned()]
    })
    .await
}
