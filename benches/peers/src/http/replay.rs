//! A layer that says what another one said: what the same answer costs if nothing has to be found out.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// Answers everybody with the same response, whose fields and body were made beforehand.
#[derive(Clone)]
pub struct Replay {
    answer: Arc<Answer>,
}

/// A service that nobody reaches.
#[derive(Clone)]
pub struct Replayed<S> {
    inner: S,
    answer: Arc<Answer>,
}

struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    body: Bytes,
}

impl Replay {
    /// Reads what to say.
    ///
    /// # Panics
    ///
    /// When it is not a whole response.
    pub fn new(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").expect("the head has an end");
        let (status_line, fields) = head.split_once("\r\n").expect("there are fields");
        let status = status_line.split(' ').nth(1).expect("there is a status");
        // The server adds it.
        let is_said = |(name, _): &(HeaderName, HeaderValue)| *name != header::DATE;
        let answer = Answer {
            status: status.parse().expect("it is a number"),
            fields: fields.lines().map(field).filter(is_said).collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        Self { answer: Arc::new(answer) }
    }
}

impl<S> Layer<S> for Replay {
    type Service = Replayed<S>;

    fn layer(&self, inner: S) -> Replayed<S> {
        Replayed { inner, answer: Arc::clone(&self.answer) }
    }
}

impl<S: Service<Request, Error = Infallible>> Service<Request> for Replayed<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, _: Request) -> Self::Future {
        let mut response = Response::new(Body::from(self.answer.body.clone()));
        *response.status_mut() = self.answer.status;
        *response.headers_mut() = self.answer.fields.clone();
        ready(Ok(response))
    }
}

fn field(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").expect("a field has a name");
    (name.parse().expect("it is a name"), value.parse().expect("it is a value"))
}
