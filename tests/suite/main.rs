//! smoke
use std::time::Duration;
use tower_ratelimit::*;
#[tokio::test(start_paused = true)]
async fn r01() {
    let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_second(50).unwrap()).capacity(3).unwrap());
    let start = tokio::time::Instant::now();
    limiter.acquire().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut v = vec![];
    for _ in 0..6 { limiter.acquire().await.unwrap(); v.push(start.elapsed().as_millis()); }
    assert_eq!(v, [100,100,100,120,140,160]);
}
