//! How limits stand, right after a call was decided, told to the nanosecond.

use std::time::Duration;
use tower_ratelimit::{
    AtCapacity, Concurrency, JointLimiter, KeyedRateLimiter, LeakyBucket, Limiter, ManualClock,
    OnFailure, Patience, Quota, Rate, RateLimited, RateLimiter, Reason, SlidingWindow, Standing,
    StoredJointLimiter, StoredLimiter, Terms, limiter::Attempt, store::MemoryStore,
};

const NOW: Terms = Terms { cost: 1, patience: Patience::Now };

/// What was told of one rate: limit, rate, most, remaining, next, full.
type Told = (Option<String>, Option<String>, u32, Option<u32>, Option<Duration>, Option<Duration>);

fn told(ask: impl FnOnce(&mut dyn FnMut(Standing<'_>))) -> Vec<Told> {
    let mut all = Vec::new();
    ask(&mut |limit| {
        all.push((
            limit.limit().map(str::to_owned),
            limit.rate().map(|rate| rate.to_string()),
            limit.most(),
            limit.remaining(),
            limit.next_after(),
            limit.full_after(),
        ));
    });
    all
}

/// Takes permits as a layer does, and says how the limits stand then. Whoever looks at them right
/// afterwards finds what was noted when they were taken.
async fn after<L: Limiter>(limiter: &L, key: &str, terms: Terms) -> (bool, Vec<Told>) {
    let mut noted = None;
    let taken = limiter.take_noting(key, terms, |limits| told(|tell| limits(tell)));
    let decided: Result<L::Hold, RateLimited> = match taken {
        Attempt::Now(decided) => decided.map(|(hold, told)| {
            noted = Some(told);
            hold
        }),
        Attempt::Later(wait) => wait.await.map(|ticket| limiter.commit(ticket).unwrap()),
    };
    let told = told(|tell| limiter.standing(key, decided.as_ref(), tell));
    assert_eq!(noted.as_ref().unwrap_or(&told), &told);
    (decided.is_ok(), told)
}

fn name(text: &str) -> Option<String> {
    Some(text.to_owned())
}

const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn bucket(capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity).unwrap()
}

#[tokio::test]
async fn what_is_left_and_how_long_until_there_is_more() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(bucket(2)).name("api").clock(clock.clone()).build();
    let told =
        |remaining, next, full| vec![(name("api"), name("10/s"), 2, Some(remaining), next, full)];
    assert_eq!(after(&limiter, "", NOW).await, (true, told(1, ms(0), ms(100))));
    clock.advance(Duration::from_millis(30));
    assert_eq!(after(&limiter, "", NOW).await, (true, told(0, ms(70), ms(170))));
    assert_eq!(after(&limiter, "", NOW).await, (false, told(0, ms(70), ms(170))));
    clock.advance(Duration::from_millis(69));
    assert_eq!(after(&limiter, "", NOW).await, (false, told(0, ms(1), ms(101))));
}

/// What a refusal knows by itself is what a look at the limit finds.
#[test]
fn a_refusal_says_how_full_the_bucket_was_that_refused() {
    fn compare(limiter: &impl Limiter, clock: &ManualClock) -> usize {
        // A look, whatever the refusal knows.
        let blank = RateLimited::new(Reason::UsedUp);
        let standing =
            |refusal: &RateLimited| told(|tell| limiter.standing("key", Err(refusal), tell));
        let mut refused = 0;
        for step in 0..500_u32 {
            clock.advance(Duration::from_nanos(u64::from(step % 7) * 9_999_999));
            let terms = Terms { cost: 1 + step % 4, patience: Patience::Now };
            if let Attempt::Now(Err(refusal)) = limiter.take("key", terms) {
                refused += 1;
                let found = standing(&blank);
                assert_eq!(standing(&refusal), found);
                // Later a look finds more: it is the refusal that knows.
                clock.advance(Duration::from_millis(100));
                assert_ne!(standing(&blank), found);
                assert_eq!(standing(&refusal), found);
            }
        }
        refused
    }
    let clock = ManualClock::new();
    let one = RateLimiter::builder(bucket(5)).clock(clock.clone()).build();
    assert!(compare(&one, &clock) > 100);
    let keyed = KeyedRateLimiter::builder(bucket(5)).clock(clock.clone()).build();
    assert!(compare(&keyed, &clock) > 100);
}

