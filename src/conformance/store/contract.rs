//! The points of the contract that can be shown by themselves.

use super::{
    Checked, Point, group,
    pair::{Asked, MICROSECOND, Pair},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Take},
    key::Key,
    nanos::Nanos,
    store::{Store, StoreAsk, StoreKey, StoredLimit},
};
use std::sync::Arc;

/// In this order: one that is broken breaks many that follow.
pub(super) const CHECKS: [Point; 8] = [
    Point::SetTime,
    Point::Answers,
    Point::Shared,
    Point::SameKey,
    Point::KeysApart,
    Point::LimitsApart,
    Point::Groups,
    Point::Remembers,
];

/// When it happens: 1,000 s after the beginning of the time line.
pub(super) const NOW: u64 = 1_000_000_000_000;

/// More than any sample has.
pub(super) const ALL: StoreAsk = StoreAsk::Ask(Ask::Charge(50));
pub(super) const ONE: StoreAsk = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
pub(super) const LOOK: StoreAsk = StoreAsk::Ask(Ask::Peek(Take::fresh(1)));

/// Bytes as they are.
struct Raw<'a>(&'a [u8]);

impl Key for Raw<'_> {
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(self.0);
    }
}

pub(super) fn raw(bytes: impl AsRef<[u8]>) -> StoreKey {
    StoreKey::new(&Raw(bytes.as_ref()))
}

/// Looks at one point, of this limit and another one.
pub(super) async fn check<A: Algorithm, S: Store<A>>(
    point: Point,
    pair: &mut Pair<A, S>,
    limit: &Arc<StoredLimit<A>>,
    other: &Arc<StoredLimit<A>>,
) -> Checked {
    // Of no other check.
    let key = |key: &str| raw(format!("{point:?} {} {key}", limit.name));
    let about = |name: &str, ask| Asked::new(limit, &key(name), ask);
    match point {
        Point::SetTime => {
            for now in [NOW, NOW + 1_000_000_000] {
                pair.ask(point, now, vec![about("a", ONE)]).await?;
            }
        }
        Point::Answers => {
            let never = StoreAsk::Ask(Ask::Take(Take::fresh(u32::MAX)));
            let asked = [("a", ONE), ("b", never), ("c", ALL), ("d", LOOK)];
            let asked = asked.map(|(key, ask)| about(key, ask));
            pair.ask(point, NOW, asked.into()).await?;
            pair.ask(point, NOW, Vec::new()).await?;
        }
        Point::Shared => {
            pair.ask_each(point, NOW, vec![about("a", ALL)]).await?;
            pair.store = pair.store.clone();
            pair.ask_each(point, NOW, vec![about("a", LOOK), about("a", ONE)]).await?;
        }
        Point::SameKey => {
            let reserve = StoreAsk::Reserve { cost: 1, max_wait: Nanos::MAX };
            let asks = [LOOK, ONE, ALL, LOOK, reserve, ONE, reserve, StoreAsk::Forget, ONE, LOOK];
            pair.ask(point, NOW, asks.map(|ask| about("a", ask)).into()).await?;
        }
        Point::KeysApart => {
            let keys = keys();
            let ask = |ask| keys.iter().map(move |key| Asked::new(limit, key, ask)).collect();
            for asked in [ONE, ALL, LOOK] {
                pair.ask(point, NOW, ask(asked)).await?;
            }
            pair.ask_each(point, NOW, ask(LOOK)).await?;
            // Those that are forgotten leave the others as they are.
            let every_other = keys.iter().step_by(2);
            let forget = every_other.map(|key| Asked::new(limit, key, StoreAsk::Forget));
            pair.ask(point, NOW, forget.collect()).await?;
            pair.ask(point, NOW, ask(LOOK)).await?;
        }
        Point::LimitsApart => {
            pair.ask_each(point, NOW, vec![about("a", ALL), about("b", ONE)]).await?;
            let other = |name| Asked::new(other, &key(name), LOOK);
            pair.ask_each(point, NOW, vec![other("a"), other("b"), about("a", LOOK)]).await?;
        }
        Point::Groups => group::check(pair, limit, other).await?,
        Point::Remembers => remembers(pair, limit).await?,
        _ => {}
    }
    Ok(())
}

