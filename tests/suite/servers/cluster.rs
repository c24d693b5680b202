//! A Redis Cluster of our own.

use super::{
    proxy::{self, Proxy},
    redis::{PATIENCE, Server, free_port},
};
use redis::{
    cluster::{ClusterClient, NodeAddress},
    cluster_async::ClusterConnection,
};
use std::{collections::HashMap, time::Duration};

/// Three servers that share all slots.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One whose servers have these settings.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        let mut servers = Vec::new();
        for epoch in ["1", "2", "3"] {
            let server = Server::start_of_cluster(settings).await;
            // Those that begin with the same one change it when they meet, perhaps while a slot moves: whoever
            // had it might seem to have it again then, and the other one would delete what is in it.
            let () = server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", epoch]).await;
            servers.push(server);
        }
        for (server, slots) in
            servers.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")])
        {
            let () = server.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]).await;
        }
        let cluster = Self { servers };
        for look in 0..3 * PATIENCE {
            // A server that is asked to meet another gives up when that one is slow to answer.
            if look % 200 == 0 {
                cluster.meet().await;
            }
            if cluster.is_together().await {
                return cluster;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let info: String = cluster.servers[0].ask(&["CLUSTER", "NODES"]).await;
        panic!("the cluster does not come together:\n{info}");
    }

    /// Lets the first server know of the others, and through it all of each other.
    async fn meet(&self) {
        for other in &self.servers[1..] {
            self.servers[0].meet(other).await;
        }
    }

    /// A server that copies what one of them has, and that all know of.
    pub(crate) async fn replica_of(&self, index: usize) -> Server {
        let replica = Server::start_of_cluster(&["--repl-diskless-sync-delay", "0"]).await;
        let (own, original) = (replica.id().await, self.servers[index].id().await);
        for look in 0..PATIENCE {
            if look % 200 == 0 {
                self.servers[0].meet(&replica).await;
            }
            let nodes: String = replica.ask(&["CLUSTER", "NODES"]).await;
            let all =
                self.servers.iter().all(|server| nodes.contains(&format!(":{}@", server.port())));
            let is_known = nodes.lines().any(|line| {
                line.starts_with(&original) && !line.contains("handshake") && line.contains('-')
            });
            if all && is_known && nodes.contains(&format!(" {original} ")) {
                break;
            }
            if all && is_known {
                let () = replica.ask(&["CLUSTER", "REPLICATE", &original]).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for _ in 0..PATIENCE {
            let info: String = replica.ask(&["INFO", "replication"]).await;
            let mut is_ready = info.contains("master_link_status:up");
            for server in &self.servers {
                let nodes: String = server.ask(&["CLUSTER", "NODES"]).await;
                let copies = format!(" {original} ");
                is_ready &=
                    nodes.lines().any(|line| line.starts_with(&own) && line.contains(&copies));
            }
            if is_ready {
                return replica;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the replica does not come to be");
    }

    /// Whether each server knows of all others and their slots.
    async fn is_together(&self) -> bool {
        for server in &self.servers {
            let info: String = server.ask(&["CLUSTER", "INFO"]).await;
            if !info.contains("cluster_state:ok") || !info.contains("cluster_size:3") {
                return false;
            }
        }
        true
    }

    pub(crate) fn urls(&self) -> Vec<&str> {
        self.servers.iter().map(Server::url).collect()
    }

    pub(crate) fn client(&self) -> ClusterClient {
        ClusterClient::new(self.urls()).unwrap()
    }

    pub(crate) async fn connect(&self) -> ClusterConnection {
        self.client().get_async_connection().await.unwrap()
    }

    /// A way to each of the servers, and a client that goes there by them.
    pub(crate) async fn by_proxies(&self) -> (Vec<Proxy>, ClusterClient) {
        let (mut proxies, mut ways) = (Vec::new(), HashMap::new());
        for server in &self.servers {
            let proxy = Proxy::start(proxy::Server::Port(server.port())).await;
            let at = |port| NodeAddress::new("127.0.0.1", port);
            ways.insert(at(server.port()), at(proxy.port));
            proxies.push(proxy);
        }
        (proxies, ClusterClient::builder(self.urls()).node_address_map(ways).build().unwrap())
    }

    /// The slot of the first record anywhere.
    pub(crate) async fn slot_in_use(&self) -> String {
        for _ in 0..PATIENCE {
            for server in &self.servers {
                let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
                if let Some(name) = names.first() {
                    let slot: u16 = server.ask(&["CLUSTER", "KEYSLOT", name]).await;
                    return slot.to_string();
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody makes a record");
    }

    /// The server that has the records of a slot.
    pub(crate) async fn server_of(&self, slot: &str) -> &Server {
        &self.servers[self.place_of(slot).await]
    }

    /// Which of the servers has the records of a slot.
    pub(crate) async fn place_of(&self, slot: &str) -> usize {
        for (place, server) in self.servers.iter().enumerate() {
            if !server.records(slot).await.is_empty() {
                return place;
            }
        }
        panic!("nobody has a record in slot {slot}");
    }

    /// Moves a slot to another server record by record, as it is done by hand.
    pub(crate) async fn move_slot(&self, slot: &str) {
        let from = self.server_of(slot).await;
        let to = self.servers.iter().find(|server| server.url() != from.url()).unwrap();
        let (from_id, to_id) = (from.id().await, to.id().await);
        let () = to.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &from_id]).await;
        let () = from.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &to_id]).await;
        let port = to.port().to_string();
        for name in from.records(slot).await {
            let () = from.ask(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]).await;
        }
        // Those that have nothing to do with it are told, too: two moves one soon after the other might
        // get the same epoch, and would be taken for another by who only hears of them.
        let has_it = |server: &&Server| [to.url(), from.url()].contains(&server.url());
        let others: Vec<_> = self.servers.iter().filter(|server| !has_it(server)).collect();
        // Moved on before all know of it, it would be where nobody looks for it. They are told until they
        // do, as what one hears of another may be from before.
        for _ in 0..PATIENCE {
            for server in [to, from].into_iter().chain(others.iter().copied()) {
                let () = server.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &to_id]).await;
            }
            if self.is_agreed().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the servers do not agree on where slot {slot} is");
    }

    /// Whether all servers say the same about which slots each of them has.
    async fn is_agreed(&self) -> bool {
        let mut said = Vec::new();
        for server in &self.servers {
            let nodes: String = server.ask(&["CLUSTER", "NODES"]).await;
            let slots = |line: &str| {
                let mut words = line.split(' ').map(str::to_owned);
                let id = words.next();
                (id, words.skip(7).collect::<Vec<_>>())
            };
            let mut slots: Vec<_> = nodes.lines().map(slots).collect();
            slots.sort();
            said.push(slots);
        }
        said.iter().all(|slots| *slots == said[0])
    }
}

impl Server {
    /// One that is to be of a cluster.
    async fn start_of_cluster(settings: &[&str]) -> Self {
        let all = || {
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            own.iter().chain(settings).map(|setting| setting.to_string()).collect()
        };
        Self::start_with(all).await
    }

    /// Lets it know of another one.
    async fn meet(&self, other: &Self) {
        let (port, bus) = (other.port().to_string(), other.bus().await);
        let () = self.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
    }

    /// The port on which the servers of a cluster talk to each other.
    async fn bus(&self) -> String {
        let nodes: String = self.ask(&["CLUSTER", "NODES"]).await;
        let own = nodes.lines().find(|line| line.contains("myself")).unwrap();
        own.split(['@', ',', ' ']).nth(2).unwrap().to_owned()
    }

    /// The names of the records in a slot of a server.
    async fn records(&self, slot: &str) -> Vec<String> {
        self.ask(&["CLUSTER", "GETKEYSINSLOT", slot, "9"]).await
    }

    async fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"]).await
    }
}