/// A limiter that is made of several may show each of them the refusal of one.
#[test]
fn what_a_refusal_knows_is_of_the_limit_and_the_key_that_refused() {
    let clock = ManualClock::new();
    let new = || KeyedRateLimiter::builder(bucket(2)).clock(clock.clone()).build();
    let (limiter, other) = (new(), new());
    let refusal = (0..3).find_map(|_| limiter.key("used").try_acquire().err()).unwrap();
    let remaining = |limiter: &KeyedRateLimiter<LeakyBucket>, key| {
        told(|tell| limiter.standing(key, Err(&refusal), tell))[0].3
    };
    assert_eq!(remaining(&limiter, "used"), Some(0));
    assert_eq!(remaining(&limiter, "fresh"), Some(2));
    assert_eq!(remaining(&other, "used"), Some(2));
    let new = || RateLimiter::builder(bucket(2)).clock(clock.clone()).build();
    let (used, fresh) = (new(), new());
    let refusal = (0..3).find_map(|_| used.try_acquire().err()).unwrap();
    let remaining = |limiter: &RateLimiter<LeakyBucket>| {
        told(|tell| limiter.standing("", Err(&refusal), tell))[0].3
    };
    assert_eq!((remaining(&used), remaining(&fresh)), (Some(0), Some(2)));
}

#[tokio::test]
async fn each_key_stands_by_itself_and_by_its_own_algorithm() {
    let limiter = KeyedRateLimiter::builder(bucket(2)).clock(ManualClock::new()).build();
    limiter.set_algorithm_for("alice", bucket(9)).unwrap();
    assert_eq!(after(&limiter, "bob", NOW).await.1[0].3, Some(1));
    let told = (None, name("10/s"), 9, Some(8), ms(0), ms(100));
    assert_eq!(after(&limiter, "alice", NOW).await.1, [told]);
    assert_eq!(limiter.keys(), 2);
}

#[tokio::test]
async fn keys_without_room_stand_as_the_limit_they_share() {
    let builder = KeyedRateLimiter::builder(bucket(2)).clock(ManualClock::new()).max_keys(1);
    let limiter = builder.unwrap().at_capacity(AtCapacity::ShareOne).build();
    assert_eq!(after(&limiter, "a", NOW).await.1[0].3, Some(1));
    assert_eq!(after(&limiter, "b", NOW).await.1[0].3, Some(1));
    assert_eq!(after(&limiter, "c", NOW).await.1[0].3, Some(0));
    let (passed, told) = after(&limiter, "d", NOW).await;
    assert!(!passed);
    assert_eq!((told[0].3, told[0].4), (Some(0), ms(100)));
}

#[tokio::test]
async fn of_several_rates_the_binding_one_is_first_and_known() {
    let rates = [Rate::per_second(2).unwrap(), Rate::per_minute(3).unwrap()];
    let limiter = RateLimiter::builder(SlidingWindow::all(rates).unwrap());
    let clock = ManualClock::new();
    let limiter = limiter.clock(clock.clone()).build();
    let unknown = |rate, most| (None, name(rate), most, None, None, None);
    let (_, told) = after(&limiter, "", NOW).await;
    assert_eq!(told[0], (None, name("2/s"), 2, Some(1), ms(0), ms(60_000)));
    assert_eq!(told[1..], [unknown("3/min", 3)]);
    clock.advance(Duration::from_secs(1));
    let _ = after(&limiter, "", NOW).await;
    clock.advance(Duration::from_secs(1));
    let _ = after(&limiter, "", NOW).await;
    let (passed, told) = after(&limiter, "", NOW).await;
    assert!(!passed);
    assert_eq!(told[0], (None, name("3/min"), 3, Some(0), ms(58_000), ms(60_000)));
    assert_eq!(told[1..], [unknown("2/s", 2)]);
}

