//! Whatever happens in whatever order, a tree of ours lives as the model of OTP's rules says it must.
//!
//! `SEED=42 cargo test --test otp histories` repeats one history, `HISTORIES=10000` runs so many.

mod generate; // trees and what happens to them, from a seed
mod stage; // the real tree, and what is seen of it

use greenroom::PlantedBug;

use crate::model::{AdminAnswer, Event, Model, Seen, Strategy, SupervisorSpec};
use generate::History;
use stage::Stage;

/// What one history showed.
type Verdict = Result<(), String>;

/// Goal: for random trees and random events at random instants, ours stops, starts, gives up and answers as OTP does.
/// Method: both live through the same history; everything seen and all children listed are compared after each event.
#[test]
fn random_histories_agree_with_the_model() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HISTORIES").unwrap_or(1_000),
    };
    for seed in seeds {
        if let Err(difference) = live(&History::from_seed(seed), None) {
            let (shortest, difference) = shorten(History::from_seed(seed), difference);
            panic!("SEED={seed}: {difference}\nin {shortest:#?}");
        }
    }
}

/// The test of the test: each bug, planted into every supervisor of the tree, shows within some histories.
#[test]
fn each_planted_bug_is_caught_by_a_random_history() {
    for (name, bug) in PlantedBug::ALL {
        let caught = (0..1_000).find(|&seed| live(&History::from_seed(seed), Some(bug)).is_err());

        let seed = caught.unwrap_or_else(|| panic!("{name} was not noticed in 1,000 histories"));
        println!("{name}: caught by SEED={seed}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

fn live(history: &History, bug: Option<PlantedBug>) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a tokio runtime").block_on(live_through(history, bug))
}

async fn live_through(history: &History, bug: Option<PlantedBug>) -> Verdict {
    let (mut model, expected) = Model::start(history.top.clone(), "top");
    let (mut stage, seen) = Stage::start(&history.top, bug).await;
    compare("the start", expected, seen, None)?;
    for (number, (gap_ms, event)) in history.events.iter().enumerate() {
        stage.wait(*gap_ms).await;
        let now_ms = stage.now_ms();
        let killed = match event {
            Event::KillSupervisor { path } => Some(path.as_str()),
            _ => None,
        };
        let what = format!("event {number}, {event:?} at {now_ms} ms");
        let expected = model.apply(now_ms, event.clone());
        let mut seen = stage.apply(event).await;
        if terminates_an_instance(history, event) && expected == [Seen::Answer(AdminAnswer::NotFound)] {
            // OTP tells the pid of an instance that is gone from one that never was; we know no more of either name.
            seen.retain(|one| *one != Seen::Answer(AdminAnswer::Ok));
            seen.extend(seen.is_empty().then_some(Seen::Answer(AdminAnswer::NotFound)));
        }
        compare(&what, expected, seen, killed)?;
        let (expected, listed) = (model.listing(), stage.listing().await);
        if expected != listed {
            return Err(format!("after {what}: OTP lists\n  {expected:?}\nours lists\n  {listed:?}"));
        }
    }
    stage.end().await;
    Ok(())
}

/// Compares in order, except for what has none: a parallel stop, and the deaths below a supervisor that was killed.
fn compare(what: &str, expected: Vec<Seen>, seen: Vec<Seen>, killed: Option<&str>) -> Verdict {
    let text = || format!("after {what}: OTP shows\n  {expected:?}\nours shows\n  {seen:?}");
    let (deaths, in_order) = without_deaths(flat(&expected), killed);
    let (our_deaths, ours) = without_deaths(seen.clone(), killed);
    if deaths != our_deaths || in_order.len() != ours.len() {
        return Err(text());
    }
    let mut rest = ours.as_slice();
    for step in grouped(&expected, killed) {
        let (now, later) = rest.split_at(step.len().min(rest.len()));
        let mut now = now.to_vec();
        now.sort();
        if now != step {
            return Err(text());
        }
        rest = later;
    }
    Ok(())
}

fn terminates_an_instance(history: &History, event: &Event) -> bool {
    let Event::Terminate { supervisor, .. } = event else { return false };
    let all = supervisors(&history.top, "top");
    all.iter().any(|(path, spec)| path == supervisor && spec.strategy == Strategy::Template)
}

fn flat(seen: &[Seen]) -> Vec<Seen> {
    seen.iter()
        .flat_map(|one| match one {
            Seen::Unordered(several) => several.clone(),
            one => vec![one.clone()],
        })
        .collect()
}

/// What is seen at once, sorted, in the order of the steps, without the deaths that a kill brought about.
fn grouped(expected: &[Seen], killed: Option<&str>) -> Vec<Vec<Seen>> {
    let mut dead = Vec::new();
    let mut is_death = |one: &Seen| match one {
        Seen::Ended(path) if is_at_or_below(path, killed) && !dead.contains(path) => {
            dead.push(path.clone());
            true
        }
        _ => false,
    };
    expected
        .iter()
        .map(|one| {
            let mut step = flat(std::slice::from_ref(one));
            step.retain(|one| !is_death(one));
            step.sort();
            step
        })
        .filter(|step| !step.is_empty())
        .collect()
}

/// The first death of each at or below `killed`, sorted; and the rest in order.
fn without_deaths(seen: Vec<Seen>, killed: Option<&str>) -> (Vec<String>, Vec<Seen>) {
    let mut deaths: Vec<String> = Vec::new();
    let mut rest = Vec::new();
    for one in seen {
        match one {
            Seen::Ended(path) if is_at_or_below(&path, killed) && !deaths.contains(&path) => {
                deaths.push(path)
            }
            one => rest.push(one),
        }
    }
    deaths.sort();
    (deaths, rest)
}

fn is_at_or_below(path: &str, killed: Option<&str>) -> bool {
    killed.is_some_and(|killed| path == killed || path.starts_with(&format!("{killed}/")))
}

/// Leaves out events as long as a difference stays.
fn shorten(mut history: History, mut difference: String) -> (History, String) {
    let mut at = history.events.len();
    while at > 0 {
        at -= 1;
        let mut shorter = history.clone();
        let (gap_ms, _) = shorter.events.remove(at);
        if let Some((next, _)) = shorter.events.get_mut(at) {
            *next += gap_ms;
        }
        if let Err(other) = live(&shorter, None) {
            (history, difference) = (shorter, other);
        }
    }
    (history, difference)
}

/// All supervisors of a tree with their paths, outermost first.
fn supervisors(spec: &SupervisorSpec, path: &str) -> Vec<(String, SupervisorSpec)> {
    let below = spec.children.iter().flat_map(|child| match &child.kind {
        crate::model::Kind::Supervisor(below) => supervisors(below, &format!("{path}/{}", child.name)),
        crate::model::Kind::Worker => Vec::new(),
    });
    std::iter::once((path.to_owned(), spec.clone())).chain(below).collect()
}
