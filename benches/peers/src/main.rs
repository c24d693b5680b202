//! This crate beside its peers, in one run: `cargo run --release -- GROUP [--check] [--quick]`.
//! A group of several words is run by the first of them, too.

#![forbid(unsafe_code)]

mod harness;
mod http;
mod layer;
mod machine;
mod pacing;
mod stores;

use harness::{Bound, Length, Table};
use std::process::ExitCode;

type Group = fn(Length) -> Vec<Bound>;

/// By name, in the order in which `all` runs them. A group prints its tables and returns its
/// bounds.
const GROUPS: [(&str, Group); 7] = [
    ("layer", layer::run),
    ("http calls", http::calls::run),
    ("http loopback", http::loopback::run),
    ("pacing", pacing::run),
    ("stores redis", stores::redis::run),
    ("stores sqlite", stores::sqlite::run),
    ("stores postgres", stores::postgres::run),
];

struct Arguments {
    groups: Vec<Group>,
    length: Length,
    check: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            let groups = GROUPS.map(|(name, _)| name).join(" | ");
            eprintln!(
                "{problem}\nusage: cargo run --release -- {groups} | all [--check] [--quick]"
            );
            return ExitCode::from(2);
        }
    };
    machine::print();
    if arguments.length == Length::Quick {
        println!("**A quick run: it shows that the groups work. The figures mean nothing.**\n");
    }
    let run = |group: &Group| group(arguments.length);
    let bounds: Vec<Bound> = arguments.groups.iter().flat_map(run).collect();
    if arguments.length == Length::Quick {
        return ExitCode::SUCCESS;
    }
    print(&bounds);
    match (arguments.check, missed(&bounds)) {
        (true, 1..) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments { groups: Vec::new(), length: Length::Full, check: false };
    let mut words = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--check" => parsed.check = true,
            "--quick" => parsed.length = Length::Quick,
            _ => words.push(argument),
        }
    }
    if words.is_empty() {
        return Err("which group?".into());
    }
    let is_meant = |name: &str| {
        let mut name = name.split(' ');
        words == ["all"] || words.iter().all(|word| name.next() == Some(word))
    };
    let meant = GROUPS.into_iter().filter(|(name, _)| is_meant(name));
    parsed.groups.extend(meant.map(|(_, group)| group));
    if parsed.groups.is_empty() {
        return Err(format!("there is no group `{}`", words.join(" ")));
    }
    if parsed.check && parsed.length == Length::Quick {
        return Err("a quick run has no figures to check".into());
    }
    Ok(parsed)
}

fn print(bounds: &[Bound]) {
    let mut table = Table::new(["bound", "ratio [p25-p75]", "allowed", ""]);
    for bound in bounds {
        table.row([
            bound.name().into(),
            bound.ratio().show(3),
            bound.allowed(),
            if bound.is_held() { "held" } else { "MISSED" }.into(),
        ]);
    }
    println!("### Bounds\n\n{table}");
}

/// Names the bounds that were missed, and returns how many those are.
fn missed(bounds: &[Bound]) -> usize {
    let missed = bounds.iter().filter(|bound| !bound.is_held());
    missed.inspect(|bound| eprintln!("missed: {bound}")).count()
}