#[tokio::test]
async fn while_others_stand_in_line_nothing_is_left_and_the_wait_is_that_of_the_turn() {
    let limiter = RateLimiter::builder(bucket(2)).clock(ManualClock::new()).build();
    let _ = after(&limiter, "", NOW).await;
    let waits = limiter.take(&(), Terms { cost: 2, patience: Patience::Forever });
    assert!(matches!(waits, Attempt::Later(_)));
    let (passed, told) = after(&limiter, "", NOW).await;
    assert!(!passed);
    assert_eq!((told[0].3, told[0].4), (Some(0), ms(200)));
}

#[tokio::test]
async fn what_never_comes_back_has_no_next() {
    let limiter = RateLimiter::new(Quota::new(1).unwrap());
    let told = vec![(None, None, 1, Some(0), None, None)];
    assert_eq!(after(&limiter, "", NOW).await, (true, told.clone()));
    assert_eq!(after(&limiter, "", NOW).await, (false, told));
}

#[test]
fn permits_in_use_are_said_to_be_held() {
    let limiter = RateLimiter::new(Concurrency::new(3).unwrap());
    limiter.policies(&mut |limit| assert_eq!((limit.holds(), limit.most()), (true, 3)));
}

#[tokio::test]
async fn joint_limits_are_all_told_the_binding_one_first() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let wide = limits.limit("wide", bucket(10)).unwrap();
    let narrow = limits.limit("narrow", bucket(2)).unwrap();
    let unused = limits.limit("unused", bucket(1)).unwrap();
    let limiter = limits.build();
    limiter.on(unused, &()).try_acquire().unwrap();
    let call = limiter.on(wide, "a").on(narrow, "b");
    let told = |narrow: (u32, _, _), wide: (u32, _, _)| {
        vec![
            (name("narrow"), name("10/s"), 2, Some(narrow.0), narrow.1, narrow.2),
            (name("wide"), name("10/s"), 10, Some(wide.0), wide.1, wide.2),
        ]
    };
    let one = told((1, ms(0), ms(100)), (9, ms(0), ms(100)));
    assert_eq!(after(&call, "", NOW).await, (true, one));
    let two = told((0, ms(100), ms(200)), (8, ms(0), ms(200)));
    assert_eq!(after(&call, "", NOW).await, (true, two.clone()));
    assert_eq!(after(&call, "", NOW).await, (false, two));
    // The one that refuses comes first, also where less is left of another one.
    limiter.on(narrow, "c").try_acquire().unwrap();
    let costly = limiter.on_many(wide, "a", 9).on(narrow, "c");
    let (passed, told) = after(&costly, "", NOW).await;
    assert!(!passed);
    assert_eq!(told[0].0, name("wide"));
    assert_eq!(limiter.keys(), 4);
}

#[tokio::test]
async fn a_limit_that_is_asked_about_twice_is_told_once() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let hosts = limits.limit("hosts", bucket(5)).unwrap();
    let limiter = limits.build();
    let call = limiter.on(hosts, "a").on_many(hosts, "b", 2);
    let (_, told) = after(&call, "", NOW).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].3, Some(3));
}