/// Looks at the same limit under names of which one may be taken for another, together with a key.
/// The first two have the same name.
pub(super) async fn named<A: Algorithm, S: Store<A>>(
    pair: &mut Pair<A, S>,
    limits: &[Arc<StoredLimit<A>>],
) -> Checked {
    let keys = ["a", "xa", "'xa", "\0xa", ""].map(raw);
    let look = || -> Vec<Asked<A>> {
        let of = |limit| keys.iter().map(move |key| Asked::new(limit, key, LOOK));
        limits.iter().flat_map(of).collect()
    };
    // The first of the two is charged, the second looks the same.
    for limit in limits.iter().take(1).chain(limits.iter().skip(2)) {
        for key in &keys {
            pair.ask(Point::LimitsApart, NOW, vec![Asked::new(limit, key, ALL)]).await?;
            pair.ask(Point::LimitsApart, NOW, look()).await?;
        }
    }
    Ok(())
}

/// Looks at a limit that becomes another one of the same name, with more taken than either has.
pub(super) async fn changed<A: Algorithm, S: Store<A>>(
    pair: &mut Pair<A, S>,
    [before, after]: &[Arc<StoredLimit<A>>; 2],
) -> Checked {
    let key = raw("Changes");
    pair.ask(Point::Changes, NOW, vec![Asked::new(before, &key, ALL)]).await?;
    for now in [NOW, NOW + 1_000_000_000] {
        let asked = [LOOK, ONE].map(|ask| Asked::new(after, &key, ask));
        pair.ask(Point::Changes, now, asked.into()).await?;
    }
    Ok(())
}

/// Hostile ones, each of which somebody takes for another.
fn keys() -> Vec<StoreKey> {
    let long = vec![b'x'; 10_000];
    let texts = [
        "",
        "\0",
        "\0\0",
        "a",
        "A",
        "a ",
        " a",
        "a\0",
        "a\0b",
        "a\0c",
        "a'b",
        "a''b",
        "a\"b",
        "a\\b",
        "a\\\\b",
        "x'); DROP TABLE t",
        "line\nline",
        "line\r\nline",
        "line\tline",
        "{a}",
        "{a}b",
        "a}b",
        "%s%n",
        "$1",
        "?",
        "*",
        "_",
        ":",
        "a:b",
        "a::b",
        "1",
        "01",
        "null",
        "\u{e9}",
        "e\u{301}",
        "\u{fffd}",
    ];
    let bytes: [&[u8]; 4] = [&[0xff], &[0xfe], &[0xff, 0xfe], &[0xc3]];
    let mut keys: Vec<StoreKey> = texts.iter().map(raw).collect();
    keys.extend(bytes.iter().map(raw));
    keys.extend([raw(&long), raw([&long[..], b"y"].concat()), raw([&long[..], b"z"].concat())]);
    keys.extend([StoreKey::new(&("a", "bc")), StoreKey::new(&("ab", "c")), raw("abc")]);
    // Of one tag, and of none.
    keys.extend(
        [("a", "bc"), ("a", "b"), ("ab", "c")].map(|(tag, key)| StoreKey::tagged(tag, key)),
    );
    keys.push(StoreKey::tagged("a", &()));
    // As long as keys can be and still differ in one byte.
    for last in [b"y", b"z"] {
        keys.push(raw([&long[..63], last].concat()));
        keys.push(StoreKey::tagged(&Raw(&long[..64]), &Raw(&[&long[..55], last].concat())));
    }
    keys
}

async fn remembers<A: Algorithm, S: Store<A>>(
    pair: &mut Pair<A, S>,
    limit: &Arc<StoredLimit<A>>,
) -> Checked {
    let point = Point::Remembers;
    let key = raw("Remembers");
    let about = |ask| Asked::new(limit, &key, ask);
    let both = pair.ask(point, NOW, vec![about(ONE), about(LOOK)]).await?;
    // Others come, as many as make a store tidy up.
    for round in 0..20_u32 {
        let other = |other: u32| Asked::new(limit, &StoreKey::new(&(round, other)), ONE);
        pair.ask(point, NOW, (0..100).map(other).collect()).await?;
    }
    let full_after = both.last().map_or(0, |both| both.ours.decision.full_after.get());
    let year = 365 * 86_400 * 1_000_000_000;
    let new_at = NOW + full_after.min(year).div_ceil(MICROSECOND) * MICROSECOND;
    let all = StoreAsk::Ask(Ask::Peek(Take::fresh(both[0].ours.decision.limit)));
    let nothing = StoreAsk::Ask(Ask::Peek(Take::fresh(0)));
    for now in [NOW, NOW + (new_at - NOW) / 2_000 * 1_000, new_at - MICROSECOND, new_at] {
        pair.ask(point, now, vec![about(all), about(nothing)]).await?;
    }
    Ok(())
}
