//! Requests without a key, keys of several parts, and requests that are not limited.

use super::from;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use std::convert::Infallible;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Error, Fail, KeySource, KeyedRateLimiter, MissingKey, OrShared, PerKeyLayer, Quota,
    RateLimitLayer, RateLimited, Reason, Terms,
    http::{
        Extension, FieldGeneration, Header, PeerIp, RateLimitFields, RequestMethod,
        TooManyRequests, too_many_requests,
    },
};

const ALICE: &str = "192.0.2.1";
const BOB: &str = "192.0.2.2";

type Limiter = KeyedRateLimiter<Quota>;

fn each(permits: u32) -> Limiter {
    KeyedRateLimiter::new(Quota::new(permits).unwrap())
}

fn api_key() -> Header {
    Header::new(HeaderName::from_static("x-api-key"))
}

fn with_key(key: &str) -> Request<()> {
    from(ALICE, "x-api-key", &[key])
}

fn without_key() -> Request<()> {
    from(ALICE, "via", &[""])
}

async fn hello(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

/// What the requests are answered with, one after the other.
async fn statuses<K>(layer: &PerKeyLayer<K, Limiter>, requests: Vec<Request<()>>) -> Vec<u16>
where
    K: KeySource<Request<()>, Reply = TooManyRequests>,
{
    answers(layer.layer(service_fn(hello)), requests).await
}

/// The same of any service.
async fn answers<S, B>(mut service: S, requests: Vec<Request<()>>) -> Vec<u16>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let mut statuses = Vec::new();
    for request in requests {
        let Ok(ready) = service.ready().await;
        let Ok(response) = ready.call(request).await;
        statuses.push(response.status().as_u16());
    }
    statuses
}

#[tokio::test]
async fn a_client_without_an_api_key_is_refused_and_takes_nothing() {
    let limiter = each(1);
    let layer = RateLimitLayer::per_key(api_key(), limiter.clone());
    let requests = vec![without_key(), without_key(), with_key(""), with_key("a"), with_key("a")];
    assert_eq!(statuses(&layer, requests).await, [400, 400, 200, 200, 429]);
    assert_eq!(limiter.keys(), 2);
    assert_eq!(limiter.key("a").peek(0).remaining, 0);
}

#[tokio::test]
async fn all_clients_without_an_api_key_can_share_one_limit() {
    let limiter = each(2);
    let layer = RateLimitLayer::per_key(OrShared(api_key()), limiter.clone());
    let requests = vec![without_key(), with_key(""), without_key(), with_key(""), without_key()];
    assert_eq!(statuses(&layer, requests).await, [200, 200, 200, 200, 429]);
    assert_eq!(limiter.key(&None::<&str>).peek(0).remaining, 0);
    assert_eq!(limiter.key(&Some("a")).peek(0).remaining, 2);
}

