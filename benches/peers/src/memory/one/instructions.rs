//! How many instructions a decision takes, counted by callgrind.

use super::rows::{Row, rows};
use crate::harness::{Length, Limit, Table, part_under};
use std::process::Command;

/// The part of this group that is counted: `PART NAME LIMIT DECISIONS`.
pub const PART: &str = "instructions";

const LIMITS: [(Limit, &str); 2] = [(Limit::Ample, "ample"), (Limit::Gone, "gone")];

/// Counted are those inside of the loop, where the optimizer leaves a function for it.
const OPTIONS: [&str; 3] =
    ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*ask_in_a_row*"];

/// Two lengths, whose difference is that of the decisions alone.
const FEW: u32 = 10_000;
const MANY: u32 = 20_000;

/// Instructions of a decision, by row and limit.
pub struct Counted(Vec<(&'static str, [f64; 2])>);

impl Counted {
    /// NaN where nothing was counted.
    pub fn of(&self, name: &str, limit: Limit) -> f64 {
        let row = self.0.iter().find(|(row, _)| *row == name);
        row.map_or(
            f64::NAN,
            |(_, [ample, gone])| if limit == Limit::Ample { *ample } else { *gone },
        )
    }
}

pub fn measure(rows: &[Row], length: Length) -> Counted {
    let is_there = Command::new("valgrind").arg("--version").output().is_ok();
    if !is_there {
        let missing =
            "NO INSTRUCTIONS WERE COUNTED: install valgrind. Their bound counts as missed.";
        eprintln!("{missing}");
        println!("**{missing}**\n");
        return Counted(Vec::new());
    }
    // In a quick run two rows show that it works.
    let of_these = length.pick(rows, &rows[3..5]);
    let count = |row: &Row| (row.name, LIMITS.map(|(_, limit)| a_decision(row.name, limit)));
    let counted = Counted(of_these.iter().map(count).collect());
    println!("Instructions of a decision, without those of the kernel:\n");
    let mut table = Table::new(["limiter", "admitted", "refused"]);
    for (name, [ample, gone]) in &counted.0 {
        table.row([(*name).into(), format!("{ample:.1}"), format!("{gone:.1}")]);
    }
    println!("{table}");
    counted
}

fn a_decision(name: &str, limit: &str) -> f64 {
    let [few, many] = [FEW, MANY].map(|decisions| collected(name, limit, decisions));
    (many - few) / f64::from(MANY - FEW)
}

fn collected(name: &str, limit: &str, decisions: u32) -> f64 {
    let words = [PART, name, limit, &decisions.to_string()];
    let output = part_under("valgrind", &OPTIONS, &words).output().expect("valgrind is there");
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    match count {
        Some(count) if output.status.success() => count,
        _ => {
            eprintln!("NOT COUNTED: {name}, {limit}: {said}");
            f64::NAN
        }
    }
}

/// Makes the decisions.
pub fn do_part(words: &[&str]) {
    let [name, limit, decisions] = words else { panic!("not a part: {words:?}") };
    let row = rows().into_iter().find(|row| row.name == *name).expect("there is this row");
    let (limit, _) = LIMITS.iter().find(|(_, word)| word == limit).expect("there is this limit");
    let decisions = decisions.parse().expect("a number of decisions");
    row.make(*limit).ask_in_a_row(decisions);
}
