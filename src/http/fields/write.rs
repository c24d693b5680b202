//! How the limits of a call stand, as fields.

use super::{
    FieldGeneration, RateLimitFields,
    line::{Line, Quoted, Unwritable},
};
use crate::{
    error::RateLimited,
    http::{
        number,
        policy::{Policy, write_name},
        refusal::whole_seconds,
    },
    invalid::Invalid,
    limiter::Standing,
};
use http::{HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which fields are sent, and the one that is the same in most responses.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fields: RateLimitFields,
    /// The policies of the limiter, each by itself and all of them.
    policies: Vec<Box<[u8]>>,
    all: Option<HeaderValue>,
}

impl Plan {
    /// Checks that the fields can carry what the limits publish.
    pub(super) fn new(
        fields: RateLimitFields,
        policies: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Result<Self, Invalid> {
        let mut plan = Self { fields, policies: Vec::new(), all: None };
        if !fields.sends(FieldGeneration::Draft11) {
            return Ok(plan);
        }
        let (mut names, mut invalid, mut line) = (Vec::new(), None, Line::new());
        policies(&mut |limit| {
            let mut name = String::new();
            // A string takes whatever is written.
            let _ = write_name(&limit, &mut name);
            match (line.member(|line| policy(line, &limit)), names.contains(&name)) {
                (Ok(_), true) => {
                    let allowed = "one that no other limit has, as clients tell them apart by it";
                    invalid = Some(Invalid::new("name", format_args!("{name:?}"), allowed));
                }
                (Ok(written), false) => plan.policies.push(written.into()),
                (Err(Unwritable), _) => {
                    let allowed = "printable ASCII, all names together no longer than 900 characters, as header \
                        fields carry nothing else: give the limit another name";
                    invalid = Some(Invalid::new("name", format_args!("{name:?}"), allowed));
                }
            }
            names.push(name);
        });
        plan.all = line.value();
        match invalid {
            Some(invalid) => Err(invalid),
            None => Ok(plan),
        }
    }

    /// The fields of a response.
    pub(super) fn write(
        &self,
        refusal: Option<&RateLimited>,
        limits: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Vec<(HeaderName, HeaderValue)> {
        let draft_11 = self.fields.sends(FieldGeneration::Draft11);
        let (mut policies, mut left) = (Line::new(), Line::new());
        let (mut usual, mut unusual) = (0, false);
        let mut binding: Option<(u32, Option<State>)> = None;
        limits(&mut |limit| {
            let state = State::of(&limit, refusal.filter(|_| binding.is_none()));
            // Of a wide limit a small share is more than a narrow one has.
            let has_fewer = |before: Option<State>| match (state, before) {
                (Some(state), Some(before)) => state.remaining < before.remaining,
                _ => false,
            };
            if binding.is_none_or(|(_, before)| refusal.is_none() && has_fewer(before)) {
                binding = Some((limit.most(), state));
            }
            if draft_11 {
                match policies.member(|line| policy(line, &limit)) {
                    Ok(written) if self.policies.iter().any(|policy| **policy == *written) => {
                        usual += 1;
                    }
                    _ => unusual = true,
                }
                if let Some(state) = state {
                    // A member that cannot be written is left out.
                    let _ = left.member(|line| member(line, &limit, state));
                }
            }
        });
        let mut fields = Vec::with_capacity(5);
        if draft_11 {
            // It should stay the same, also in its order, where that is what is told.
            let all = match !unusual && usual == self.policies.len() {
                true => self.all.clone(),
                false => policies.value(),
            };
            fields.extend(all.map(|policies| (POLICY, policies)));
            fields.extend(left.value().map(|left| (LIMIT, left)));
        }
        if self.fields.sends(FieldGeneration::XRateLimit)
            && let Some((most, Some(state))) = binding
        {
            fields.push((X_LIMIT, number::value(most.into())));
            fields.push((X_REMAINING, number::value(state.remaining.into())));
            fields.extend(state.seconds.map(|seconds| (X_RESET, number::value(seconds))));
        }
        fields
    }
}

/// What is left, and for how long that is so.
#[derive(Clone, Copy)]
struct State {
    remaining: u32,
    /// At least 1; none where nobody knows, and where nothing was used.
    seconds: Option<u64>,
}

impl State {
    /// Of the limit that refused a call the wait is that of the refusal.
    fn of(limit: &Standing<'_>, refusal: Option<&RateLimited>) -> Option<Self> {
        let remaining = limit.remaining()?;
        if let Some(refusal) = refusal
            && let Some(wait) = refusal.retry_after()
        {
            // Time may have passed since it was refused.
            let remaining = remaining.min(refusal.cost().saturating_sub(1));
            return Some(Self { remaining, seconds: Some(whole_seconds(wait)) });
        }
        let wait = match remaining {
            _ if limit.holds() => None,
            0 => limit.next_after(),
            _ => limit.full_after().filter(|wait| !wait.is_zero()),
        };
        Some(Self { remaining, seconds: wait.map(whole_seconds) })
    }
}

fn name(line: &mut Line, limit: &Standing<'_>) -> Result<(), Unwritable> {
    line.text("\"")?;
    write_name(limit, &mut Quoted(line))?;
    line.text("\"")
}

/// `"burst";q=100;w=60`
fn policy(line: &mut Line, limit: &Standing<'_>) -> Result<(), Unwritable> {
    name(line, limit)?;
    let Policy { quota, window } = Policy::of(limit);
    line.parameter("q", quota)?;
    match window {
        Some(window) => line.parameter("w", window),
        None if limit.holds() => line.text(";qu=\"concurrent-requests\""),
        None => Ok(()),
    }
}

/// `"burst";r=50;t=30`
fn member(line: &mut Line, limit: &Standing<'_>, state: State) -> Result<(), Unwritable> {
    name(line, limit)?;
    line.parameter("r", state.remaining.into())?;
    match state.seconds {
        Some(seconds) => line.parameter("t", seconds),
        None => Ok(()),
    }
}
