//! Parameters as somebody wrote them.

use crate::{
    invalid::Invalid,
    span::{self, Span},
};
use std::time::Duration;

/// The value of a parameter as it was written, in a file or in a line of text.
///
/// Whoever knows which parameter it is makes a number or a length of time of it, so that the error
/// can name the parameter, whatever stands there: a negative number, a fraction, a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// A number, or true or false.
    Plain(String),
    /// A text, which an error shows in quotes.
    Text(String),
}

impl Given {
    /// A value that is written without quotes.
    pub(crate) fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    /// A length of time.
    pub(crate) fn span(length: Duration) -> Self {
        Self::Text(Span(length).to_string())
    }

    /// The whole number that it is, from 0 to `most`.
    pub(crate) fn whole(&self, parameter: &'static str, most: u64) -> Result<u64, Invalid> {
        let number = match self {
            Self::Plain(number) => number.parse().ok(),
            Self::Text(_) => None,
        };
        number.filter(|number| *number <= most).ok_or_else(|| {
            let allowed = format_args!("a whole number, at most {most}").to_string();
            Invalid::new(parameter, self.shown(), allowed)
        })
    }

    /// The number of permits that it is.
    pub(crate) fn permits(&self, parameter: &'static str) -> Result<u32, Invalid> {
        // At most the largest u32.
        self.whole(parameter, u32::MAX.into()).map(|permits| permits as u32)
    }

    /// The length of time that it is.
    pub(crate) fn length(&self, parameter: &'static str) -> Result<Duration, Invalid> {
        let length = match self {
            Self::Plain(_) => None,
            Self::Text(text) => span::read(text),
        };
        length.ok_or_else(|| span::malformed(parameter, self.shown()))
    }

    /// Whether it says yes.
    pub(crate) fn flag(&self, parameter: &'static str) -> Result<bool, Invalid> {
        match self {
            Self::Plain(word) if word == "true" => Ok(true),
            Self::Plain(word) if word == "false" => Ok(false),
            _ => Err(Invalid::new(parameter, self.shown(), "true or false")),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => format!("{text:?}"),
        }
    }
}
