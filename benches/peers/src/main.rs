//! This crate beside its peers, in one run: `cargo run --release -- GROUP [--check] [--quick]`.
//! A group of several words is run by the first of them, too.

#![forbid(unsafe_code)]

mod clocks;
mod harness;
mod http;
mod layer;
mod machine;
mod memory;
mod pacing;
mod stores;
mod waiting;

use harness::{Bound, Length, PART, Table, Verdict};
use std::process::ExitCode;

type Group = fn(Length) -> Vec<Bound>;

/// By their names, in the order in which `all` runs them. A group prints its tables and returns its
/// bounds.
const GROUPS: [(&[&str], Group); 11] = [
    (&["memory one"], memory::one::run),
    (&["memory keys"], memory::keys::run),
    (&["memory line"], memory::line::run),
    (&["memory window"], memory::window::run),
    (&["layer", "memory layer"], layer::run),
    (&["http calls", "memory layer"], http::calls::run),
    (&["pacing", "memory pace"], pacing::run),
    (&["http loopback"], http::loopback::run),
    (&["stores redis"], stores::redis::run),
    (&["stores sqlite"], stores::sqlite::run),
    (&["stores postgres"], stores::postgres::run),
];

struct Arguments {
    groups: Vec<Group>,
    length: Length,
    check: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(PART) {
        memory::do_part(&words.collect::<Vec<_>>());
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            let groups = GROUPS.map(|(names, _)| names.join(" = ")).join(" | ");
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
        words.iter().all(|word| name.next() == Some(word))
    };
    let is_any_meant = |names: &[&str]| names.iter().any(|name| is_meant(name));
    let is_in = |names| words == ["all"] || is_any_meant(names);
    let meant = GROUPS.into_iter().filter(|(names, _)| is_in(names));
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
    let mut table = Table::new(["bound", "ratio [p25-p75]", "allowed", "its floor", ""]);
    for bound in bounds {
        table.row([
            bound.name().into(),
            bound.ratio().show(3),
            bound.allowed(),
            bound.floor().map_or_else(String::new, |floor| floor.show(3)),
            bound.verdict().to_string(),
        ]);
    }
    println!("### Bounds\n\n{table}");
}

/// Names the bounds that were not held, and returns how many were missed.
fn missed(bounds: &[Bound]) -> usize {
    let of = |verdict| {
        let these = bounds.iter().filter(move |bound| bound.verdict() == verdict);
        these.inspect(move |bound| eprintln!("{verdict}: {bound}")).count()
    };
    of(Verdict::AtTheFloor);
    of(Verdict::OutOfReach);
    of(Verdict::Missed)
}
