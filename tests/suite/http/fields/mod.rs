//! Fields that say how the limits stand.

mod draft_11;
mod names;
mod property;
mod round_trip;
mod stored;
mod x_rate_limit;

use http::{HeaderMap, Request, Response};
use std::convert::Infallible;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{LeakyBucket, Rate};

pub(crate) type Answer = (u16, Vec<String>);

pub(crate) fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

pub(crate) fn bucket(text: &str, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(rate(text)).capacity(capacity).unwrap()
}

/// The status of one more call, and the fields that say how the limits stand, as `name: value`.
pub(crate) async fn call<L>(layer: &L, path: &str) -> Answer
where
    L: Layer<Inner>,
    L::Service: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    let service = layer.layer(service_fn(answer as fn(_) -> _));
    let request = Request::get(path).body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    (response.status().as_u16(), told(response.headers()))
}

pub(crate) type Inner = tower::util::ServiceFn<
    fn(Request<()>) -> std::future::Ready<Result<Response<String>, Infallible>>,
>;

/// What the server says where no limit is in the way.
fn answer(request: Request<()>) -> std::future::Ready<Result<Response<String>, Infallible>> {
    let mut response = Response::new(String::new());
    if request.uri().path() == "/moved" {
        *response.status_mut() = http::StatusCode::FOUND;
    }
    std::future::ready(Ok(response))
}

pub(crate) fn told(headers: &HeaderMap) -> Vec<String> {
    let about = |name: &str| name.contains("ratelimit") || name == "retry-after";
    let fields = headers.iter().filter(|(name, _)| about(name.as_str()));
    fields.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}
