//! What calling a service costs, when nothing has to be waited for.

use super::{at_another_place, sliced};
use axum::body::Body;
use http::{Request, Response, StatusCode};
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tower::Service;

/// How many slices of a round are for each service.
pub const SLICES: usize = 30;
pub const SLICE: Duration = Duration::from_millis(1);

/// Calls between two looks at the clock.
const CALLS: u32 = 256;

/// A service that is called in a loop.
pub struct Called {
    pub name: &'static str,
    /// How many slices it had.
    turn: usize,
    /// Makes this many calls.
    run: Box<dyn FnMut(u32)>,
}

impl Called {
    /// A service that answers each of these requests at once, with this status.
    pub fn new<S, B, R>(
        name: &'static str,
        service: S,
        request: fn() -> Request<B>,
        status: StatusCode,
    ) -> Self
    where
        S: Service<Request<B>, Response = Response<R>, Error: fmt::Debug> + 'static,
        B: 'static,
        R: 'static,
    {
        Self::judged(name, service, request, move |answer| match answer {
            Ok(response) => assert_eq!(response.status(), status, "{name}"),
            Err(error) => panic!("{name} fails: {error:?}"),
        })
    }

    /// A service that answers each of these requests at once, with an error.
    pub fn failing<S>(name: &'static str, service: S, request: fn() -> Request<Body>) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>> + 'static,
    {
        Self::judged(name, service, request, move |answer| assert!(answer.is_err(), "{name}"))
    }

    fn judged<S, B>(
        name: &'static str,
        mut service: S,
        request: fn() -> Request<B>,
        judge: impl Fn(&Result<S::Response, S::Error>) + 'static,
    ) -> Self
    where
        S: Service<Request<B>> + 'static,
        B: 'static,
    {
        let run = move |calls| {
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..calls {
                let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else {
                    panic!("{name} is not ready");
                };
                let request = black_box(request());
                let response = pin!(service.call(request)).poll(&mut context);
                let Poll::Ready(answer) = black_box(response) else {
                    panic!("{name} has no response at once");
                };
                judge(&answer);
            }
        };
        let run = Box::new(run);
        Self { name, turn: 0, run }
    }

    fn slice(&mut self) -> f64 {
        self.turn += 1;
        at_another_place(self.turn, || calls(&mut self.run))
    }
}

fn calls(run: &mut impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    let mut calls = 0.0;
    loop {
        run(CALLS);
        calls += f64::from(CALLS);
        let elapsed = start.elapsed();
        if elapsed >= SLICE {
            return elapsed.as_secs_f64() * 1e9 / calls;
        }
    }
}

/// Nanoseconds a call, by service and round.
pub fn nanoseconds(services: &mut [Called], rounds: usize) -> Vec<Vec<f64>> {
    sliced(services, rounds, SLICES, Called::slice)
}

/// How long that takes.
pub fn seconds(services: &[Called], rounds: usize) -> f64 {
    SLICE.as_secs_f64() * (SLICES * services.len() * rounds) as f64
}

/// What a service takes longer than the bare one, by round.
pub fn added(service: &[f64], bare: &[f64]) -> Vec<f64> {
    service.iter().zip(bare).map(|(service, bare)| service - bare).collect()
}

/// A service that is always ready and answers at once, with an empty body.
#[derive(Clone)]
pub struct Nothing;

impl<B: Default> Service<Request<B>> for Nothing {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(B::default())))
    }
}
