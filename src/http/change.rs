//! The last word on a refusal's response.

use crate::{error::RateLimited, limiter::Standing, reply::Reply};
use http::Response;

/// A reply whose refusals are changed by a function; made by
/// [`TooManyRequests::change`](super::TooManyRequests::change),
/// [`ProblemDetails::change`](super::ProblemDetails::change) and `ResourceExhausted::change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<R, F> {
    pub(super) reply: R,
    pub(super) change: F,
}

impl<R, F, B, E> Reply<Response<B>, E> for Changed<R, F>
where
    R: Reply<Response<B>, E>,
    F: Fn(&RateLimited, &mut Response<B>) + Clone,
{
    type Error = R::Error;
    type Note = R::Note;

    #[inline(always)]
    fn note(
        &self,
        decided: Result<(), &RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> R::Note {
        self.reply.note(decided, limits)
    }

    fn refuse(&self, refusal: RateLimited, note: R::Note) -> Result<Response<B>, R::Error> {
        let mut response = self.reply.refuse(refusal.clone(), note)?;
        (self.change)(&refusal, &mut response);
        Ok(response)
    }

    #[inline]
    fn inner(&self, error: E) -> R::Error {
        self.reply.inner(error)
    }

    fn responded<H: Send + Sync + 'static>(
        &self,
        response: &mut Response<B>,
        hold: H,
        note: R::Note,
    ) {
        self.reply.responded(response, hold, note);
    }
}