#[tokio::test]
async fn a_client_without_an_api_key_can_be_answered_in_another_way() {
    let layer = RateLimitLayer::per_key(api_key(), each(1)).respond(|refusal: RateLimited| {
        let mut response = too_many_requests::<String>(&refusal);
        if refusal.reason() == Reason::Anonymous {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        Ok(response)
    });
    let answer = async |request| {
        let Ok(response) = layer.layer(service_fn(hello)).oneshot(request).await;
        response.status().as_u16()
    };
    assert_eq!(answer(without_key()).await, 401);
    assert_eq!([answer(with_key("a")).await, answer(with_key("a")).await], [200, 429]);
}

/// The limit is not reached while a layer of the service is missing.
#[tokio::test]
async fn a_missing_extension_is_an_error_of_the_service() {
    let user = |user: u64| {
        let mut request = without_key();
        request.extensions_mut().insert(user);
        request
    };
    let layer = RateLimitLayer::per_key(Extension::<u64>::new(), each(1));
    let requests = vec![user(7), without_key(), user(7), user(8), without_key()];
    assert_eq!(statuses(&layer, requests).await, [200, 500, 429, 200, 500]);
    // Unless those without it are meant to be there.
    let layer = RateLimitLayer::per_key(OrShared(Extension::<u64>::new()), each(1));
    let requests = vec![without_key(), user(7), without_key()];
    assert_eq!(statuses(&layer, requests).await, [200, 200, 429]);
}

#[tokio::test]
async fn methods_that_somebody_made_up_share_one_limit() {
    let by = |method: &str| {
        let mut request = from(ALICE, "via", &[""]);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        request
    };
    let layer = RateLimitLayer::per_key((PeerIp::default(), RequestMethod), each(1));
    let requests = vec![by("GET"), by("POST"), by("GET"), by("MADE"), by("UP"), by("get")];
    assert_eq!(statuses(&layer, requests).await, [200, 200, 429, 200, 429, 429]);
}

#[tokio::test]
async fn a_key_of_several_parts_is_another_one_when_any_part_is() {
    let limiter = each(1);
    let source = (PeerIp::default(), OrShared(api_key()), |request: &Request<()>| {
        request.uri().path().to_owned()
    });
    let layer = RateLimitLayer::per_key(source, limiter.clone());
    let ask = |peer, lines: &[&str], path: &str| {
        let mut request = from(peer, "x-api-key", lines);
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let requests = vec![
        ask(ALICE, &["a"], "/x"),
        ask(BOB, &["a"], "/x"),
        ask(ALICE, &["b"], "/x"),
        ask(ALICE, &[], "/x"),
        ask(ALICE, &["a"], "/y"),
        ask(ALICE, &["a"], "/x"),
        ask(ALICE, &[], "/x"),
    ];
    assert_eq!(statuses(&layer, requests).await, [200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(limiter.keys(), 5);
    let key = (PeerIp::default().key(&with_key("a")).unwrap(), Some("a"), "/x");
    assert_eq!(limiter.key(&key).peek(0).remaining, 0);
}

#[tokio::test]
async fn a_key_of_several_parts_is_missing_when_any_part_is() {
    let layer = RateLimitLayer::per_key((PeerIp::default(), api_key()), each(1));
    let requests = vec![without_key(), Request::new(()), with_key("a"), with_key("a")];
    assert_eq!(statuses(&layer, requests).await, [400, 500, 200, 429]);
}

#[tokio::test]
async fn the_first_part_of_a_key_says_how_refusals_are_answered() {
    let by_path = |request: &Request<()>| request.uri().path().to_owned();
    let layer = RateLimitLayer::per_key((by_path, PeerIp::default()), each(1));
    let mut service = layer.layer(service_fn(hello));
    assert_eq!(service.ready().await.unwrap().call(with_key("a")).await.unwrap().status(), 200);
    let refused = service.ready().await.unwrap().call(with_key("a")).await;
    assert!(matches!(refused, Err(Error::Limited(_))));
}

/// Counts for so many, and lets go whom it is told to.
#[derive(Clone)]
struct Times(u32, &'static str);

impl KeySource<Request<()>> for Times {
    type Key = ();
    type Reply = Fail;

    fn key(&self, _: &Request<()>) -> Result<(), MissingKey> {
        Ok(())
    }

    fn reply(&self) -> Fail {
        Fail
    }

    fn terms(&self, _: &Request<()>, terms: Terms) -> Terms {
        Terms { cost: terms.cost * self.0, ..terms }
    }

    fn is_exempt(&self, request: &Request<()>) -> bool {
        request.headers().contains_key(self.1)
    }
}

#[tokio::test]
async fn each_part_of_a_key_has_a_say_in_the_terms_and_the_exceptions() {
    let limiter = each(100);
    let source = (PeerIp::default(), Times(2, "x-two"), Times(3, "x-three"));
    let layer = RateLimitLayer::per_key(source, limiter.clone())
        .terms(|_: &Request<()>, terms| Terms { cost: terms.cost + 1, ..terms });
    let requests = ["x-one", "x-two", "x-three"].map(|name| from(ALICE, name, &[""]));
    assert_eq!(statuses(&layer, requests.into()).await, [200, 200, 200]);
    let key = (PeerIp::default().key(&without_key()).unwrap(), (), ());
    assert_eq!(limiter.key(&key).peek(0).remaining, 93);
}

#[tokio::test]
async fn an_exempt_request_takes_nothing_and_needs_no_key() {
    let health = |peer: Option<&str>| {
        let mut request = peer.map_or(Request::new(()), |peer| from(peer, "via", &[""]));
        *request.uri_mut() = "/health".parse().unwrap();
        request
    };
    let is_bob = |request: &Request<()>| {
        PeerIp::default().address(request).is_ok_and(|address| address == super::ip(BOB))
    };
    let limiter = each(1);
    let layer = RateLimitLayer::per_key(PeerIp::default(), limiter.clone())
        .exempt(|request: &Request<()>| request.uri().path() == "/health")
        .exempt(is_bob);
    let requests = vec![health(None), health(Some(ALICE)), from(BOB, "via", &[""])];
    assert_eq!(statuses(&layer, requests).await, [200, 200, 200]);
    assert_eq!(limiter.keys(), 0);
    // However full the limit is, or closed.
    let requests = vec![without_key(), without_key(), health(Some(ALICE)), Request::new(())];
    assert_eq!(statuses(&layer, requests).await, [200, 429, 200, 500]);
    limiter.close();
    let requests = vec![without_key(), health(None), from(BOB, "via", &[""])];
    assert_eq!(statuses(&layer, requests).await, [503, 200, 200]);
}

#[tokio::test]
async fn exceptions_stand_whatever_else_is_said_about_a_layer() {
    let health = || without_key();
    let is_health = |request: &Request<()>| !request.headers().contains_key("x-api-key");
    let layer = RateLimitLayer::per_key(api_key(), each(1))
        .exempt(is_health)
        .terms(|_: &Request<()>, terms| terms)
        .respond(|refusal: RateLimited| Ok(too_many_requests::<String>(&refusal)))
        .wait()
        .until_body_end();
    let mut service = layer.layer(service_fn(hello));
    for request in [with_key("a"), health(), health()] {
        let Ok(ready) = service.ready().await;
        let Ok(response) = ready.call(request).await;
        assert_eq!(response.status(), 200);
    }
    let shared = RateLimitLayer::per_key(api_key(), each(1)).exempt(is_health);
    assert_eq!(statuses(&shared, vec![health(), with_key("a"), health()]).await, [200, 200, 200]);
    assert!(!OrShared(api_key()).is_exempt(&health()));
}

/// They were forgotten there once, and such a request was refused for want of a key.
#[tokio::test]
async fn exceptions_stand_where_fields_are_sent_and_costs_are_settled() {
    let layer = || {
        RateLimitLayer::per_key(api_key(), each(1))
            .exempt(|request: &Request<()>| !request.headers().contains_key("x-api-key"))
    };
    let fields = RateLimitFields::always(FieldGeneration::Draft11);
    let settled = |_: &Response<String>| 1;
    let requests = || vec![with_key("a"), without_key(), without_key(), with_key("a")];
    let hello = service_fn(hello);
    let with_fields = layer().fields(fields).unwrap().layer(hello);
    assert_eq!(answers(with_fields, requests()).await, [200, 200, 200, 429]);
    let settling = layer().settle(settled).layer(hello);
    assert_eq!(answers(settling, requests()).await, [200, 200, 200, 429]);
    let both = layer().fields(fields).unwrap().settle(settled).layer(hello);
    assert_eq!(answers(both, requests()).await, [200, 200, 200, 429]);
}

#[test]
fn a_key_is_the_value_as_it_is_with_or_without_a_choice() {
    let value = HeaderValue::from_static("a");
    assert_eq!(api_key().key(&with_key("a")), Ok(value.clone()));
    assert_eq!(OrShared(api_key()).key(&with_key("a")), Ok(Some(value)));
}
