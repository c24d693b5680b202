//! The conformance kit looks at all servers of a store that is spread over several.

use tower_ratelimit::{
    LeakyBucket,
    conformance::{self, Point, Violation},
    store::{Answer, Batch, MemoryStore, Order, Store, StoreError, StoreKey},
};

const SERVERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Answers come in the order of the servers.
    GathersByServer,
    /// Keys of one tag lie on different servers.
    FindsByAllOfTheKey,
    /// Takes together only what is of one key.
    GroupsOneKeyOnly,
    /// Says that it cannot take keys together that lie apart, and takes some of them.
    TakesSome,
    /// Says so, and lets them through.
    LetsThrough,
}

/// One that keeps records by the tags of their keys.
#[derive(Clone)]
struct Spread {
    servers: [MemoryStore<LeakyBucket>; SERVERS],
    fault: Fault,
}

impl Spread {
    fn new(fault: Fault) -> Self {
        Self { servers: Default::default(), fault }
    }

    fn server_of(&self, key: &StoreKey) -> usize {
        let bytes = match self.fault {
            Fault::FindsByAllOfTheKey => key.bytes(),
            _ => key.tag(),
        };
        bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % SERVERS
    }
}

impl Store<LeakyBucket> for Spread {
    async fn decide(&self, batch: Batch<LeakyBucket>) -> Result<Vec<Answer>, StoreError> {
        let at = |orders| match batch.now() {
            Some(now) => Batch::new(orders).at(now),
            None => Batch::new(orders),
        };
        let mut apart =
            batch.groups().filter_map(|group| Some((group, self.can_group(group).err()?)));
        match (apart.next(), self.fault) {
            (Some((group, error)), Fault::TakesSome) => {
                let first = Order { is_with_previous: false, ..group[0].clone() };
                self.servers[self.server_of(&first.key)].decide(at(vec![first])).await?;
                return Err(error);
            }
            (Some(_), Fault::LetsThrough) => {
                let peek = self.servers[0].decide(at(batch.orders()[..1].to_vec())).await?;
                return Ok(vec![peek[0]; batch.orders().len()]);
            }
            (Some((_, error)), _) => return Err(error),
            (None, _) => {}
        }
        let mut answers = Vec::new();
        for (index, server) in self.servers.iter().enumerate() {
            let orders = batch.orders().iter().enumerate();
            let (places, own): (Vec<_>, Vec<_>) = orders
                .filter(|(_, order)| self.server_of(&order.key) == index)
                .map(|(place, order)| (place, order.clone()))
                .unzip();
            answers.extend(places.into_iter().zip(server.decide(at(own)).await?));
        }
        if self.fault != Fault::GathersByServer {
            answers.sort_by_key(|(place, _)| *place);
        }
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    fn can_group(&self, group: &[Order<LeakyBucket>]) -> Result<(), StoreError> {
        let is_with_first = |order: &Order<LeakyBucket>| match self.fault {
            Fault::GroupsOneKeyOnly => order.key == group[0].key,
            _ => self.server_of(&order.key) == self.server_of(&group[0].key),
        };
        match group.iter().all(is_with_first) {
            true => Ok(()),
            false => Err(StoreError::new("keys lie apart")),
        }
    }
}

async fn looked_at(fault: Fault) -> Result<(), Violation> {
    conformance::store::<LeakyBucket, _>(|| Spread::new(fault)).await
}

#[tokio::test]
async fn a_store_that_is_spread_by_the_tags_of_keys_keeps_the_contract() -> Result<(), Violation> {
    looked_at(Fault::None).await
}

#[tokio::test]
async fn one_that_is_spread_wrongly_is_found_out_for_it() {
    for (fault, point) in [
        (Fault::GathersByServer, Point::Answers),
        (Fault::FindsByAllOfTheKey, Point::Groups),
        (Fault::GroupsOneKeyOnly, Point::Groups),
        (Fault::TakesSome, Point::Groups),
        (Fault::LetsThrough, Point::Groups),
    ] {
        let violation = looked_at(fault).await.expect_err("the fault is found");
        assert_eq!(violation.point(), point, "{fault:?}: {violation}");
    }
}
