//! Many senders, and a clerk that is killed all the time, also in the middle of its commits.

use greenroom::dice::mix;

use super::{Disk, Process, Then, clerk, entry, plain};
use crate::support::{Comeback, keep_as, secs};

const SENDERS: u32 = 3;
const ENTRIES: u32 = 20;

/// Goal: whatever a kill meets, each message that was accepted is handled once, in the order of its sender, and has told
/// the next clerk once; in this process and, for what waits at its end, in the next.
/// Method: three senders and random kills, of which each seed has others; the process dies before all is handled.
#[tokio::test(start_paused = true)]
async fn in_a_storm_of_kills_each_accepted_message_is_handled_once_in_the_order_of_its_sender() {
    for seed in 0..12 {
        let disk = Disk::default();
        let process = disk.process().await;
        storm(&process, seed).await;
        process.dies().await;

        let process = disk.process().await;
        let next = process.clerk("next").await;
        let giver = keep_as(&process.runtime, clerk("giver", &process.office), Comeback::AtOnce).await.actor;
        let given = giver.ask(plain(9)).within(secs(60)).await.expect("it answers");
        let passed_on = next.ask(plain(9)).within(secs(60)).await.expect("it answers");
        process.dies().await;

        assert_eq!(given.len() as u32, SENDERS * ENTRIES + 1, "seed {seed}: {given:?}");
        for sender in 1..=SENDERS {
            let of_sender: Vec<u32> = given.iter().copied().filter(|number| number / 100 == sender).collect();
            assert!(of_sender.is_sorted_by(|a, b| a < b), "seed {seed}: {of_sender:?}");
        }
        assert_eq!(passed_on, given, "seed {seed}");
    }
}

/// Everything is accepted when this is over, and a part of it handled.
async fn storm(process: &Process, seed: u64) {
    process.clerk("next").await;
    let spec = clerk("giver", &process.office).redeliveries(1_000).capacity(8);
    let giver = keep_as(&process.runtime, spec, Comeback::AtOnce).await.actor;
    let sender = async |sender: u32| {
        for number in 0..ENTRIES {
            let told = giver.tell(entry(sender * 100 + number, Then::PassesOn)).within(secs(600));
            told.await.expect("there is room in time");
        }
    };
    let senders = async { tokio::join!(sender(1), sender(2), sender(3)) };
    // In the middle of a handler, or of a commit, or some turns later. Each life takes a commit to begin.
    let kills = async {
        for roll in 0.. {
            let dice = mix(seed * 1_000 + roll);
            if dice & 1 == 0 {
                let lines = process.office.board.lines().len();
                process.office.board.until(lines + 1 + (dice >> 4) as usize % 5).await;
            } else {
                process.store.commit_arrived(process.store.commits() + 1 + (dice >> 4) % 7).await;
                for _ in 0..(dice >> 8) % 8 {
                    tokio::task::yield_now().await;
                }
            }
            giver.kill();
        }
    };
    tokio::select! { _ = senders => {} () = kills => {} }
}
