//! What the README points to is there, and shows how.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn text(file: &str) -> String {
    fs::read_to_string(in_the_crate(file)).unwrap()
}

fn in_the_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where the links of a page lead to, but for those to other sites.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// The files that a page names in its text.
fn named_files(page: &str) -> Vec<&str> {
    let words = page.split('`').skip(1).step_by(2);
    words.filter(|word| word.ends_with(".rs") && word.contains('/')).collect()
}

/// The rows of the tables of features: what can be done, and what shows how.
fn features(page: &str) -> Vec<(&str, &str)> {
    let (_, section) = page.split_once("\n## Features\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit_once('|'));
    let cells = cells.map(|(feature, shown)| (feature.trim(), shown.trim()));
    cells.filter(|(_, shown)| !shown.is_empty() && !shown.starts_with('-')).collect()
}

#[test]
fn whatever_a_page_points_to_is_there() {
    let mut seen = 0;
    for page in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let page_text = text(page);
        let (links, named) = (links(&page_text), named_files(&page_text));
        for target in links.iter().chain(&named) {
            assert!(in_the_crate(target).exists(), "{page} points to {target}");
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} were found: the test has gone blind");
}

#[test]
fn every_feature_of_the_readme_leads_to_something_that_runs() {
    let page = text("README.md");
    let features = features(&page);
    assert!(features.len() > 30, "only {} were found", features.len());
    for (feature, shown) in features {
        let places = links(shown);
        assert!(!places.is_empty(), "{feature}: {shown}");
        for place in places {
            let source = text(place);
            let has_example = source
                .lines()
                .any(|line| matches!(line.trim_start(), "/// ```" | "//! ```" | "/// ```no_run"));
            assert!(place.starts_with("examples/") || has_example, "{place} has no example");
        }
    }
}

#[test]
fn every_example_is_named_in_the_readme() {
    let page = text("README.md");
    for example in fs::read_dir(in_the_crate("examples")).unwrap() {
        let name = example.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        assert!(page.contains(name), "{name}");
    }
}
