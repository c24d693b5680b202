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
    rate::Rate,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which fields are sent, and what is the same in most responses.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fields: RateLimitFields,
    /// The policies of the limiter, each by itself and all of them.
    policies: Vec<Known>,
    all: Option<HeaderValue>,
}

/// What a limit published when the layer was made, and how that is written.
#[derive(Debug)]
struct Known {
    limit: Option<Box<str>>,
    rate: Option<Rate>,
    is_one_of_several: bool,
    most: u32,
    holds: bool,
    name: Box<[u8]>,
    policy: Box<[u8]>,
}

impl Known {
    /// Whether the limit still publishes that.
    fn is_of(&self, limit: &Standing<'_>) -> bool {
        self.most == limit.most()
            && self.rate == limit.rate()
            && self.holds == limit.holds()
            && self.is_one_of_several == limit.is_one_of_several()
            && self.limit.as_deref() == limit.limit()
    }
}

/// The fields of one response, as [`WithFields`](super::WithFields) notes them at the instant at which
/// the call is decided.
#[derive(Debug, Default)]
pub struct NotedFields {
    policies: Option<HeaderValue>,
    left: Option<HeaderValue>,
    /// Of the binding limit how many permits can be had at once, and how it stands.
    binding: Option<(u32, State)>,
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
                (Ok(written), false) => plan.policies.extend(Known::new(&limit, written)),
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
    ) -> NotedFields {
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
                let known = self.policies.iter().find(|known| known.is_of(&limit));
                let written = policies.member(|line| match known {
                    Some(known) => line.bytes(&known.policy),
                    None => policy(line, &limit),
                });
                match (known, written) {
                    (Some(_), Ok(_)) => usual += 1,
                    _ => unusual = true,
                }
                if let Some(state) = state {
                    // A member that cannot be written is left out.
                    let _ = left.member(|line| {
                        match known {
                            Some(known) => line.bytes(&known.name)?,
                            None => name(line, &limit)?,
                        }
                        state.write(line)
                    });
                }
            }
        });
        let mut fields = NotedFields::default();
        if draft_11 {
            // It should stay the same, also in its order, where that is what is told.
            fields.policies = match !unusual && usual == self.policies.len() {
                true => self.all.clone(),
                false => policies.value(),
            };
            fields.left = left.value();
        }
        if self.fields.sends(FieldGeneration::XRateLimit)
            && let Some((most, Some(state))) = binding
        {
            fields.binding = Some((most, state));
        }
        fields
    }
}

impl Known {
    /// Nothing where the name cannot be written, as the policy could not then, either.
    fn new(limit: &Standing<'_>, policy: &[u8]) -> Option<Self> {
        let mut line = Line::new();
        let name = line.member(|line| name(line, limit)).ok()?;
        Some(Self {
            limit: limit.limit().map(Box::from),
            rate: limit.rate(),
            is_one_of_several: limit.is_one_of_several(),
            most: limit.most(),
            holds: limit.holds(),
            name: name.into(),
            policy: policy.into(),
        })
    }
}

impl NotedFields {
    /// To the lists of other layers; what is no list is that of the outermost one.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        if let Some(policies) = self.policies {
            headers.append(POLICY, policies);
        }
        if let Some(left) = self.left {
            headers.append(LIMIT, left);
        }
        if let Some((most, state)) = self.binding {
            headers.insert(X_LIMIT, number::value(most.into()));
            headers.insert(X_REMAINING, number::value(state.remaining.into()));
            if let Some(seconds) = state.seconds {
                headers.insert(X_RESET, number::value(seconds));
            }
        }
    }
}

/// What is left, and for how long that is so.
#[derive(Clone, Copy, Debug)]
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

    /// `;r=50;t=30`
    fn write(self, line: &mut Line) -> Result<(), Unwritable> {
        line.parameter("r", self.remaining.into())?;
        match self.seconds {
            Some(seconds) => line.parameter("t", seconds),
            None => Ok(()),
        }
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
