//! One life of the bank, as its parent sees it: from the start of the process to its kill, or its orderly end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use greenroom::Clock;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::args::Args;
use crate::boundary::Boundary;
use crate::clients::{Books, client};
use crate::sabotage::Sabotage;
use crate::server::Server;
use crate::switchboard::{Lines, Switchboard};

/// How long the bank may take to come up, and to finish.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after it is ready a boundary that it does not reach is waited for.
const BOUNDARY_WITHIN: Duration = Duration::from_millis(1_500);
const WORDS_MAX: usize = 1_024;

/// How a life is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Killed so long after the process was started: perhaps while it opens its store.
    KilledAfterStart(Duration),
    /// Killed so long after it was ready.
    KilledAfterReady(Duration),
    /// Killed at a boundary of its store.
    KilledAt(Boundary),
    /// Finishes what is left, and ends in order.
    InOrder,
}

impl Ending {
    /// How long after it was ready it ends at the latest, if that matters.
    fn after_ready(self) -> Option<Duration> {
        match self {
            Ending::KilledAfterStart(_) => None,
            Ending::KilledAfterReady(after) => Some(after),
            Ending::KilledAt(_) => Some(BOUNDARY_WITHIN),
            Ending::InOrder => Some(PATIENCE),
        }
    }
}

/// The bank's surroundings, which outlive it.
pub(crate) struct Surroundings {
    pub(crate) switchboard: Switchboard,
    pub(crate) server: Server,
    pub(crate) books: Books,
    pub(crate) clock: Clock,
}

/// What was seen of a life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// From the start of the process until all actors were up.
    pub(crate) recovery: Option<Duration>,
    /// The actors that the bank had to start, and how many came back by themselves.
    pub(crate) started: Vec<String>,
    pub(crate) came_back: u64,
    /// Dead letters, damage and the like, which nobody planned.
    pub(crate) troubles: Vec<String>,
    /// The store failed, which nothing here makes it do.
    failed: Option<String>,
    has_ended: bool,
    is_at_boundary: bool,
}

impl Surroundings {
    /// Lets the bank live once.
    ///
    /// # Errors
    ///
    /// In one sentence, why it did not live or end as it should.
    pub(crate) async fn live(
        &mut self,
        args: &Args,
        store: &Path,
        life: u32,
        ending: Ending,
    ) -> Result<Seen, String> {
        let mut child = self.start(args, store, life, ending).map_err(|error| error.to_string())?;
        let started = self.clock.now();
        let mut deadline = match ending {
            Ending::KilledAfterStart(after) => started + after,
            _ => started + PATIENCE,
        };
        let (ends, end) = watch::channel(false);
        let (told, mut words) = mpsc::channel(WORDS_MAX);
        let (mut tasks, mut seen, mut orders) = (JoinSet::new(), Seen::default(), None::<Lines>);
        let is_killed = loop {
            tokio::select! {
                Some((what, lines)) = self.switchboard.next(life) => match what.split_once(' ') {
                    Some(("client", n)) => {
                        let sender = n.parse().map_err(|_| format!("there is no client {n}"))?;
                        let (books, pause) = (self.books.clone(), args.load.pause());
                        tasks.spawn(client(lines, sender, books, pause, end.clone()));
                    }
                    _ if what == "told" => drop(tasks.spawn(listen(lines, told.clone()))),
                    _ if what == "orders" => orders = Some(lines),
                    _ => {}
                },
                Some(word) = words.recv() => {
                    let was_ready = seen.recovery.is_some();
                    self.hear(&word, started, &mut seen);
                    if seen.is_at_boundary {
                        break true;
                    }
                    if seen.recovery.is_some() && !was_ready {
                        deadline = ending.after_ready().map_or(deadline, |after| self.clock.after(after));
                        ends.send_replace(ending == Ending::InOrder);
                    }
                }
                () = self.clock.sleep_until(deadline) => break true,
                _ = child.wait() => break false,
            }
            if ending == Ending::InOrder
                && let Some(lines) = &mut orders
                && seen.recovery.is_some()
            {
                // Once is enough, but twice does no harm.
                drop(lines.get_mut().write_all(b"finish\n").await);
            }
        };
        let ready = seen.recovery.is_some();
        let _unless_it_has_ended = child.start_kill();
        let status = child.wait().await.map_err(|error| error.to_string())?;
        drop((told, orders));
        self.hear_the_rest(life, &mut tasks, &mut words, started, &mut seen).await?;
        if let Some(why) = &seen.failed {
            return Err(format!("the store failed: {why}"));
        }
        match ending {
            Ending::InOrder if is_killed => Err("the bank did not finish in time".to_owned()),
            Ending::InOrder if !seen.has_ended => Err(format!("the bank ended with {status}")),
            Ending::InOrder => Ok(seen),
            _ if !is_killed => Err(format!("the bank ended by itself, with {status}")),
            Ending::KilledAfterStart(_) => Ok(seen),
            _ if !ready && !seen.is_at_boundary => Err("the bank did not come up in time".to_owned()),
            _ => Ok(seen),
        }
    }

