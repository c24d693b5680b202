//! Names that fields cannot carry are found when the layer is built.

use super::{bucket, rate};
use http::Request;
use tower_ratelimit::{
    Invalid, JointLayer, JointLimiter, Key, KeyedRateLimiter, Limiter, OnFailure, RateLimitLayer,
    RateLimited, RateLimiter, SlidingWindow, Standing, StoredJointLimiter, Terms,
    http::{FieldGeneration::Draft11, RateLimitFields},
    limiter::{Attempt, Perished},
    store::MemoryStore,
};

const FIELDS: fn(tower_ratelimit::http::FieldGeneration) -> RateLimitFields =
    RateLimitFields::always;

fn named(name: &str) -> Result<(), Invalid> {
    let limiter = RateLimiter::builder(bucket("1/s", 1)).name(name).build();
    RateLimitLayer::new(limiter).fields(FIELDS(Draft11)).map(drop)
}

#[test]
fn a_name_is_printable_ascii() {
    for name in ["", "a", "per address", r#"a "quoted" \ name"#, "~", &"n".repeat(900)] {
        assert_eq!(named(name), Ok(()), "{name:?}");
    }
    for name in ["straße", "a\nb", "tab\t", "\0", "\u{7f}", "日本", &"n".repeat(1100)] {
        let invalid = named(name).unwrap_err();
        assert_eq!(invalid.parameter(), "name");
        assert!(invalid.allowed().contains("give the limit another name"), "{invalid}");
    }
    assert!(named("tab\t").unwrap_err().to_string().starts_with(r#"name is "tab\t", but must be"#));
}

#[test]
fn all_layers_look_at_the_names() {
    let keyed = KeyedRateLimiter::builder(bucket("1/s", 1)).name("ü").build();
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, keyed);
    assert!(layer.fields(FIELDS(Draft11)).is_err());

    let mut limits = JointLimiter::builder();
    let id = limits.limit("ü", SlidingWindow::new(rate("1/s"))).unwrap();
    let limiter = limits.build();
    assert!(RateLimitLayer::new(limiter.on(id, &())).fields(FIELDS(Draft11)).is_err());
    assert!(JointLayer::new(limiter, ()).fields(FIELDS(Draft11)).is_err());
}

#[tokio::test]
async fn a_layer_over_several_stored_limits_does_so_too() {
    let mut limits = StoredJointLimiter::builder(MemoryStore::default(), OnFailure::Refuse);
    limits.limit("ü", SlidingWindow::new(rate("1/s"))).unwrap();
    let layer = JointLayer::new(limits.build().unwrap(), ());
    assert!(layer.fields(FIELDS(Draft11)).is_err());
}

/// A limiter of somebody's own, with two limits of one name.
#[derive(Clone)]
struct Twins;

impl Limiter for Twins {
    type Ticket = ();
    type Hold = ();
    type Wait = std::future::Ready<Result<(), RateLimited>>;

    fn reserve<K: Key + ?Sized>(&self, _: &K, _: Terms) -> Attempt<(), Self::Wait> {
        Attempt::Now(Ok(()))
    }

    fn take<K: Key + ?Sized>(&self, _: &K, _: Terms) -> Attempt<(), Self::Wait> {
        Attempt::Now(Ok(()))
    }

    fn keeps(&self, _: &()) -> bool {
        true
    }

    fn commit(&self, _: ()) -> Result<(), Perished> {
        Ok(())
    }

    fn give_back(&self, _: ()) {}

    fn policies(&self, tell: &mut dyn FnMut(Standing<'_>)) {
        for most in [1, 2] {
            tell(Standing::new(Some("twin"), most));
        }
    }
}

#[test]
fn two_limits_of_one_name_cannot_be_told_apart() {
    let invalid = RateLimitLayer::new(Twins).fields(FIELDS(Draft11)).map(drop).unwrap_err();
    assert_eq!((invalid.parameter(), invalid.value()), ("name", r#""twin""#));
    assert!(invalid.allowed().contains("no other limit"), "{invalid}");
}

/// One permit of ten is left whenever somebody looks, also for a call that was refused.
#[derive(Clone)]
struct Late;

impl Limiter for Late {
    type Ticket = ();
    type Hold = ();
    type Wait = std::future::Ready<Result<(), RateLimited>>;

    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        self.take(key, terms)
    }

    fn take<K: Key + ?Sized>(&self, _: &K, _: Terms) -> Attempt<(), Self::Wait> {
        let refusal = RateLimited::new(tower_ratelimit::Reason::UsedUp);
        Attempt::Now(Err(refusal.with_retry_after(std::time::Duration::from_nanos(1))))
    }

    fn keeps(&self, _: &()) -> bool {
        true
    }

    fn commit(&self, _: ()) -> Result<(), Perished> {
        Ok(())
    }

    fn give_back(&self, _: ()) {}

    fn standing<K: Key + ?Sized>(
        &self,
        _: &K,
        _: Result<&(), &RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let decision = RateLimiter::new(bucket("1/s", 1)).peek(0);
        // Names that were not looked at when the layer was built are left out.
        tell(Standing::new(None, 10).with_decision(decision));
        tell(Standing::new(Some("ü"), 10).with_decision(decision));
    }
}

#[tokio::test]
async fn a_refusal_never_says_that_what_it_refused_is_there() {
    let layer = RateLimitLayer::new(Late).reply(tower_ratelimit::http::TooManyRequests);
    let (status, told) = super::call(&layer.fields(FIELDS(Draft11)).unwrap(), "/").await;
    let policy = r#"ratelimit-policy: "default";q=10"#;
    let state = r#"ratelimit: "default";r=0;t=1"#;
    let expected = ["retry-after: 1", policy, state].map(str::to_owned);
    assert_eq!((status, told), (429, expected.to_vec()));
}

#[tokio::test]
async fn a_limiter_that_knows_nothing_says_nothing() {
    use super::call;
    let fields = FIELDS(Draft11).and(tower_ratelimit::http::FieldGeneration::XRateLimit);
    /// The same without policies.
    #[derive(Clone)]
    struct Vendor;
    impl Limiter for Vendor {
        type Ticket = ();
        type Hold = ();
        type Wait = std::future::Ready<Result<(), RateLimited>>;
        fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
            Twins.reserve(key, terms)
        }
        fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
            Twins.take(key, terms)
        }
        fn keeps(&self, _: &()) -> bool {
            true
        }
        fn commit(&self, _: ()) -> Result<(), Perished> {
            Ok(())
        }
        fn give_back(&self, _: ()) {}
    }
    let layer = RateLimitLayer::new(Vendor).reply(tower_ratelimit::http::TooManyRequests);
    assert_eq!(call(&layer.fields(fields).unwrap(), "/").await, (200, vec![]));
}
