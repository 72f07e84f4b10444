//! The process that suffers: it opens a store, works, and says what it knows.
//!
//! A job is one line for its kind and one for each of its arguments.

use std::ops::RangeInclusive;
use std::path::Path;

use greenroom::{SledStore, Store, StoreError};

use crate::contents::{Found, Lens, ask_again, commit, judge, told};
use crate::process::{begin, say};
use crate::{aborts, damage};

/// Said before the store is closed.
pub(crate) const CLOSING: &str = "closing";

/// Bytes after which the store's log is given to sled: some commits bring that along, some do not.
const ROUND: u64 = 10_000;

/// A job in words; arguments are paths, so no line of them is cut at a space.
pub(crate) fn job(kind: &str, arguments: &[&dyn std::fmt::Display]) -> String {
    arguments.iter().fold(kind.to_owned(), |job, argument| format!("{job}\n{argument}"))
}

pub(crate) fn carry_out(job: &str) {
    begin();
    let words: Vec<&str> = job.lines().collect();
    let number = |word: &str| word.parse::<u64>().unwrap();
    match words[..] {
        ["commit", path, first, last, len] => {
            commit_all(SledStore::open_in_rounds(path, ROUND), number(first)..=number(last), lens(len));
        }
        ["commit-unsynced", path, first, last, len] => {
            let store = SledStore::open_skipping_fdatasync(path);
            commit_all(store, number(first)..=number(last), lens(len));
        }
        ["judge", path, first, last, len] => {
            say(&judge_and_go_on(Path::new(path), number(first)..=number(last), lens(len)));
        }
        ["damage", path, newest, len, ref cases @ ..] => {
            damage::judge_all(Path::new(path), number(newest), lens(len), cases);
        }
        ["stall", what] => aborts::ask_a_stalled_store(what),
        ["hang"] => loop {
            std::thread::park();
        },
        _ => panic!("no such job: {job}"),
    }
    say("through");
}

fn lens(word: &str) -> Lens {
    word.parse().map_or(Lens::Mixed, Lens::All)
}

/// Says `acknowledged n` after each commit; after a failure it says whether every later call fails too.
fn commit_all(store: Result<SledStore, StoreError>, commits: RangeInclusive<u64>, lens: Lens) {
    let store = match store {
        Ok(store) => store,
        Err(error) => return say(&format!("unopened {}", told(&error))),
    };
    say("opened");
    for n in commits {
        if let Err(error) = commit(&store, n, lens) {
            say(&format!("failed {error}"));
            let later = [
                commit(&store, n + 1, lens).is_err(),
                matches!(judge(&store, 0..=n, lens), Found::Refused(_)),
                store.actors().is_err(),
            ];
            return say(&format!("later {later:?}"));
        }
        say(&format!("acknowledged {n}"));
    }
    say(CLOSING);
}

/// What an opening finds; a whole store must also take the next commit and keep it, and know the requests of before.
fn judge_and_go_on(path: &Path, commits: RangeInclusive<u64>, lens: Lens) -> String {
    let open = || SledStore::open(path).map_err(|error| format!("unopened {}", told(&error)));
    let go_on = || -> Result<Found, String> {
        let store = open()?;
        let found = judge(&store, commits, lens);
        let Found::Whole(n) = found else { return Ok(found) };
        commit(&store, n + 1, lens)?;
        drop(store);
        let store = open()?;
        match judge(&store, n + 1..=n + 1, lens) {
            Found::Whole(_) => ask_again(&store, n + 1).map(|()| Found::Whole(n)),
            other => Err(format!("after going on: {other:?}")),
        }
    };
    go_on().map_or_else(|error| error, |found| format!("{found:?}"))
}
