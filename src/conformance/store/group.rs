//! Orders that are taken together, of keys that lie together and of others.

use super::{
    Broken, Checked, Point,
    contract::{ALL, LOOK, NOW, ONE, raw},
    ensure,
    pair::{Asked, Pair},
};
use crate::{
    algorithm::Algorithm,
    store::{Store, StoreKey, StoredLimit},
};
use std::sync::Arc;

const POINT: Point = Point::Groups;

/// Which keys the orders of a group are about, of which `b` is used up: refused by the one in the middle, then by
/// the last, by the first and by none.
const KEYS: [[&str; 3]; 4] = [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"], ["a", "c", "d"]];

/// Looks at groups of keys of one tag, which every store decides, and of keys of different ones.
pub(super) async fn check<A: Algorithm, S: Store<A>>(
    pair: &mut Pair<A, S>,
    limit: &Arc<StoredLimit<A>>,
    other: &Arc<StoredLimit<A>>,
) -> Checked {
    let name = format!("{POINT:?} {}", limit.name);
    let tag = raw(&name);
    let tagged = |key: &str| StoreKey::below(&tag, key);
    let apart = |key: &str| raw(format!("{name} {key}"));
    Keys { limit, other, key: tagged }.check(pair, true).await?;
    Keys { limit, other, key: apart }.check(pair, false).await
}

/// Keys of these limits.
struct Keys<'a, A, K> {
    limit: &'a Arc<StoredLimit<A>>,
    other: &'a Arc<StoredLimit<A>>,
    key: K,
}

impl<A: Algorithm, K: Fn(&str) -> StoreKey> Keys<'_, A, K> {
    async fn check<S: Store<A>>(&self, pair: &mut Pair<A, S>, is_one_tag: bool) -> Checked {
        pair.ask(POINT, NOW, vec![Asked::new(self.limit, &(self.key)("b"), ALL)]).await?;
        for keys in KEYS {
            let mut asked = self.group(keys);
            match pair.can_group(&asked) {
                Err(error) if is_one_tag => {
                    let found = format!("keys of one tag are not taken together: {error}");
                    return Err(Broken::new(POINT, found));
                }
                Err(_) => {
                    let found = || "it decides a group that it says it cannot".to_owned();
                    ensure(!pair.has_decided(NOW, asked).await, POINT, found)?;
                }
                Ok(()) => {
                    // Not of the group.
                    asked.push(Asked::new(self.limit, &(self.key)("e"), ONE));
                    pair.ask(POINT, NOW, asked).await?;
                }
            }
            pair.ask(POINT, NOW, self.looks()).await?;
        }
        Ok(())
    }

    fn group(&self, keys: [&str; 3]) -> Vec<Asked<A>> {
        let [first, second, third] = keys.map(&self.key);
        vec![
            Asked::new(self.limit, &first, ONE),
            Asked::new(self.limit, &second, ONE).with_previous(),
            Asked::new(self.other, &first, ONE).with_previous(),
            Asked::new(self.limit, &third, ONE).with_previous(),
        ]
    }

    fn looks(&self) -> Vec<Asked<A>> {
        let keys = ["a", "b", "c", "d"].map(&self.key);
        let looks = keys.iter().map(|key| Asked::new(self.limit, key, LOOK));
        looks.chain([Asked::new(self.other, &keys[0], LOOK)]).collect()
    }
}
