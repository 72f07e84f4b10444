//! One run: so many lives that are killed, a last one that is not, and a look at the store after each.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use greenroom::Clock;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::boundary::Boundary;
use crate::clients::Books;
use crate::dice::{mix, share};
use crate::judge::{When, judge};
use crate::life::{Ending, Seen, Surroundings};
use crate::picture::Picture;
use crate::progress::Progress;
use crate::report::{Report, Stays};
use crate::server::Server;
use crate::switchboard::Switchboard;
use crate::times::Times;
use crate::verdict::Verdict;

/// Most sentences about troubles that are kept.
const TROUBLES_MAX: usize = 20;

/// Runs it all.
///
/// # Errors
///
/// Something that the command line names cannot be used. A broken promise is no error, but in the report.
pub(crate) async fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let mut temporary = None;
    let folder = match &args.store {
        Some(folder) => folder.clone(),
        None => {
            let folder = tempfile::tempdir()?;
            temporary.insert(folder).path().to_owned()
        }
    };
    // What an earlier run left has numbers that this one's books do not know.
    if folder.join("store").exists() {
        return Err(format!("there is a store in {} already", folder.display()).into());
    }
    std::fs::create_dir_all(&folder)?;
    let mut run = Run::new(folder.join("store")).await?;
    let progress = Progress::new(args.kills);
    let ended = run.all_lives(args, &progress).await;
    progress.end();
    let is_fine = ended.is_ok() && run.verdict.broken().is_empty();
    let stays = match temporary {
        Some(temporary) if is_fine => {
            drop(temporary);
            Stays::Temporary
        }
        Some(temporary) => Stays::Kept(temporary.keep()),
        None => Stays::Kept(folder),
    };
    Ok(run.into_report(args, stays, ended.err()))
}

struct Run {
    store: PathBuf,
    surroundings: Surroundings,
    verdict: Verdict,
    recoveries: Times,
    /// Who had something to see to at the last look.
    unfinished: BTreeSet<String>,
    troubles: Vec<String>,
    /// Server and switchboard: they end with the run.
    _tasks: JoinSet<()>,
}

impl Run {
    async fn new(store: PathBuf) -> std::io::Result<Self> {
        let mut tasks = JoinSet::new();
        let (switchboard, server) = (Switchboard::start(&mut tasks).await?, Server::start(&mut tasks).await?);
        let surroundings =
            Surroundings { switchboard, server, books: Books::default(), clock: Clock::default() };
        let (verdict, recoveries) = (Verdict::default(), Times::default());
        let (unfinished, troubles) = (BTreeSet::new(), Vec::new());
        Ok(Run { store, surroundings, verdict, recoveries, unfinished, troubles, _tasks: tasks })
    }

    /// Ends early when a promise was broken.
    async fn all_lives(&mut self, args: &Args, progress: &Progress) -> Result<(), String> {
        for life in 0..args.kills {
            let ending = draw(args, life);
            let seen = self.surroundings.live(args, &self.store, life, ending).await?;
            self.verdict.kills += 1;
            self.look(seen, When::AfterKill).await?;
            progress.killed(self.verdict.kills, self.verdict.accepted);
            if !self.verdict.broken().is_empty() {
                return Ok(());
            }
        }
        let seen = self.surroundings.live(args, &self.store, args.kills, Ending::InOrder).await?;
        self.look(seen, When::AtTheEnd).await
    }

    async fn look(&mut self, seen: Seen, when: When) -> Result<(), String> {
        if let Some(recovery) = seen.recovery {
            self.recoveries.add(recovery);
        }
        // Those must come back by themselves.
        for path in seen.started.iter().filter(|path| self.unfinished.contains(*path)) {
            self.verdict.lost += 1;
            self.troubles.push(format!("{path} had something to see to, and did not come back"));
        }
        self.verdict.came_back += seen.came_back;
        self.troubles.extend(seen.troubles);
        self.troubles.truncate(TROUBLES_MAX);
        let store = self.store.clone();
        let picture = tokio::task::spawn_blocking(move || picture_of(&store)).await;
        if let Some(picture) = picture.map_err(|error| error.to_string())?? {
            judge(&picture, &self.surroundings.books, when, &mut self.verdict);
            self.troubles.extend(picture.damage);
            self.unfinished = picture.unfinished;
        }
        let (steps, findings) = {
            let mut calls = self.surroundings.server.calls();
            (calls.figures(), calls.take_findings())
        };
        self.troubles.extend(findings);
        self.verdict.completed_steps_repeated = steps.completed_repeated;
        self.verdict.in_flight_repeated = steps.in_flight_repeated;
        self.verdict.in_flight_unlisted = steps.in_flight_unlisted;
        self.verdict.suspected = steps.suspected;
        self.verdict.open_at_kills = steps.open_at_kills;
        Ok(())
    }

    fn into_report(mut self, args: &Args, stays: Stays, broke_off: Option<String>) -> Report {
        let recovery = self.recoveries.percentiles();
        self.verdict.recovery_p50_ms = recovery.p50_ms;
        self.verdict.recovery_p99_ms = recovery.p99_ms;
        let (verdict, sabotage, troubles) = (self.verdict, args.sabotage, self.troubles);
        Report { verdict, sabotage, broke_off, troubles, stays }
    }
}

/// `None`: the process was killed before there was a store.
fn picture_of(store: &Path) -> Result<Option<Picture>, String> {
    if store.exists() { Picture::take(store).map(Some) } else { Ok(None) }
}

/// How life number `life` ends. The same seed draws the same.
fn draw(args: &Args, life: u32) -> Ending {
    let dice = mix(args.seed ^ mix(life.into()));
    let (kind, dice) = (share(dice), mix(dice));
    match args.at {
        // Every other life comes to some work, of which there may be something to lose.
        Some(boundary) if !life.is_multiple_of(2) => Ending::KilledAt(boundary.drawn(dice)),
        _ if args.at.is_some() || kind < 0.6 => {
            Ending::KilledAfterReady(Duration::from_millis(20 + dice % 380))
        }
        _ if kind < 0.7 => Ending::KilledAfterStart(Duration::from_micros(dice % 60_000)),
        _ if kind < 0.85 => Ending::KilledAt(Boundary::COMMITS[0].drawn(dice)),
        _ => Ending::KilledAt(Boundary::COMMITS[1].drawn(dice)),
    }
}
