//! A floor uses those below it, never those above.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each module of the crate root and its floor.
const FLOORS: [(&str, u8); 29] = [
    ("nanos", 1),
    ("invalid", 1),
    ("span", 1),
    ("given", 1),
    ("rate", 1),
    ("decision", 1),
    ("algorithm", 1),
    ("config", 1),
    ("clock", 2),
    ("sync", 2),
    ("key", 2),
    ("error", 2),
    ("store", 2),
    ("events", 2),
    ("no_events", 2),
    ("meters", 2),
    ("no_meters", 2),
    ("limiter", 3),
    ("layer", 4),
    ("service", 4),
    ("per_key", 4),
    ("joint", 4),
    ("reply", 4),
    ("settle", 4),
    ("seat", 4),
    ("future", 4),
    ("stream", 4),
    ("http", 5),
    ("conformance", 5),
];

/// Only the door to the time reads a clock, or uses the module `time` of tokio.
const CLOCKS: [&str; 2] = ["Instant::now", "SystemTime"];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { source_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code of a file without its comments, which may speak of anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules of a crate's root, such as `crate::`, that a piece of code names in its paths, also in
/// nested ones such as `use crate::{rate::Rate, limiter::{..}}`.
fn used_modules(root: &str, code: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for (start, _) in code.match_indices(root) {
        let rest = &code[start + root.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            modules.extend(first_word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for character in list.chars() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => modules.extend(first_word(&std::mem::take(&mut item))),
                _ if depth == 0 => item.push(character),
                _ => {}
            }
        }
        modules.extend(first_word(&item));
    }
    modules
}

fn first_word(path: &str) -> Option<String> {
    let word: String =
        path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn a_floor_uses_only_floors_below_it() {
    let floors: BTreeMap<&str, u8> = FLOORS.into_iter().collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in source_files(&source) {
        let relative = path.strip_prefix(&source).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = module.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let floor = floors.get(module).unwrap_or_else(|| panic!("{module} has no floor"));
        for used in used_modules("crate::", &code(&path)) {
            let other = floors.get(used.as_str());
            let other = other.unwrap_or_else(|| panic!("{} uses {used}", relative.display()));
            assert!(
                other <= floor,
                "{} (floor {floor}) uses {used} (floor {other})",
                relative.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} uses were found: the test has gone blind");
}

#[test]
fn only_the_clock_reads_the_time() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = source_files(&source);
    assert!(files.len() > 100, "only {} files were found: the test has gone blind", files.len());
    let reads = files.iter().filter(|path| reads_the_time(&code(path)));
    let (clocks, others): (Vec<_>, Vec<_>) =
        reads.partition(|path| path.starts_with(source.join("clock")));
    assert!(others.is_empty(), "they read the time: {others:?}");
    assert!(clocks.len() > 1, "only {clocks:?} read the time: the test has gone blind");
}

fn reads_the_time(code: &str) -> bool {
    CLOCKS.iter().any(|clock| code.contains(clock))
        || used_modules("tokio::", code).iter().any(|module| module == "time")
}

#[test]
fn whoever_reads_the_time_is_found() {
    for code in [
        "let now = Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "tokio::time::sleep(pause).await;",
        "use tokio::{\n    sync::Notify,\n    time::{Instant, sleep},\n};",
    ] {
        assert!(reads_the_time(code), "{code}");
    }
    assert!(!reads_the_time("use std::time::Duration; use tokio::{sync::Notify, task};"));
}

#[test]
fn uses_in_nested_lists_are_found() {
    let code =
        "use crate::{rate::Rate, limiter::{Attempt, Limiter},\n    key::Key};\ncrate::store::x()";
    assert_eq!(used_modules("crate::", code), ["rate", "limiter", "key", "store"]);
}
