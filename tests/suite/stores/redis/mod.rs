//! Limits in Redis.

mod agreement;
mod cluster;
mod exactness;
mod joint;
mod limits;
mod optimistic;
mod records;

use crate::servers::redis::{Server, unique};
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Take,
    algorithm::Scripted,
    store::{Answer, Batch, Order, RedisStore, Store, StoreAsk, StoreKey, StoredLimit},
};

type OneServer = RedisStore<MultiplexedConnection>;

/// A store of its own on this server.
async fn store(server: &Server) -> OneServer {
    RedisStore::new(server.connect().await).namespace(unique())
}

/// A limit as the store keeps to it.
fn limit(name: &str, line: &str) -> Arc<StoredLimit<AnyAlgorithm>> {
    let algorithm = line.parse::<AnyAlgorithm>().unwrap().in_microseconds().unwrap();
    Arc::new(StoredLimit { name: name.into(), algorithm })
}

fn order<A: Algorithm>(limit: &Arc<StoredLimit<A>>, key: &str, ask: StoreAsk) -> Order<A> {
    let key = StoreKey::new(key.as_bytes());
    Order { limit: Arc::clone(limit), key, ask, is_with_previous: false }
}

fn take(cost: u32) -> StoreAsk {
    StoreAsk::Ask(Ask::Take(Take::fresh(cost)))
}

/// The answer to one order, by the clock of the server.
async fn ask<A: Algorithm, S: Store<A>>(store: &S, order: Order<A>) -> Answer {
    store.decide(Batch::new(vec![order])).await.unwrap()[0]
}
