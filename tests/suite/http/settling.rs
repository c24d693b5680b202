//! Routes whose calls count by how they were answered, and limits of which nothing is enforced.

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::Response,
    routing::{get, post},
};
use http::{HeaderName, StatusCode};
use std::time::Duration;
use tokio::time::sleep;
use tower::ServiceExt;
use tower_ratelimit::{
    Enforcement, JointLayer, JointLimiter, KeySource, KeyedRateLimiter, LeakyBucket, MissingKey,
    Rate, RateLimitLayer, SlidingWindow,
    http::{Header, TooManyRequests},
};

const USER: HeaderName = HeaderName::from_static("x-user");

async fn status(app: &Router, path: &str, user: &str) -> (u16, Option<String>) {
    let request = Request::post(path).header(USER, user).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let after = response.headers().get("retry-after");
    (response.status().as_u16(), after.map(|after| after.to_str().unwrap().to_owned()))
}

fn two_a_minute() -> SlidingWindow {
    SlidingWindow::new(Rate::per_minute(2).unwrap())
}

#[tokio::test(start_paused = true)]
async fn only_failed_logins_count() {
    let login = async |request: Request| match request.headers()[&USER] == "alice" {
        true => StatusCode::OK,
        false => StatusCode::UNAUTHORIZED,
    };
    let limit = RateLimitLayer::per_key(Header::new(USER), two_a_minute())
        .settle(|response: &Response| u32::from(response.status() == StatusCode::UNAUTHORIZED));
    let app = Router::new().route("/login", post(login)).layer(limit);
    for _ in 0..5 {
        assert_eq!(status(&app, "/login", "alice").await, (200, None));
    }
    for answer in [401, 401] {
        assert_eq!(status(&app, "/login", "mallory").await, (answer, None));
    }
    assert_eq!(status(&app, "/login", "mallory").await, (429, Some("60".to_owned())));
    assert_eq!(status(&app, "/login", "alice").await, (200, None));
}

#[tokio::test(start_paused = true)]
async fn an_answer_costs_as_many_tokens_as_it_says() {
    // What the model used, as it says in its answer.
    #[derive(Clone, Copy)]
    struct Tokens(u32);
    let answer = async || {
        let mut response = Response::new(Body::from("forty-two"));
        response.extensions_mut().insert(Tokens(700));
        response
    };
    let mut limits = JointLimiter::builder();
    let questions = limits.limit("questions", two_a_minute()).unwrap();
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(500).unwrap();
    let tokens = limits.limit("tokens", bucket).unwrap();
    let limiter = limits.build();
    let limit =
        JointLayer::new(limiter.clone(), move |limits: &JointLimiter, request: &Request| {
            let user = Header::new(USER).key(request)?;
            Ok::<_, MissingKey>(limits.on(questions, &user).on_many(tokens, &user, 100))
        })
        .reply(TooManyRequests)
        .settle(move |response: &Response| {
            response.extensions().get().map(|Tokens(used)| (tokens, *used))
        });
    let app = Router::new().route("/ask", post(answer)).layer(limit);
    assert_eq!(status(&app, "/ask", "alice").await, (200, None));
    // Of the 700 at most 400 may be owed when the next one takes its hundred.
    assert_eq!(status(&app, "/ask", "alice").await, (429, Some("30".to_owned())));
    assert_eq!(status(&app, "/ask", "bob").await, (200, None));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(status(&app, "/ask", "alice").await, (200, None));
    sleep(Duration::from_secs(29)).await;
    let refused = limiter.on(questions, "alice").try_acquire().unwrap_err();
    assert_eq!(refused.limit(), Some("questions"));
}

#[tokio::test(start_paused = true)]
async fn a_route_is_watched_in_the_shadow_before_the_limit_is_enforced() {
    let enforcement = Enforcement::shadow();
    let limiter = KeyedRateLimiter::new(two_a_minute());
    let limit = RateLimitLayer::per_key(Header::new(USER), enforcement.of(limiter));
    let app = Router::new().route("/", get(async || "hello").post(async || "hello")).layer(limit);
    for _ in 0..9 {
        assert_eq!(status(&app, "/", "alice").await, (200, None));
    }
    enforcement.set_percent(50.0).unwrap();
    for answer in [200, 429, 200, 429] {
        assert_eq!(status(&app, "/", "alice").await.0, answer);
    }
    enforcement.set_percent(100.0).unwrap();
    assert_eq!(status(&app, "/", "alice").await, (429, Some("60".to_owned())));
    assert_eq!(status(&app, "/", "bob").await, (200, None));
}
