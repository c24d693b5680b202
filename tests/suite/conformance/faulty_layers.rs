//! Services that break one point of tower's contract each, and that the kit finds which.

use super::limits;
use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tower::{Layer, Service, layer::layer_fn};
use tower_ratelimit::{
    Error, ManualClock, RateLimit, RateLimitLayer, RateLimited, RateLimiter, Reason, SlidingWindow,
    conformance::{Point, Probe, ProbeFailed},
};

/// What a service does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    CallsAnotherClone,
    CloneIsReady,
    ReadiesTheInnerFirst,
    SwallowsErrors,
    KeepsWhatIsStuck,
    FailsInReady,
    SendsBeforeItIsAdmitted,
    DiesOfARefusal,
}

use Fault::*;

type Limited = RateLimit<Probe, RateLimiter<SlidingWindow>>;

struct Faulty {
    fault: Fault,
    /// Taken out when it is to be lost.
    limited: Option<Limited>,
    probe: Probe,
    is_ready: bool,
    is_clone: bool,
    is_dead: bool,
    is_stuck: bool,
}

impl Faulty {
    fn new(fault: Fault, limited: Limited, probe: Probe) -> Self {
        let limited = Some(limited);
        let (is_ready, is_clone, is_dead, is_stuck) = (false, false, false, false);
        Self { fault, limited, probe, is_ready, is_clone, is_dead, is_stuck }
    }

    fn limited(&mut self) -> &mut Limited {
        self.limited.as_mut().unwrap()
    }
}

impl Clone for Faulty {
    fn clone(&self) -> Self {
        let is_ready = self.is_ready && self.fault == CloneIsReady;
        let probe = self.probe.clone();
        let limited = self.limited.clone();
        Self { limited, probe, is_ready, is_clone: is_ready, ..*self }
    }
}

impl Service<u32> for Faulty {
    type Response = u32;
    type Error = Error<ProbeFailed>;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Self::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let noop = &mut Context::from_waker(Waker::noop());
        match self.fault {
            CloneIsReady if self.is_clone && self.is_ready => return Poll::Ready(Ok(())),
            ReadiesTheInnerFirst => {
                let _ = self.probe.poll_ready(noop);
            }
            KeepsWhatIsStuck => self.is_stuck = self.probe.clone().poll_ready(noop).is_pending(),
            FailsInReady => {
                let refused = self.limited().limiter().try_acquire().map(|permit| permit.refund());
                if let Err(refusal) = refused {
                    return Poll::Ready(Err(Error::Limited(refusal)));
                }
            }
            _ => {}
        }
        let polled = self.limited().poll_ready(cx);
        self.is_ready = polled.is_ready();
        polled
    }

    fn call(&mut self, request: u32) -> Self::Future {
        let noop = &mut Context::from_waker(Waker::noop());
        match self.fault {
            CallsAnotherClone => drop(self.limited().get_ref().clone().call(request)),
            CloneIsReady if self.is_clone => {
                let _ = self.probe.poll_ready(noop);
                let response = self.probe.call(request);
                return Box::pin(async { response.await.map_err(Error::Inner) });
            }
            SendsBeforeItIsAdmitted => {
                let _ = self.probe.poll_ready(noop);
                drop(self.probe.call(request));
            }
            _ => {}
        }
        self.is_ready = false;
        let mut response = Box::pin(self.limited().call(request));
        let refused = match response.as_mut().poll(noop) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return response,
        };
        let fault = self.fault;
        if matches!(refused, Err(Error::Limited(_))) && fault == DiesOfARefusal {
            self.is_dead = true;
        }
        let is_dead = self.is_dead;
        let mut answer = Some(refused);
        Box::pin(poll_fn(move |_| {
            Poll::Ready(match answer.take().unwrap() {
                Err(Error::Inner(_)) if fault == SwallowsErrors => Ok(request),
                Ok(_) if is_dead => Err(Error::Limited(RateLimited::new(Reason::Closed))),
                answer => answer,
            })
        }))
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if self.is_stuck {
            mem::forget(self.limited.take());
        }
    }
}

fn layer(fault: Fault, clock: &ManualClock, refuses: bool) -> impl Layer<Probe, Service = Faulty> {
    let limiter = RateLimiter::builder(limits::window(1)).clock(clock.clone()).build();
    let layer = RateLimitLayer::new(limiter);
    let layer = if refuses { layer.refuse() } else { layer };
    layer_fn(move |probe: Probe| Faulty::new(fault, layer.layer(probe.clone()), probe))
}

/// What is found in a layer that waits, or in one that refuses.
async fn found(fault: Fault, refuses: bool) -> Option<Point> {
    let clock = ManualClock::new();
    let limits = limits::limits(&clock);
    let found = match refuses {
        true => limits.refusing_layer(|| layer(fault, &clock, true)).await,
        false => limits.layer(|| layer(fault, &clock, false)).await,
    };
    found.err().map(|violation| violation.point())
}

#[tokio::test]
async fn faults_of_services_that_wait_are_found() {
    assert_eq!(found(CallsAnotherClone, false).await, Some(Point::CalledUnready));
    assert_eq!(found(CloneIsReady, false).await, Some(Point::CloneOfReady));
    assert_eq!(found(ReadiesTheInnerFirst, false).await, Some(Point::InnerLast));
    assert_eq!(found(SwallowsErrors, false).await, Some(Point::InnerError));
    assert_eq!(found(KeepsWhatIsStuck, false).await, Some(Point::InnerNotReady));
}

#[tokio::test]
async fn faults_of_services_that_refuse_are_found() {
    assert_eq!(found(FailsInReady, true).await, Some(Point::ReadyForRefusal));
    assert_eq!(found(SendsBeforeItIsAdmitted, true).await, Some(Point::RefusedUnseen));
    assert_eq!(found(DiesOfARefusal, true).await, Some(Point::AfterRefusal));
}
