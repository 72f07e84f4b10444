//! What the source tree promises of itself: floors, one file for each foreign thing, headers, links.
//!
//! Text is read, not parsed: each check says in its failure what it looked for and where.
#![expect(clippy::unwrap_used, reason = "a test panics where it cannot read its own tree")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 4] = ["runtime", "supervision", "tools", "actors"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` that end in `ending`, by path from the root, sorted.
fn files(dir: &str, ending: &str) -> Vec<String> {
    fn walk(at: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(at) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !(name.starts_with('.') && name != ".ci") {
                    walk(&path, ending, found);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(dir), ending, &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"))
        .collect();
    names.sort();
    names
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Lines that are code, with their numbers: no comments, nothing behind `//`.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    lines
        .filter(|(_, line)| !line.starts_with("//"))
        .map(|(at, line)| (at, line.split(" // ").next().unwrap()))
}

/// The core's own source: everything that ships.
fn sources() -> Vec<String> {
    let mut all = files("src", ".rs");
    for krate in CRATES {
        all.extend(files(&format!("{krate}/src"), ".rs"));
    }
    assert!(all.len() > 40, "the walk found only {} files", all.len());
    all
}

/// Complaints about each place where a line of code contains one of `words`, outside of the `allowed` files.
fn named_outside(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in sources() {
        if allowed
            .iter()
            .any(|allowed| file == *allowed || (allowed.ends_with('/') && file.starts_with(allowed)))
        {
            continue;
        }
        for (at, line) in code(&read(&file)) {
            for word in words {
                if contains_path(line, word) {
                    complaints.push(format!("{file}:{at}: `{word}` belongs into {allowed:?} only"));
                }
            }
        }
    }
    complaints
}

/// The line that a complaint of [`named_outside`] is about.
fn line_of(complaint: &str) -> String {
    let (place, _) = complaint.split_once(": ").unwrap();
    let (file, at) = place.rsplit_once(':').unwrap();
    read(file).lines().nth(at.parse::<usize>().unwrap() - 1).unwrap().to_owned()
}

/// Whether `line` contains `word` where no identifier goes on to its left.
fn contains_path(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_crate_knows_only_what_lies_below_it() {
    let floors = [
        ("runtime", &[][..]),
        ("supervision", &["greenroom-runtime"]),
        ("tools", &["greenroom-runtime"]),
        ("actors", &["greenroom-runtime", "greenroom-supervision", "greenroom-tools"]),
    ];
    let mut complaints = Vec::new();
    for (krate, below) in floors {
        let manifest = read(&format!("{krate}/Cargo.toml"));
        let (_, dependencies) = manifest.split_once("\n[dependencies]").expect("a section of dependencies");
        let dependencies = dependencies.split("\n[").next().unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("greenroom")) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            if !below.contains(&name) {
                complaints.push(format!("{krate}/Cargo.toml: `{name}` does not lie below `{krate}`"));
            }
        }
        for file in files(&format!("{krate}/src"), ".rs") {
            for (at, line) in code(&read(&file)) {
                for other in CRATES.map(|other| format!("greenroom_{other}")) {
                    let mine = other == format!("greenroom_{krate}");
                    let allowed = mine || below.iter().any(|name| name.replace('-', "_") == other);
                    if line.contains(&format!("{other}::")) && !allowed {
                        complaints.push(format!("{file}:{at}: `{other}` does not lie below `{krate}`"));
                    }
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_core_depends_on_little() {
    let allowed = [
        "ractor",
        "tokio",
        "serde",
        "rmp-serde",
        "sled",
        "tracing",
        "metrics",
        "thiserror",
        "pin-project-lite",
        "crc32fast",
        "fs2",                 // sled brings it along anyway
        "serde_json",          // what models and tools speak
        "sha2",                // the hash of a request, and of arguments: decisions 0020 and 0021
        "schemars",            // the schema of a tool's input: decision 0021
        "serde_path_to_error", // where in the arguments a mistake is: decision 0021
    ];
    let mut complaints = Vec::new();
    for krate in CRATES {
        let manifest = read(&format!("{krate}/Cargo.toml"));
        let (_, dependencies) = manifest.split_once("\n[dependencies]").unwrap();
        for line in dependencies.split("\n[").next().unwrap().lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            // A part of a feature is for those who switch it on.
            let is_optional = line.contains("optional = true");
            if !name.is_empty()
                && !is_optional
                && !name.starts_with('#')
                && !name.starts_with("greenroom")
                && !allowed.contains(&name)
            {
                complaints.push(format!(
                    "{krate}/Cargo.toml: `{name}` needs a decision record and a line in this test"
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_optional_is_part_of_the_core_unasked() {
    // Of the features `providers`, `rest`, `files`, `system` and `prices`.
    let optional = [
        "httpdate",
        "reqwest",
        "rustls",
        "rustls-platform-verifier",
        "secrecy",
        "url",
        "cap-std",
        "landlock",
        "libc",
        "seccompiler",
        "genai-prices",
    ];
    let mut complaints = Vec::new();
    for krate in CRATES {
        let manifest = read(&format!("{krate}/Cargo.toml"));
        let (_, dependencies) = manifest.split_once("\n[dependencies]").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        for line in dependencies.lines().filter(|line| line.contains("optional = true")) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            if !optional.contains(&name) {
                complaints
                    .push(format!("{krate}/Cargo.toml: `{name}` needs a decision record and a line here"));
            }
        }
        if manifest.lines().any(|line| line.starts_with("default = [") && line != "default = []") {
            complaints.push(format!("{krate}/Cargo.toml: a feature is on by default"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn one_file_names_ractor() {
    assert_none(&named_outside(&["ractor::"], &["runtime/src/cell/ractor_bridge.rs"]));
}

#[test]
fn one_file_names_sled() {
    let allowed = ["runtime/src/store/sled/mod.rs", "runtime/src/store/tests/"];
    let mut complaints = named_outside(&["sled::"], &allowed);
    // Our own module of that name.
    complaints.retain(|complaint| !line_of(complaint).contains("self::sled::"));
    assert_none(&complaints);
}

#[test]
fn one_file_reads_or_waits_for_time() {
    let words = [
        "Instant::now",
        "SystemTime::now",
        "time::sleep",
        "time::timeout",
        "tokio::time::interval",
        "thread::sleep",
        ".elapsed()",
    ];
    // `clock.elapsed()` asks our own clock.
    let mut complaints = named_outside(&words, &["runtime/src/clock.rs", "runtime/src/store/tests/"]);
    complaints.retain(|complaint| !line_of(complaint).contains("clock().elapsed()"));
    assert_none(&complaints);
}

#[test]
fn no_queue_is_without_a_bound() {
    assert_none(&named_outside(&["std::sync::mpsc::channel", "sync::mpsc::channel()"], &[]));
    // A supervisor's notes to itself: one for each child that waits to be tried again, so bounded by its children. And
    // requests to it: who makes one waits for the answer, so that the callers are the bound.
    let own_notes = [
        "runtime/src/cell/overseer.rs",
        "runtime/src/cell/ractor_bridge.rs",
        "runtime/src/runtime.rs",
        "supervision/src/supervisor_ref.rs",
    ];
    let mut complaints = Vec::new();
    for file in sources().into_iter().filter(|file| !own_notes.contains(&file.as_str())) {
        for (at, line) in code(&read(&file)).filter(|(_, line)| line.contains("unbounded")) {
            complaints.push(format!("{file}:{at}: a queue without a bound: {line}"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn no_task_is_spawned_past_the_runtime() {
    assert_none(&named_outside(
        &["tokio::spawn", "tokio::task::spawn(", "thread::spawn"],
        &["runtime/src/store/tests/", "runtime/src/mailbox/races/", "runtime/src/message/races.rs"],
    ));
}

#[test]
fn nothing_iterates_in_the_order_of_a_random_hash() {
    assert_none(&named_outside(&["HashMap", "HashSet"], &[]));
}

#[test]
fn unsafe_code_stays_where_it_is_explained() {
    let allowed = [
        "benches/support/allocations.rs",
        // Between fork and exec, and the fork itself: decision 0021.
        "tools/src/builtin/system/guardian.rs",
        "tools/src/builtin/system/kernel.rs",
    ];
    let mut complaints = Vec::new();
    for file in files("", ".rs") {
        if file == "tests/tidy.rs" || allowed.contains(&&*file) {
            continue;
        }
        for (at, line) in code(&read(&file)) {
            if contains_path(line, "unsafe ") || line.contains("unsafe_code") {
                complaints.push(format!("{file}:{at}: unsafe code outside of {allowed:?}"));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut complaints = Vec::new();
    for file in files("", ".rs") {
        if !read(&file).starts_with("//! ") {
            complaints.push(format!("{file}: begins without a `//!` line"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_unfinished_is_on_main() {
    let mut complaints = Vec::new();
    for file in files("", ".rs").into_iter().filter(|file| file != "tests/tidy.rs") {
        for (at, line) in read(&file).lines().enumerate() {
            for word in ["FIXME", "todo!(", "unimplemented!(", "dbg!("] {
                if line.contains(word) {
                    complaints.push(format!("{file}:{}: `{word}`", at + 1));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn a_plain_cargo_test_tests_every_core_crate() {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("default-members")).expect("default-members");
    for krate in [".", "runtime", "supervision", "tools", "actors"] {
        assert!(line.contains(&format!("\"{krate}\"")), "default-members does not list `{krate}`: {line}");
    }
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut complaints = Vec::new();
    let mut links = 0;
    for file in files("", ".md") {
        let text = read(&file);
        let dir = root().join(&file).parent().unwrap().to_path_buf();
        for piece in text.split("](").skip(1) {
            let Some(target) = piece.split(')').next() else { continue };
            if target.contains("://") || target.starts_with('#') || target.contains(' ') {
                continue;
            }
            links += 1;
            let (path, anchor) = target.split_once('#').map_or((target, None), |(path, at)| (path, Some(at)));
            let at = dir.join(path);
            if !at.exists() {
                complaints.push(format!("{file}: `{target}` leads nowhere"));
            } else if let Some(anchor) = anchor
                && !headings(&fs::read_to_string(&at).unwrap_or_default()).contains(anchor)
            {
                complaints.push(format!("{file}: `{target}` has no such heading"));
            }
        }
    }
    // A file that is named in prose rots as unnoticed as a link.
    for file in files("docs", ".md").into_iter().chain(["README.md".into(), "CONTRIBUTING.md".into()]) {
        for piece in read(&file).split('`').skip(1).step_by(2).filter(|piece| piece.ends_with(".rs")) {
            if !root().join(piece).exists() && !root().join("runtime/src").join(piece).exists() {
                complaints.push(format!("{file}: there is no file `{piece}`"));
            }
        }
    }
    assert!(links > 5, "the docs have only {links} links: is the check broken?");
    assert_none(&complaints);
}

fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let mut all = String::new();
    for dir in ["tests", "runtime/src", "supervision/src", "actors/src", "tools/src"] {
        files(dir, ".rs").iter().for_each(|file| all.push_str(&read(file)));
    }
    let guarantees = read("docs/guarantees.md");
    let mut complaints = Vec::new();
    let mut named = 0;
    for piece in guarantees.split('`').skip(1).step_by(2) {
        let is_test_name = piece.matches('_').count() >= 3
            && piece.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if is_test_name {
            named += 1;
            if !all.contains(&format!("fn {piece}(")) {
                complaints.push(format!("docs/guarantees.md: there is no test `{piece}`"));
            }
        }
    }
    assert!(named >= 20, "docs/guarantees.md names only {named} tests");
    let numbered = |section: &&str| section.starts_with(|c: char| c.is_ascii_digit());
    for section in guarantees.split("\n## ").skip(1).filter(numbered) {
        let title = section.lines().next().unwrap();
        if !section.split('`').skip(1).step_by(2).any(|piece| piece.matches('_').count() >= 3) {
            complaints.push(format!("docs/guarantees.md: \"{title}\" names no test"));
        }
    }
    assert_none(&complaints);
}

/// The page and the tests of the ledger of OTP's own cases: each row has its test, and each test its row.
#[test]
fn the_ledger_of_otps_cases_is_kept() {
    let page = read("docs/otp-conformance.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let case = |row: &[&str]| row[1].trim_matches('`').to_owned();
    let cases: BTreeSet<String> = rows.iter().map(|row| case(row)).collect();
    let mut tests = BTreeSet::new();
    let inside = |file: &String| !file.contains("/model/") && !file.contains("/histories/");
    for file in files("tests/otp", ".rs").into_iter().filter(inside) {
        let text = read(&file);
        let after_attribute = text.split("#[tokio::test").skip(1);
        tests.extend(after_attribute.filter_map(|rest| {
            let (_, name) = rest.split_once("async fn ")?;
            Some(name.split_once('(')?.0.to_owned())
        }));
    }
    let mut complaints = Vec::new();
    for row in &rows {
        let (name, verdict, why) = (case(row), row[2], row[3]);
        match verdict {
            "pass" | "adapted" if !tests.contains(&name) => complaints.push(format!("`{name}` has no test")),
            "pass" | "adapted" | "none" if why.is_empty() => {
                complaints.push(format!("`{name}` says nothing"))
            }
            "pass" | "adapted" | "none" => {}
            other => complaints.push(format!("`{name}`: `{other}` is no verdict")),
        }
    }
    complaints
        .extend(tests.difference(&cases).map(|test| format!("the test `{test}` is no row of the ledger")));
    assert_none(&complaints);
    let without_meaning = rows.iter().filter(|row| row[2] == "none").count();
    assert_eq!((cases.len(), rows.len()), (93, 93), "OTP's suite has 93 cases");
    assert!(without_meaning <= 3, "{without_meaning} cases are said to have no meaning");
}

#[test]
fn every_metric_is_documented() {
    let page = read("docs/operations.md");
    for (name, ..) in greenroom::telemetry::DESCRIBED {
        assert!(page.contains(name), "docs/operations.md does not name `{name}`");
    }
    for name in greenroom::tools::model::admission::metrics::DESCRIBED {
        assert!(page.contains(name), "docs/operations.md does not name `{name}`");
    }
}
