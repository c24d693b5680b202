//! How the limits of a call stand, as fields.

use super::{
    FieldGeneration,
    line::{Line, Unwritable},
    plan::{Known, Plan, write_name, write_policy},
    state::State,
};
use crate::{error::RateLimited, http::number, limiter::Standing};
use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The fields of one response, as [`WithFields`](super::WithFields) notes them at the instant at which
/// the call is decided.
#[derive(Debug, Default)]
pub struct NotedFields(Noted);

/// Few words, as each call has room for them.
#[derive(Debug, Default)]
enum Noted {
    #[default]
    Nothing,
    /// How the only limit stands, which is still as the plan knows it. It is written when there is
    /// a response.
    Only(Option<State>),
    Written(Box<Written>),
}

#[derive(Debug)]
struct Written {
    policies: Option<HeaderValue>,
    left: Option<HeaderValue>,
    /// Of the binding limit how many permits can be had at once, and how it stands.
    binding: Option<(u32, State)>,
}

/// What was told of the limits of a call so far.
pub(super) struct Draft<'a> {
    plan: &'a Plan,
    refusal: Option<&'a RateLimited>,
    told: Told,
}

#[allow(clippy::large_enum_variant, reason = "there is one on the stack, and it stays there")]
enum Told {
    Nothing,
    Only(Option<State>),
    Several(Several),
}

/// Of several limits, or of one that has changed.
struct Several {
    policies: Line,
    left: Line,
    usual: usize,
    unusual: bool,
    binding: Option<(u32, Option<State>)>,
}

/// A limit as the plan knows it, or else as it was told.
#[derive(Clone, Copy)]
enum Described<'a> {
    Known(&'a Known),
    Told(&'a Standing<'a>),
}

impl<'a> Draft<'a> {
    /// The fields of a call that was let through, or else refused so.
    pub(super) fn new(plan: &'a Plan, refusal: Option<&'a RateLimited>) -> Self {
        Self { plan, refusal, told: Told::Nothing }
    }

    /// Adds one limit, the binding one first.
    #[inline]
    pub(super) fn add(&mut self, limit: &Standing<'_>) {
        match (&self.told, &*self.plan.policies) {
            (Told::Nothing, [known]) if known.is_of(limit) => {
                self.told = Told::Only(State::of(limit, self.refusal));
            }
            _ => self.add_another(limit),
        }
    }

    #[inline(never)]
    fn add_another(&mut self, limit: &Standing<'_>) {
        let refusal = self.refusal.filter(|_| matches!(self.told, Told::Nothing));
        if !matches!(self.told, Told::Several(_)) {
            let mut several = Several::new();
            if let (Told::Only(state), [known]) = (&self.told, &*self.plan.policies) {
                several.add(self.plan, self.refusal, Described::Known(known), *state);
            }
            self.told = Told::Several(several);
        }
        let known = self.plan.policies.iter().find(|known| known.is_of(limit));
        let described = known.map_or(Described::Told(limit), Described::Known);
        if let Told::Several(several) = &mut self.told {
            several.add(self.plan, self.refusal, described, State::of(limit, refusal));
        }
    }

    /// All of them were added.
    pub(super) fn finish(self) -> NotedFields {
        NotedFields(match self.told {
            Told::Nothing => Noted::Nothing,
            Told::Only(state) => Noted::Only(state),
            Told::Several(several) => Noted::Written(Box::new(several.finish(self.plan))),
        })
    }
}

impl Several {
    fn new() -> Self {
        let (policies, left) = (Line::new(), Line::new());
        Self { policies, left, usual: 0, unusual: false, binding: None }
    }

    fn add(
        &mut self,
        plan: &Plan,
        refusal: Option<&RateLimited>,
        limit: Described<'_>,
        state: Option<State>,
    ) {
        // Of a wide limit a small share is more than a narrow one has.
        let has_fewer = |before: Option<State>| match (state, before) {
            (Some(state), Some(before)) => state.remaining < before.remaining,
            _ => false,
        };
        if self.binding.is_none_or(|(_, before)| refusal.is_none() && has_fewer(before)) {
            self.binding = Some((limit.most(), state));
        }
        if !plan.fields.sends(FieldGeneration::Draft11) {
            return;
        }
        match (limit, self.policies.member(|line| limit.write_policy(line))) {
            (Described::Known(_), Ok(_)) => self.usual += 1,
            _ => self.unusual = true,
        }
        if let Some(state) = state {
            // A member that cannot be written is left out.
            let _ = self.left.member(|line| {
                limit.write_name(line)?;
                state.write(line)
            });
        }
    }

    fn finish(self, plan: &Plan) -> Written {
        // It should stay the same, also in its order, where that is what is told.
        let policies = match !self.unusual && self.usual == plan.policies.len() {
            true => plan.all.clone(),
            false => self.policies.value(),
        };
        let binding = self.binding.and_then(|(most, state)| Some((most, state?)));
        Written { policies, left: self.left.value(), binding }
    }
}

impl Described<'_> {
    fn most(self) -> u32 {
        match self {
            Described::Known(known) => known.most,
            Described::Told(limit) => limit.most(),
        }
    }

    fn write_policy(self, line: &mut Line) -> Result<(), Unwritable> {
        match self {
            Described::Known(known) => line.bytes(&known.policy),
            Described::Told(limit) => write_policy(line, limit),
        }
    }

    fn write_name(self, line: &mut Line) -> Result<(), Unwritable> {
        match self {
            Described::Known(known) => line.bytes(&known.name),
            Described::Told(limit) => write_name(line, limit),
        }
    }
}

impl NotedFields {
    /// To the lists of other layers; what is no list is that of the outermost one.
    pub(super) fn add_to(self, plan: &Plan, headers: &mut HeaderMap) {
        let is_draft_11 = plan.fields.sends(FieldGeneration::Draft11);
        let is_trio = plan.fields.sends(FieldGeneration::XRateLimit);
        match (self.0, &*plan.policies) {
            (Noted::Only(state), [known]) => {
                if is_draft_11 {
                    append(
                        headers,
                        plan.all.clone(),
                        state.and_then(|state| state.value(&known.name)),
                    );
                }
                if let Some(state) = state.filter(|_| is_trio) {
                    insert_trio(headers, known.most_field.clone(), state);
                }
            }
            (Noted::Written(written), _) => {
                if is_draft_11 {
                    append(headers, written.policies, written.left);
                }
                if let Some((most, state)) = written.binding.filter(|_| is_trio) {
                    insert_trio(headers, number::value(most.into()), state);
                }
            }
            (Noted::Nothing | Noted::Only(_), _) => {}
        }
    }
}

fn append(headers: &mut HeaderMap, policies: Option<HeaderValue>, left: Option<HeaderValue>) {
    if let Some(policies) = policies {
        headers.append(POLICY, policies);
    }
    if let Some(left) = left {
        headers.append(LIMIT, left);
    }
}

fn insert_trio(headers: &mut HeaderMap, most: HeaderValue, state: State) {
    headers.insert(X_LIMIT, most);
    headers.insert(X_REMAINING, number::value(state.remaining.into()));
    match state.seconds {
        Some(seconds) => headers.insert(X_RESET, number::value(seconds.get())),
        // What stands there is the time of another limit.
        None => headers.remove(X_RESET),
    };
}
