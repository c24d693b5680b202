//! The settings of a limiter in configuration files, beside the parameters of its algorithm.

use super::{AtCapacity, Builder, KeyedRateLimiter, ManyLimits, RateLimiter};
use crate::{algorithm::Algorithm, given::Given, invalid::Invalid};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// The settings that every limiter has, those of its keys, and its algorithm, all in one table.
#[derive(Deserialize, Serialize)]
#[serde(
    bound(deserialize = "A: Deserialize<'de>, K: Deserialize<'de>"),
    expecting = "the settings of a limiter"
)]
struct Written<A, K> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_waiting: Option<Given>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<Given>,
    #[serde(flatten)]
    keys: K,
    #[serde(flatten)]
    algorithm: Rest<A>,
}

/// What a single limit has beside that.
#[derive(Deserialize, Serialize)]
struct NoKeys {}

/// What a limit per key has beside that.
#[derive(Deserialize, Serialize)]
struct Keys {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_keys: Option<Given>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_capacity: Option<AtCapacity>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    list_keys: bool,
}

/// An algorithm that is shown every field left over, so that it can refuse those it does not know:
/// as a flattened struct it would be shown its own fields only.
#[derive(Serialize)]
#[serde(transparent)]
struct Rest<A>(A);

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Rest<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RestVisitor(PhantomData))
    }
}

struct RestVisitor<A>(PhantomData<A>);

impl<'de, A: Deserialize<'de>> Visitor<'de> for RestVisitor<A> {
    type Value = Rest<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the parameters of an algorithm")
    }

    fn visit_map<M: MapAccess<'de>>(self, fields: M) -> Result<Rest<A>, M::Error> {
        A::deserialize(MapAccessDeserializer::new(fields)).map(Rest)
    }
}

impl<A: Algorithm, K> Builder<A, K> {
    /// The same with the settings that every limiter has.
    fn set(
        mut self,
        name: Option<String>,
        max_waiting: Option<Given>,
        slack: Option<Given>,
    ) -> Result<Self, Invalid> {
        if let Some(name) = name {
            self = self.name(name);
        }
        if let Some(calls) = max_waiting {
            self = self.max_waiting(number(&calls, "max_waiting")?);
        }
        if let Some(slack) = slack {
            self = self.slack(slack.length("slack")?);
        }
        Ok(self)
    }

    /// These settings as they are written.
    fn written<L>(&self, keys: L) -> Written<&A, L> {
        let settings = &self.settings;
        let bounded = (settings.max_waiting < usize::MAX).then_some(settings.max_waiting);
        Written {
            name: settings.name.as_deref().map(str::to_owned),
            max_waiting: bounded.map(Given::plain),
            slack: (!settings.slack.is_zero()).then(|| Given::span(settings.slack)),
            keys,
            algorithm: Rest(&self.algorithm),
        }
    }
}

/// A number of calls or keys.
fn number(given: &Given, parameter: &'static str) -> Result<usize, Invalid> {
    // A usize has at most the 64 bits of a u64, and at most the largest usize comes back.
    given.whole(parameter, usize::MAX as u64).map(|number| number as usize)
}

impl<'de, A: Algorithm + Deserialize<'de>> Deserialize<'de> for Builder<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { name, max_waiting, slack, keys: NoKeys {}, algorithm } =
            Written::<A, NoKeys>::deserialize(deserializer)?;
        RateLimiter::builder(algorithm.0).set(name, max_waiting, slack).map_err(de::Error::custom)
    }
}

impl<'de, A: Algorithm + Deserialize<'de>> Deserialize<'de> for Builder<A, ManyLimits> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { name, max_waiting, slack, keys, algorithm } =
            Written::<A, Keys>::deserialize(deserializer)?;
        let builder = KeyedRateLimiter::builder(algorithm.0).set(name, max_waiting, slack);
        builder.and_then(|builder| builder.set_keys(keys)).map_err(de::Error::custom)
    }
}

impl<A: Algorithm> Builder<A, ManyLimits> {
    fn set_keys(mut self, keys: Keys) -> Result<Self, Invalid> {
        if let Some(keys) = keys.max_keys {
            self = self.max_keys(number(&keys, "max_keys")?)?;
        }
        if let Some(policy) = keys.at_capacity {
            self = self.at_capacity(policy);
        }
        if keys.list_keys {
            self = self.list_keys();
        }
        Ok(self)
    }
}

impl<A: Algorithm + Serialize> Serialize for Builder<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written(NoKeys {}).serialize(serializer)
    }
}

impl<A: Algorithm + Serialize> Serialize for Builder<A, ManyLimits> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ManyLimits { max_keys, at_capacity, list_keys } = self.keys;
        let (max_keys, at_capacity) = (Some(Given::plain(max_keys)), Some(at_capacity));
        self.written(Keys { max_keys, at_capacity, list_keys }).serialize(serializer)
    }
}
