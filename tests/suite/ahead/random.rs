//! Random scripts and faults: whatever happens, state, inbox and what left are as if each message was handled alone.
//!
//! `QUICKCHECK_TESTS` sets the number of cases. A failing run prints its seed and the smallest failing case; the seed
//! repeats the run: `SEED=42 cargo test --test suite ahead`.

use greenroom::TellError;
use greenroom::testing::{Fault, seed};
use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::{How, job, new_disk, on_disk, process};
use crate::support::{millis, secs};

impl Arbitrary for How {
    fn arbitrary(g: &mut Gen) -> Self {
        let all = [
            How::Well,
            How::Well,
            How::Well,
            How::Slowly,
            How::Slowly,
            How::ByAStep,
            How::With(300),
            How::Panics,
            How::IsInvalid,
            How::IsExhausted,
            How::IsOut,
        ];
        *g.choose(&all).expect("not empty")
    }
}

/// What goes wrong besides.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// The commit of that job is refused so often.
    Refused(u32, u32),
    /// A kill, so many turns after that commit has arrived.
    Kill(u64, u8),
    /// The store fails at that commit; the next process goes on.
    End(u64, bool),
}

impl Arbitrary for Trouble {
    fn arbitrary(g: &mut Gen) -> Self {
        match u8::arbitrary(g) % 4 {
            0 => Trouble::Refused(u32::arbitrary(g) % 16, 1),
            1 => Trouble::Refused(u32::arbitrary(g) % 16, u32::MAX),
            2 => Trouble::Kill(u64::arbitrary(g) % 20, u8::arbitrary(g) % 16),
            _ => Trouble::End(u64::arbitrary(g) % 20, bool::arbitrary(g)),
        }
    }
}

async fn script(run_ahead: u32, jobs: Vec<How>, troubles: Vec<Trouble>) -> Result<(), String> {
    let disk = new_disk();
    let jobs: Vec<How> = jobs.into_iter().take(16).collect();
    let run_ahead = [1, 2, 3, 32][run_ahead as usize % 4];
    for trouble in &troubles {
        if let Trouble::Refused(number, times) = trouble {
            disk.refuse(*number, *times);
        }
    }
    let mut ends = troubles.iter().filter_map(|trouble| match trouble {
        Trouble::End(commit, is_kept) => Some((*commit, *is_kept)),
        _ => None,
    });
    let mut left: Vec<u32> = (0..).take(jobs.len()).collect();
    let mut accepted = Vec::new();
    let mut calls = Vec::new();
    // Each process but the last ends with its store.
    for end in [ends.next(), ends.next(), None] {
        let process = process(&disk).await;
        process.track.gate.open();
        let next = process.runner("next").await;
        let kept = process.kept(run_ahead).await;
        if let Some((commit, is_kept)) = end {
            let fault = if is_kept { Fault::CrashAfterCommit } else { Fault::Write };
            process.store.fail_commit_after(commit, fault);
        }
        let kills = async {
            for trouble in &troubles {
                if let Trouble::Kill(commit, turns) = trouble {
                    process.store.commit_arrived(*commit).await;
                    for _ in 0..*turns {
                        tokio::task::yield_now().await;
                    }
                    kept.actor.kill();
                }
            }
            std::future::pending::<()>().await;
        };
        let told = async {
            while let Some(number) = left.first().copied() {
                // Under a name: who does not hear of the acceptance tells it again.
                let told = kept.actor.tell(job(number, jobs[number as usize])).with_id(format!("{number}"));
                match told.within(secs(600)).await {
                    // Accepted before, which nobody heard.
                    Ok(()) | Err(TellError::LaidAside { .. }) => {}
                    Err(_) => return,
                }
                accepted.push(left.remove(0));
            }
            // Where the store fails the keeper never rests, and so time stands still.
            if end.is_some() {
                for _ in 0..500 {
                    tokio::task::yield_now().await;
                }
                return;
            }
            // What fails for want of others comes again after a pause of seconds.
            for _ in 0..600 {
                if on_disk(&disk, "keeper/runner").1.is_empty() && kept.actor.observe().in_hand.is_none() {
                    break;
                }
                process.runtime.clock().sleep(millis(200)).await;
            }
        };
        tokio::select! { () = told => {} () = kills => {} }
        if end.is_none() {
            process.rests(&next).await;
        }
        calls.extend(process.calls());
        process.dies().await;
    }
    let (done, waiting, aside) = on_disk(&disk, "keeper/runner");
    let next = on_disk(&disk, "next");
    let passed_on: Vec<u32> = next.0.into_iter().chain(next.1).collect();
    let seen = format!(
        "run ahead {run_ahead}: accepted {accepted:?}, done {done:?}, waiting {waiting:?}, aside {aside:?}, \
         passed on {passed_on:?}, {calls:?}"
    );
    let is_disturbed = |number: u32| {
        troubles.iter().any(|trouble| match trouble {
            Trouble::Refused(refused, _) => *refused == number,
            Trouble::Kill(..) => true, // a kill is a try
            Trouble::End(..) => false,
        })
    };
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {seen}")) };
    check(waiting.is_empty(), "something waits")?;
    check(done.is_sorted_by(|a, b| a < b), "twice, or out of order")?;
    check(passed_on == done, "what left is not what was done")?;
    check(done.iter().all(|number| jobs[*number as usize].ends_well()), "a failure left something behind")?;
    for number in 0..u32::try_from(jobs.len()).expect("few") {
        let (is_done, is_aside) = (done.contains(&number), aside.contains(&number));
        check(is_done != is_aside, &format!("{number} is not done or aside"))?;
        if jobs[number as usize].ends_well() && !is_disturbed(number) {
            check(is_done, &format!("{number} should be done"))?;
        }
    }
    Ok(())
}

#[test]
fn whatever_happens_to_an_actor_that_runs_ahead_it_is_as_if_each_message_was_handled_alone() {
    fn property(run_ahead: u32, jobs: Vec<How>, troubles: Vec<Trouble>) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a tokio runtime");
        runtime.block_on(script(run_ahead, jobs, troubles))
    }
    let random = Gen::from_size_and_seed(16, seed());
    QuickCheck::new()
        .rng(random)
        .quickcheck(property as fn(u32, Vec<How>, Vec<Trouble>) -> Result<(), String>);
}