    fn start(&self, args: &Args, store: &Path, life: u32, ending: Ending) -> std::io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--child").arg(format!("{},{}", self.switchboard.address, self.server.address));
        command.arg("--store").arg(store);
        command.args(["--life", &life.to_string(), "--seed", &args.seed.to_string()]);
        if let Some(sabotage) = args.sabotage {
            command.args(["--sabotage", &Sabotage::name(sabotage)]);
        }
        if let Ending::KilledAt(boundary) = ending {
            command.args(["--at", &boundary.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()
    }

    /// The process is dead: takes in whatever it had said before.
    async fn hear_the_rest(
        &mut self,
        life: u32,
        tasks: &mut JoinSet<()>,
        words: &mut mpsc::Receiver<String>,
        started: tokio::time::Instant,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let (told, mut late) = mpsc::channel(WORDS_MAX);
        self.switchboard.mark(life).await.map_err(|error| error.to_string())?;
        while let Some((what, lines)) = self.switchboard.next(life).await
            && what != "mark"
        {
            if what == "told" {
                tasks.spawn(listen(lines, told.clone()));
            }
        }
        drop(told);
        while let Some(word) = words.recv().await {
            self.hear(&word, started, seen);
        }
        while let Some(word) = late.recv().await {
            self.hear(&word, started, seen);
        }
        while tasks.join_next().await.is_some() {}
        self.server.settle().await.map_err(|error| error.to_string())?;
        self.server.calls().life_ended();
        Ok(())
    }

    fn hear(&self, word: &str, started: tokio::time::Instant, seen: &mut Seen) {
        match word.split_once(' ') {
            Some(("repeated", key)) => self.server.calls().is_told(key),
            Some(("parked", key)) => self.server.calls().is_parked(key),
            Some(("failed", why)) => seen.failed = Some(why.to_owned()),
            Some(("started", path)) => seen.started.push(path.to_owned()),
            Some(("back", _)) => seen.came_back += 1,
            Some(("trouble", what)) => seen.troubles.push(what.to_owned()),
            _ => match word {
                "ready" => seen.recovery = Some(self.clock.now() - started),
                "boundary" => seen.is_at_boundary = true,
                "bye" => seen.has_ended = true,
                _ => {}
            },
        }
    }
}

/// Hands on what the bank says, line by line, until its end.
async fn listen(mut lines: Lines, told: mpsc::Sender<String>) {
    let mut line = String::new();
    while let Ok(1..) = lines.read_line(&mut line).await {
        // A line without its end was cut by the kill.
        if line.ends_with('\n') && told.send(line.trim_end().to_owned()).await.is_err() {
            return;
        }
        line.clear();
    }
}