/// It was the first key once, of which a client was told that more was left than it could use.
#[tokio::test]
async fn a_limit_that_is_asked_about_twice_is_told_by_the_key_with_less() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let users = limits.limit("users", bucket(10)).unwrap();
    let hosts = limits.limit("hosts", bucket(10)).unwrap();
    let limiter = limits.build();
    limiter.on_many(users, "u", 8).try_acquire().unwrap();
    limiter.on_many(hosts, "b", 7).try_acquire().unwrap();
    let left = |told: &[Told]| told.iter().map(|told| (told.0.clone(), told.3)).collect::<Vec<_>>();
    let least = [(name("users"), Some(1)), (name("hosts"), Some(2))];
    let call = limiter.on(users, "u").on(hosts, "a").on(hosts, "b").on(hosts, "c");
    assert_eq!(left(&after(&call, "", NOW).await.1), least);
    // In whatever order, and if all have the same, once.
    let least = [(name("users"), Some(0)), (name("hosts"), Some(1))];
    let call = limiter.on(hosts, "b").on(hosts, "a").on(users, "u");
    assert_eq!(left(&after(&call, "", NOW).await.1), least);
    let call = limiter.on(users, "v").on_many(hosts, "x", 0).on_many(hosts, "y", 0);
    let all = [(name("users"), Some(9)), (name("hosts"), Some(10))];
    assert_eq!(left(&after(&call, "", NOW).await.1), all);
}

/// The other one came first once, and a client was told to come back too early.
#[tokio::test]
async fn of_limits_of_which_nothing_is_left_the_one_with_the_longest_wait_binds() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let window = |rate: &str| SlidingWindow::new(rate.parse().unwrap());
    let short = limits.limit("short", window("1/s")).unwrap();
    let long = limits.limit("long", window("1/min")).unwrap();
    let never = limits.limit("never", Quota::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let names = |told: Vec<Told>| told.into_iter().filter_map(|told| told.0).collect::<Vec<_>>();
    let two = limiter.on(short, "a").on(long, "a");
    assert_eq!(names(after(&two, "", NOW).await.1), ["long", "short"]);
    let three = limiter.on(short, "b").on(never, "b").on(long, "b");
    assert_eq!(names(after(&three, "", NOW).await.1)[0], "never");
}

#[tokio::test]
async fn a_store_tells_what_it_answered_and_is_not_asked_again() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let limiter = StoredLimiter::builder("api", store, bucket(2), OnFailure::Refuse);
    let limiter = limiter.clock(clock.clone()).build().unwrap();
    let told = |remaining, next, full| vec![(name("api"), name("10/s"), 2, remaining, next, full)];
    assert_eq!(after(&limiter, "a", NOW).await, (true, told(Some(1), ms(0), ms(100))));
    // Nobody asked when one comes back: until then there is none, in any case.
    assert_eq!(after(&limiter, "a", NOW).await, (true, told(Some(0), ms(200), ms(200))));
    assert_eq!(after(&limiter, "a", NOW).await, (false, told(Some(0), ms(100), ms(200))));
    limiter.breach();
    assert_eq!(after(&limiter, "a", NOW).await, (true, told(None, None, None)));
}

#[tokio::test]
async fn a_store_tells_of_all_limits_of_a_call() {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let mut limits = StoredJointLimiter::builder(store, OnFailure::Refuse).clock(clock);
    let wide = limits.limit("wide", bucket(10)).unwrap();
    let narrow = limits.limit("narrow", bucket(2)).unwrap();
    let limiter = limits.build().unwrap();
    let call = limiter.on(wide, "a").on(narrow, "b");
    let left = |told: &[Told]| told.iter().map(|told| (told.0.clone(), told.3)).collect::<Vec<_>>();
    let (passed, told) = after(&call, "", NOW).await;
    assert!(passed);
    assert_eq!(left(&told), [(name("narrow"), Some(1)), (name("wide"), Some(9))]);
    let _ = after(&call, "", NOW).await;
    let (passed, told) = after(&call, "", NOW).await;
    assert!(!passed);
    assert_eq!(told[0], (name("narrow"), name("10/s"), 2, Some(0), ms(100), ms(200)));
    assert_eq!(told[1].0, name("wide"));
}
