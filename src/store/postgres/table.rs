//! The table, the functions made together with it, and the statements that call them.

use crate::invalid::Invalid;
use std::fmt;

/// What is created, in order.
const SOURCES: [&str; 19] = [
    include_str!("sql/table.sql"),
    include_str!("sql/answered.sql"),
    include_str!("sql/numbers.sql"),
    include_str!("sql/leaky_bucket.sql"),
    include_str!("sql/strict.sql"),
    include_str!("sql/burst_compensating.sql"),
    include_str!("sql/tokens.sql"),
    include_str!("sql/quota.sql"),
    include_str!("sql/log.sql"),
    include_str!("sql/sliding_window.sql"),
    include_str!("sql/sliding_window_counter.sql"),
    include_str!("sql/concurrency.sql"),
    include_str!("sql/serialized.sql"),
    include_str!("sql/answer.sql"),
    include_str!("sql/decide.sql"),
    include_str!("sql/take.sql"),
    include_str!("sql/grant.sql"),
    include_str!("sql/forget.sql"),
    include_str!("sql/records.sql"),
];

/// The ways of a batch. Each but the long one says null where another has to be taken.
const DECIDE: &str = "@decide($1, $2, $3, $4, $5, $6, $7)";
const TAKE: &str = "@take($1, $2, $3, $5, $8, $9, $10)";
const GRANT: &str = "@grant($1, $2, $3, $5, $8, $9)";

const DEFAULT_NAME: &str = "rate_limits";

/// Names are cut after 63 bytes, and those of the functions are longer by up to 23.
const LONGEST_NAME: usize = 32;

/// Where the records are, and how they are asked about.
pub(super) struct Table {
    schema: Option<String>,
    name: String,
    /// The statement that decides a batch.
    pub(super) decide: String,
    /// The statement that decides one of which the quick way can be tried.
    pub(super) take: String,
    /// The statement that decides one of which the quickest way can be tried, too.
    pub(super) grant: String,
    /// The statement that takes a step of a clean-up.
    pub(super) forget: String,
    /// The statement that reads records.
    pub(super) read: String,
    /// The statement that puts records in the place of others.
    pub(super) swap: String,
}

impl Table {
    /// `table` or `schema.table`.
    pub(super) fn named(text: &str) -> Result<Self, Invalid> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if schema.is_none_or(is_name) && is_name(name) {
            return Ok(Self::new(schema.map(str::to_owned), name.to_owned()));
        }
        let value = format_args!("{text:?}").to_string();
        let allowed = format_args!(
            "table or schema.table, each 1 to {LONGEST_NAME} lower-case letters, digits and \
             underscores, not beginning with a digit"
        )
        .to_string();
        Err(Invalid::new("table", value, allowed))
    }

    fn new(schema: Option<String>, name: String) -> Self {
        let empty = String::new;
        let (decide, take, grant) = (empty(), empty(), empty());
        let (forget, read, swap) = (empty(), empty(), empty());
        let table = Self { schema, name, decide, take, grant, forget, read, swap };
        let ways = [DECIDE, TAKE, GRANT];
        let [decide, take, grant] = [1, 2, 3].map(|many| {
            let ways: Vec<_> = ways[..many].iter().rev().copied().collect();
            table.with_names(&["SELECT coalesce(", &ways.join(", "), ")"].concat())
        });
        let forget = table.with_names("SELECT * FROM @forget($1, $2, $3, $4)");
        let read = table.with_names("SELECT * FROM @read($1, $2, $3)");
        let swap = table.with_names("SELECT @swap($1, $2, $3, $4, $5)");
        Self { decide, take, grant, forget, read, swap, ..table }
    }

    /// Creates what is not there. Sent together, the statements are one transaction.
    pub(super) fn creation(&self, is_logged: bool) -> String {
        // Two who create the same at the same time would fail over each other.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('tower-ratelimit'));\n".to_owned();
        let sources = SOURCES.join("\n").replace(
            "{unlogged}",
            match is_logged {
                true => "",
                false => "UNLOGGED",
            },
        );
        lock + &self.with_names(&sources)
    }

    /// Puts the names in: `@@` is the table, and `@function` one of its functions.
    fn with_names(&self, source: &str) -> String {
        let schema = self.schema.as_ref().map(|schema| format_args!("\"{schema}\".").to_string());
        let schema = schema.unwrap_or_default();
        let name = &self.name;
        let with_table = source.replace("@@", &format_args!("{schema}\"{name}\"").to_string());
        let mut parts = with_table.split('@');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let (function, rest) = part.split_at(end.unwrap_or(part.len()));
            text.push_str(&format_args!("{schema}\"{name}_{function}\"{rest}").to_string());
        }
        text
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new(None, DEFAULT_NAME.to_owned())
    }
}

/// Its name.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_names("@@"))
    }
}

/// Whether it needs no quotes, so that quotes around it never end early.
fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    begins && text.len() <= LONGEST_NAME && text.chars().all(goes_on)
}
