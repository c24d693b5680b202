//! An algorithm as a line of text: its name, what it is about, and its other parameters.

use crate::{given::Given, invalid::Invalid, rate::Rate};

/// How the line of an algorithm begins, and how a whole one looks.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) example: &'static str,
}

/// A line such as `leaky bucket 10/s, capacity 5`, of which parameter by parameter is taken.
pub(super) struct Line<'a> {
    form: Form,
    text: &'a str,
    head: &'a str,
    parts: Vec<&'a str>,
}

impl<'a> Line<'a> {
    pub(super) fn read(form: Form, text: &'a str) -> Result<Self, Invalid> {
        let malformed = || malformed(form, text);
        let rest = after(text.trim(), form.name).ok_or_else(malformed)?;
        let mut parts = rest.split(',').map(str::trim);
        let head = parts.next().filter(|head| !head.is_empty()).ok_or_else(malformed)?;
        Ok(Self { form, text, head, parts: parts.collect() })
    }

    /// What stands after the name.
    pub(super) fn head(&self) -> &'a str {
        self.head
    }

    /// The rate after the name.
    pub(super) fn rate(&self) -> Result<Rate, Invalid> {
        self.head.parse()
    }

    /// What stands after these words, if they are there.
    fn value(&mut self, words: &str) -> Option<&'a str> {
        let found = self.parts.iter().enumerate();
        let (index, value) =
            found.filter_map(|(index, part)| Some((index, after(part, words)?))).next()?;
        self.parts.remove(index);
        Some(value)
    }

    /// A number after these words.
    pub(super) fn number(&mut self, words: &str) -> Option<Given> {
        self.value(words).map(Given::plain)
    }

    /// A length of time after these words.
    pub(super) fn length(&mut self, words: &str) -> Option<Given> {
        self.value(words).map(|length| Given::Text(length.to_owned()))
    }

    /// Whether these words are there.
    pub(super) fn flag(&mut self, words: &str) -> Option<Given> {
        let index = self.parts.iter().position(|part| *part == words)?;
        self.parts.remove(index);
        Some(Given::plain(true))
    }

    /// Nothing is left that nobody asked for, and nothing was there twice.
    pub(super) fn end(self) -> Result<(), Invalid> {
        match self.parts.is_empty() {
            true => Ok(()),
            false => Err(malformed(self.form, self.text)),
        }
    }
}

fn malformed(form: Form, text: &str) -> Invalid {
    let value = format_args!("{text:?}").to_string();
    let allowed = format_args!("written like {:?}", form.example).to_string();
    Invalid::new(form.name, value, allowed)
}

/// What follows these words and a space.
pub(crate) fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(words)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}
