//! How a service replies: to calls that were not let through, and to those that were.

use crate::{
    error::{Error, RateLimited},
    limiter::Standing,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns a refusal into what the service returns, an error or a response, and may add to the
/// responses of calls that were let through.
///
/// `Res` and `E` are the response and the error of the inner service. What a reply has to know of
/// the limits it notes when the call is decided, as they stand otherwise once there is a response.
///
/// ```
/// use std::convert::Infallible;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimitLayer, RateLimited, Reply, Standing};
///
/// /// Says how many calls are left.
/// #[derive(Clone)]
/// struct CountDown;
///
/// impl<E> Reply<String, E> for CountDown {
///     type Error = E;
///     type Note = Option<u32>;
///
///     fn note(
///         &self,
///         _: Result<(), &RateLimited>,
///         limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
///     ) -> Option<u32> {
///         let mut left = None;
///         limits(&mut |limit| left = left.or(limit.remaining()));
///         left
///     }
///
///     fn refuse(&self, _: RateLimited, _: Option<u32>) -> Result<String, E> {
///         Ok("come back later".to_owned())
///     }
///
///     fn inner(&self, error: E) -> E {
///         error
///     }
///
///     fn responded<H: Send + Sync + 'static>(&self, text: &mut String, _: H, left: Option<u32>) {
///         text.push_str(&format!(", {} left", left.unwrap_or_default()));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bucket = LeakyBucket::new(Rate::per_hour(2)?).capacity(2)?;
/// let service = ServiceBuilder::new()
///     .layer(RateLimitLayer::new(bucket).refuse().reply(CountDown))
///     .service(service_fn(async |_: ()| Ok::<_, Infallible>("welcome".to_owned())));
/// assert_eq!(service.clone().oneshot(()).await?, "welcome, 1 left");
/// assert_eq!(service.clone().oneshot(()).await?, "welcome, 0 left");
/// assert_eq!(service.oneshot(()).await?, "come back later");
/// # Ok(())
/// # }
/// ```
pub trait Reply<Res, E>: Clone {
    /// The error of the service behind the layer.
    type Error;
    /// What is noted of a call when it is decided; `()` where that is nothing, and costs nothing.
    type Note: Send + Sync + 'static;

    /// Notes what is needed of a call that was let through just now, or refused.
    ///
    /// `limits` reports how each of its limits stands, the binding one first; a limiter that does
    /// not know reports nothing. A reply that does not call it does not pay for it.
    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Self::Note;

    /// Answers a call that was not let through.
    ///
    /// # Errors
    ///
    /// When the answer is an error.
    fn refuse(&self, refusal: RateLimited, note: Self::Note) -> Result<Res, Self::Error>;

    /// Passes on an error of the inner service.
    fn inner(&self, error: E) -> Self::Error;

    /// Receives what was kept while the call ran, when there is a response. The call has ended once
    /// it is dropped, which by default happens at once.
    fn responded<H: Send + Sync + 'static>(&self, _response: &mut Res, hold: H, _note: Self::Note) {
        drop(hold);
    }
}

/// Answers refusals with errors: the service fails with [`Error<E>`](Error).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fail;

impl<Res, E> Reply<Res, E> for Fail {
    type Error = Error<E>;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Res, Error<E>> {
        Err(Error::Limited(refusal))
    }

    #[inline]
    fn inner(&self, error: E) -> Error<E> {
        Error::Inner(error)
    }
}

/// Boxes refusals and errors of the inner service, as tower's own `Timeout`, `Buffer` and
/// `LoadShed` do, which can then stand outside of this layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boxed;

impl<Res, E: Into<BoxError>> Reply<Res, E> for Boxed {
    type Error = BoxError;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Res, BoxError> {
        Err(refusal.into())
    }

    fn inner(&self, error: E) -> BoxError {
        error.into()
    }
}

/// Answers refusals by a function; the service keeps the error type of the inner one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Respond<F>(pub F);

impl<F, Res, E> Reply<Res, E> for Respond<F>
where
    F: Fn(RateLimited) -> Result<Res, E> + Clone,
{
    type Error = E;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Res, E> {
        self.0(refusal)
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

/// Never refuses: every call waits its turn, and the service keeps the error type of the inner
/// one. Made by [`RateLimitLayer::wait_only`](crate::RateLimitLayer::wait_only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitOnly(pub(crate) ());

impl<Res, E> Reply<Res, E> for WaitOnly {
    type Error = E;
    type Note = ();

    #[inline(always)]
    fn note(&self, _: Result<(), &RateLimited>, _: impl Fn(&mut dyn FnMut(Standing<'_>))) {}

    fn refuse(&self, refusal: RateLimited, (): ()) -> Result<Res, E> {
        unreachable!(
            "a limit that refills grants a cost of 1 in the end, and nobody takes hold of it: {refusal}"
        )
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}
