//! What a layer says in fields, as far as it is the same in most responses.

use super::{
    FieldGeneration, RateLimitFields,
    line::{Line, Unwritable},
};
use crate::{
    http::{
        number,
        policy::{self, Policy},
    },
    invalid::Invalid,
    limiter::Standing,
    rate::Rate,
};
use http::HeaderValue;

/// Which fields are sent, and what is the same in most responses.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fields: RateLimitFields,
    /// The policies of the limiter, each by itself and all of them.
    pub(super) policies: Vec<Known>,
    pub(super) all: Option<HeaderValue>,
}

/// What a limit published when the layer was made, and how that is written.
#[derive(Debug)]
pub(super) struct Known {
    limit: Option<Box<str>>,
    rate: Option<Rate>,
    is_one_of_several: bool,
    pub(super) most: u32,
    holds: bool,
    /// `"burst"`
    pub(super) name: Box<[u8]>,
    /// `"burst";q=100;w=60`
    pub(super) policy: Box<[u8]>,
    /// How many permits can be had at once, in a field of its own.
    pub(super) most_field: HeaderValue,
}

impl Plan {
    /// Checks that the fields can carry what the limits publish.
    pub(super) fn new(
        fields: RateLimitFields,
        policies: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Result<Self, Invalid> {
        let mut plan = Self { fields, policies: Vec::new(), all: None };
        let (mut names, mut invalid, mut line) = (Vec::new(), None, Line::new());
        policies(&mut |limit| {
            let name = policy::name(&limit).into_owned();
            match (line.member(|line| write_policy(line, &limit)), names.contains(&name)) {
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
            // Fields without names can carry whatever the limits are called.
            Some(invalid) if fields.sends(FieldGeneration::Draft11) => Err(invalid),
            _ => Ok(plan),
        }
    }
}

impl Known {
    /// Nothing where the name cannot be written, as the policy could not then, either.
    fn new(limit: &Standing<'_>, policy: &[u8]) -> Option<Self> {
        let mut line = Line::new();
        let name = line.member(|line| write_name(line, limit)).ok()?;
        Some(Self {
            limit: limit.limit().map(Box::from),
            rate: limit.rate(),
            is_one_of_several: limit.is_one_of_several(),
            most: limit.most(),
            holds: limit.holds(),
            name: name.into(),
            policy: policy.into(),
            most_field: number::value(limit.most().into()),
        })
    }

    /// Whether the limit still publishes that.
    pub(super) fn is_of(&self, limit: &Standing<'_>) -> bool {
        self.most == limit.most()
            && self.rate == limit.rate()
            && self.holds == limit.holds()
            && self.is_one_of_several == limit.is_one_of_several()
            && self.limit.as_deref() == limit.limit()
    }
}

pub(super) fn write_name(line: &mut Line, limit: &Standing<'_>) -> Result<(), Unwritable> {
    line.text("\"")?;
    line.quoted(&policy::name(limit))?;
    line.text("\"")
}

/// `"burst";q=100;w=60`
pub(super) fn write_policy(line: &mut Line, limit: &Standing<'_>) -> Result<(), Unwritable> {
    write_name(line, limit)?;
    let Policy { quota, window } = Policy::of(limit);
    line.parameter("q", quota)?;
    match window {
        Some(window) => line.parameter("w", window),
        None if limit.holds() => line.text(";qu=\"concurrent-requests\""),
        None => Ok(()),
    }
}
