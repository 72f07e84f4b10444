//! That a child of thousands costs about what one of hundreds costs.
//!
//! The one file in real time. Few and many take turns, medians are compared, and as in OTP's suite the limit is five
//! times what is linear: ten times as many may take fifty times as long (they take about twelve).

use std::time::Duration;

use greenroom::{
    Actor, ChildSpec, DynamicSupervisor, Failure, Open, Restart, Strategy, Supervisor, SupervisorRef,
};

use crate::case::{counts, flags};
use crate::support::{Stage, secs};

const ROUNDS: usize = 3;
const LIMIT: u32 = 50;

struct Plain;

impl Actor for Plain {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Plain)
    }
}

/// How long it took to start so many children one by one, and to terminate them.
struct Took {
    start: Duration,
    stop: Duration,
}

#[derive(Clone, Copy)]
enum Supervised {
    FromTemplate,
    ByTheirOwnSpecs,
}

impl Supervised {
    fn by(self) -> Supervisor {
        match self {
            Supervised::FromTemplate => {
                DynamicSupervisor::<Plain>::named("sup").restart(Restart::Temporary).into()
            }
            Supervised::ByTheirOwnSpecs => flags(Strategy::OneForOne, 2),
        }
    }

    async fn start(self, sup: &SupervisorRef, name: &str) {
        let started = match self {
            Supervised::FromTemplate => sup.dynamic::<Plain>().start(name, ()).await.map(drop),
            Supervised::ByTheirOwnSpecs => {
                sup.start_child(ChildSpec::actor::<Plain>(name, ())).await.map(drop)
            }
        };
        started.expect("it starts");
    }

    async fn take(self, children: usize) -> Took {
        let stage = Stage::new().await;
        let sup = stage.supervise(self.by()).await;
        let clock = stage.runtime.clock();
        let names: Vec<String> = (0..children).map(|number| format!("child-{number}")).collect();

        let begun = clock.now();
        for name in &names {
            self.start(&sup, name).await;
        }
        let start = begun.elapsed();
        let begun = clock.now();
        for name in &names {
            sup.terminate_child(name).await.expect("it is listed");
        }
        let stop = begun.elapsed();

        assert_eq!(counts(&sup).await[1], 0);
        sup.stop(secs(60)).await.expect("it was running");
        stage.end().await;
        Took { start, stop }
    }
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

async fn scales(supervised: Supervised, size: usize) {
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        few.push(supervised.take(size).await);
        many.push(supervised.take(10 * size).await);
    }
    for (what, of) in [("start", (|took| took.start) as fn(&Took) -> Duration), ("stop", |took| took.stop)] {
        let [few, many] = [&few, &many].map(|all| median(all.iter().map(of).collect()));
        assert!(many < few * LIMIT, "to {what} {size} took {few:?}, ten times as many {many:?}");
    }
}

/// The start is looked at as well.
#[tokio::test]
async fn simple_one_for_one_scale_many_temporary_children() {
    scales(Supervised::FromTemplate, 1_000).await;
}

/// OTP's own sizes, 1,000 and 100,000, are a gate of `benches/supervision.rs`.
#[tokio::test]
async fn scale_start_stop_many_children() {
    scales(Supervised::ByTheirOwnSpecs, 500).await;
}
