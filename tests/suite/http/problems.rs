//! What a refusal says in its body, and who may change it.

use super::fields::bucket;
use axum::body::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use serde_json::{Value, json};
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};
use tower_ratelimit::{
    JointLayer, JointLimiter, ManualClock, OnFailure, RateLimitLayer, RateLimited, RateLimiter,
    Reason, Reply, SlidingWindow, StoredLimiter,
    http::{FieldGeneration::Draft11, ProblemDetails, RateLimitFields, TooManyRequests},
    store::{Answer, Batch, Store, StoreError},
};

const EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// The response to a refusal of which no limit knows anything.
fn refused(refusal: RateLimited) -> Response<String> {
    let reply = TooManyRequests.problem();
    let note = Reply::<Response<String>, ()>::note(&reply, Err(&refusal), |_| {});
    Reply::<Response<String>, ()>::refuse(&reply, refusal, note).unwrap()
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn the_body_says_which_limit_it_was() {
    let response = refused(RateLimited::new(Reason::UsedUp).with_limit("per address"));
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let expected = json!({
        "type": EXCEEDED,
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "violated-policies": ["per address"],
    });
    assert_eq!(json(response.body()), expected);
}

#[test]
fn the_type_is_that_of_the_reason_and_the_status_that_of_the_response() {
    let server = json!({ "title": "Internal Server Error", "status": 500 });
    let gone = json!({ "title": "Service Unavailable", "status": 503 });
    for (reason, kind) in [
        (Reason::UsedUp, Ok(EXCEEDED)),
        (Reason::Exhausted, Ok(EXCEEDED)),
        (Reason::TooCostly, Ok(EXCEEDED)),
        (Reason::Unavailable, Ok(REDUCED)),
        (Reason::QueueFull, Ok(REDUCED)),
        (Reason::TooManyKeys, Ok(REDUCED)),
        (Reason::Closed, Err(&gone)),
        (Reason::Cancelled, Err(&gone)),
        (Reason::NoKey, Err(&server)),
        (Reason::NotTogether, Err(&server)),
    ] {
        let response = refused(RateLimited::new(reason));
        let body = json(response.body());
        assert_eq!(body["status"], response.status().as_u16(), "{reason:?}");
        match kind {
            Ok(kind) => assert_eq!(body["type"], kind, "{reason:?}"),
            Err(whole) => assert_eq!(body, *whole, "{reason:?}"),
        }
        let names = body.get("violated-policies").map(Value::to_string);
        assert_eq!(names.as_deref(), (kind == Ok(EXCEEDED)).then_some(r#"["default"]"#));
    }
}

#[test]
fn any_name_can_stand_in_the_body() {
    let name = "a \"quoted\" \\ name\n\0\u{1f} of straße 日本";
    let response = refused(RateLimited::new(Reason::UsedUp).with_limit(name));
    assert_eq!(json(response.body())["violated-policies"][0], name);
}

#[tokio::test]
async fn the_policy_is_named_as_in_the_fields() {
    let rates = [super::fields::rate("1/s"), super::fields::rate("2/min")];
    let limit = SlidingWindow::all(rates).unwrap();
    let limiter = RateLimiter::builder(limit).name("api").clock(ManualClock::new()).build();
    let layer = RateLimitLayer::new(limiter).refuse().reply(TooManyRequests.problem());
    let layer = layer.fields(RateLimitFields::on_refusal(Draft11)).unwrap();
    let serve = async |_: ()| Ok::<_, Infallible>(Response::new(String::new()));
    let service = layer.layer(service_fn(serve));
    assert_eq!(service.clone().oneshot(()).await.unwrap().status(), StatusCode::OK);
    let refused = service.oneshot(()).await.unwrap();
    assert_eq!(json(refused.body())["violated-policies"], json!(["api 1/s"]));
    let state = refused.headers()["ratelimit"].to_str().unwrap();
    assert!(state.starts_with(r#""api 1/s";r=0;t=1"#), "{state}");
}

#[tokio::test]
async fn of_several_limits_the_one_that_refused_is_named_and_never_a_key() {
    let mut limits = JointLimiter::builder();
    let user = limits.limit("per user", bucket("1/hour", 1)).unwrap();
    let all = limits.limit("over all", bucket("1/hour", 9)).unwrap();
    let rules = move |limits: &JointLimiter, request: &Request<()>| {
        limits.on(user, request.uri().path()).on(all, &())
    };
    let layer = JointLayer::new(limits.build(), rules).reply(TooManyRequests.problem());
    let serve = async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()));
    let service = layer.layer(service_fn(serve));
    let ask = || Request::get("/secret-key").body(()).unwrap();
    let _ = service.clone().oneshot(ask()).await.unwrap();
    let refused = service.oneshot(ask()).await.unwrap();
    assert_eq!(json(refused.body())["violated-policies"], json!(["per user"]));
    assert!(
        !refused.body().contains("secret")
            && !format!("{:?}", refused.headers()).contains("secret")
    );
}

/// A store that does not answer.
#[derive(Clone)]
struct Away;

impl Store<SlidingWindow> for Away {
    async fn decide(&self, _: Batch<SlidingWindow>) -> Result<Vec<Answer>, StoreError> {
        Err(StoreError::new("it is away"))
    }
}

#[tokio::test]
async fn while_the_store_is_away_capacity_is_reduced() {
    let limit = SlidingWindow::new(super::fields::rate("1/s"));
    let limiter = StoredLimiter::builder("api", Away, limit, OnFailure::Refuse).build().unwrap();
    let layer = RateLimitLayer::per_key(|(): &()| 7, limiter).reply(TooManyRequests.problem());
    let serve = async |_: ()| Ok::<_, Infallible>(Response::new(String::new()));
    let refused = layer.layer(service_fn(serve)).oneshot(()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(refused.body())["type"], REDUCED);
}

#[tokio::test]
async fn a_body_of_bytes_can_be_a_problem_and_so_can_an_empty_one_be_empty() {
    async fn refused<R>(reply: R) -> Response<Full<Bytes>>
    where
        R: Reply<Response<Full<Bytes>>, Infallible, Error = Infallible>,
    {
        let layer = RateLimitLayer::new(bucket("1/hour", 1)).refuse().reply(reply);
        let serve = async |_: ()| Ok(Response::new(Full::new(Bytes::new())));
        let service = layer.layer(service_fn(serve));
        service.clone().oneshot(()).await.unwrap();
        service.oneshot(()).await.unwrap()
    }
    let problem = refused(TooManyRequests.problem()).await.into_body();
    let problem = problem.collect().await.unwrap().to_bytes();
    assert_eq!(json(std::str::from_utf8(&problem).unwrap())["status"], 429);
    let empty = refused(TooManyRequests).await.into_body().collect().await.unwrap();
    assert_eq!(empty.to_bytes(), Bytes::new());
}

#[test]
fn a_function_may_change_the_response_or_replace_it() {
    let retry =
        |reply: fn(RateLimited) -> Response<String>| reply(RateLimited::new(Reason::UsedUp));
    let changed = retry(|refusal| {
        let reply =
            TooManyRequests.change(|refusal: &RateLimited, response: &mut Response<String>| {
                let reason = format!("{:?}", refusal.reason());
                response.headers_mut().insert("x-reason", HeaderValue::from_str(&reason).unwrap());
            });
        Reply::<_, ()>::refuse(&reply, refusal, ()).unwrap()
    });
    assert_eq!(
        (changed.status().as_u16(), &changed.headers()["x-reason"]),
        (429, &"UsedUp".parse().unwrap())
    );
    let replaced = retry(|refusal| {
        let reply = ProblemDetails::change(
            TooManyRequests.problem(),
            |_, response: &mut Response<String>| {
                *response = Response::new("tea".to_owned());
            },
        );
        Reply::<_, ()>::refuse(&reply, refusal, String::new()).unwrap()
    });
    assert_eq!((replaced.status().as_u16(), &**replaced.body()), (200, "tea"));
}
