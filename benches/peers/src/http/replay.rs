//! A server that says what another one said: what the same answer costs if nothing has to be found out.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::{convert::Infallible, future::ready};
use tower::{layer::layer_fn, service_fn};

/// The same routes behind a layer that answers everybody with this, whose fields and body were made
/// beforehand: as early as a limit could.
///
/// # Panics
///
/// When it is not a whole response.
pub fn replay(app: Router, response: &str) -> Router {
    let (head, body) = response.split_once("\r\n\r\n").expect("the head has an end");
    let (status_line, fields) = head.split_once("\r\n").expect("there are fields");
    let status = status_line.split(' ').nth(1).expect("there is a status");
    let status: StatusCode = status.parse().expect("it is a number");
    // The server adds it.
    let is_said = |(name, _): &(HeaderName, HeaderValue)| *name != header::DATE;
    let fields: HeaderMap = fields.lines().map(field).filter(is_said).collect();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = move |_: Request| {
        let mut response = Response::new(Body::from(body.clone()));
        *response.status_mut() = status;
        *response.headers_mut() = fields.clone();
        ready(Ok::<_, Infallible>(response))
    };
    app.layer(layer_fn(move |_| service_fn(answer.clone())))
}

fn field(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").expect("a field has a name");
    (name.parse().expect("it is a name"), value.parse().expect("it is a value"))
}
