//! One run: opens what the arguments name, lets the desk work, brings it down, and has it judged.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use greenroom::prelude::*;
use metrics_exporter_prometheus::PrometheusBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::args::Args;
use crate::crash::CrashPlan;
use crate::intake::Intake;
use crate::judge::{Judgement, finished_tickets, open_tickets};
use crate::metrics::MetricsPage;
use crate::mind::{Records, scripted_model};
use crate::out_file::OutFile;
use crate::progress::Progress;
use crate::report::{Report, Restarts, Stays};
use crate::tally::Tally;
use crate::team::{self, Job};
use crate::ticket::TicketFile;
use crate::times::Times;

/// How long everybody together gets to end in order.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Without any ticket finished for so long, besides the time for thinking, the run is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The command line names something that cannot be used. Nothing was started.
    Usage(String),
    /// The run, or the judge after it, could not do its work.
    Broken(Box<dyn Error>),
}

/// Where a run leaves its traces.
struct Paths {
    store: PathBuf,
    out: PathBuf,
    /// Removed at the end.
    _temporary: Option<TempDir>,
    stays: Stays,
}

/// Runs the desk until all tickets are accounted for.
pub(crate) async fn run(args: &Args) -> Result<Report, RunError> {
    let input = TicketFile::read(&args.input).map_err(cannot("read the tickets", args.input.display()))?;
    for malformed in &input.malformed {
        eprintln!("{}:{}: {}", args.input.display(), malformed.line, malformed.reason);
    }
    let paths = Paths::of(args)?;
    let store = SledStore::open(&paths.store).map_err(cannot("use the store", paths.store.display()))?;
    // Opened to hear now what is wrong with it, and to take away a torn line; the archive opens it for itself.
    OutFile::open(&paths.out).map_err(cannot("write to", paths.out.display()))?;
    let listener = match args.metrics {
        Some(address) => Some(TcpListener::bind(address).await.map_err(cannot("serve metrics on", address))?),
        None => None,
    };

    let finished = finished_tickets(&paths.out).map_err(cannot("read", paths.out.display()))?;
    let known = |id: &String| input.tickets.iter().any(|ticket| ticket.id == *id);
    let left_open = open_tickets(&store).map_err(cannot("read the store", paths.store.display()))?;
    let resumed = left_open.iter().filter(|id| !finished.contains(*id) && known(id)).count() as u64;

    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let runtime = Runtime::builder()
        .store(store)
        .metrics(recorder)
        .seed(args.seed)
        .resource(scripted_model(args.think_time()))
        .resource(Records::embedded())
        .resource(CrashPlan { seed: args.seed, rate: args.crash_rate })
        .resource(Tally::default())
        .resource(team::roles())
        .start()
        .await
        .map_err(broken)?;
    let desk = team::open(&runtime, paths.out.clone(), args.think_time()).await.map_err(RunError::Broken)?;
    let page = listener.map(|listener| MetricsPage::serve(listener, metrics, runtime.clone()));
    let page = page.transpose().map_err(broken)?;
    if let Some(page) = &page {
        eprintln!("metrics: http://{}/metrics", page.address);
    }

    let intake = Intake {
        desk,
        runtime: runtime.clone(),
        concurrency: args.concurrency.into(),
        patience: PATIENCE + 20 * args.think_time(),
    };
    let all = input.tickets.len();
    let unfinished: Vec<_> = input.tickets.into_iter().filter(|t| !finished.contains(&t.id)).collect();
    let progress = Progress::new(all - unfinished.len(), all, args.progress_every);
    let times = Times::default();
    let ended = intake.serve(unfinished, &times, &progress).await;
    progress.end();

    let tally = runtime.resource::<Tally>().expect("given above");
    let dead_letters = runtime.dead_letters().total();
    let jobs = Job::ALL.map(|job| (job, tally.figures(job), restarts(&runtime, job.name()))).to_vec();
    let restarts = restarts(&runtime, "");
    drop(page);
    let late = runtime.shutdown(SHUTDOWN).await.late;
    for path in late {
        eprintln!("support_desk: {path} did not end in time");
    }

    let judgement = Judgement::of(&args.input, &paths.out, &paths.store).map_err(RunError::Broken)?;
    Ok(Report {
        judgement,
        ended,
        jobs,
        times: times.percentiles(),
        restarts,
        dead_letters,
        resumed,
        out: paths.out.display().to_string(),
        stays: paths.stays,
    })
}

impl Paths {
    fn of(args: &Args) -> Result<Self, RunError> {
        let (store, temporary) = match &args.store {
            Some(store) => (store.clone(), None),
            None => {
                let directory = TempDir::with_prefix("support-desk-")
                    .map_err(cannot("make a temporary directory in", std::env::temp_dir().display()))?;
                (directory.path().join("store"), Some(directory))
            }
        };
        let out = args.out.clone().unwrap_or_else(|| store.join("finished.jsonl"));
        let stays = if args.out.is_some() || temporary.is_none() { Stays::Kept } else { Stays::Temporary };
        Ok(Paths { store, out, _temporary: temporary, stays })
    }
}

/// Lives after the first, of all whose path has that role in it.
fn restarts(runtime: &Runtime, role: &str) -> Restarts {
    let below = |path: &ActorPath| role.is_empty() || path.as_str().split('/').any(|segment| segment == role);
    let seen = runtime.places().into_iter().map(|place| place.observe());
    Restarts(seen.filter(|seen| below(&seen.path)).map(|seen| seen.restarts).sum())
}

fn cannot<E: Into<Box<dyn Error>>>(what: &str, which: impl fmt::Display) -> impl FnOnce(E) -> RunError {
    let what = format!("cannot {what} {which}");
    move |error| RunError::Usage(format!("{what}: {}", chain(&*error.into())))
}

fn broken<E: Into<Box<dyn Error>>>(error: E) -> RunError {
    RunError::Broken(error.into())
}

/// The error with what lies below it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(below) => format!("{error}: {}", chain(below)),
        None => error.to_string(),
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Usage(text) => f.write_str(text),
            RunError::Broken(error) => f.write_str(&chain(&**error)),
        }
    }
}
