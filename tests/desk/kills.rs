//! `kill -9` at seeded instants, then a second run on the same store and out file.

use crate::harness::{Place, Running, SHIPPED, assert_differs_only_where_marked};

/// Kills in the everyday run; `DESK_KILLS` asks for more.
const KILLS: u64 = 3;

/// Goal: wherever the kill falls, the second run finishes what was left, and nothing twice.
/// Method: the kill comes after a seeded number of finished tickets and a seeded number of turns of the scheduler.
#[test]
fn a_killed_desk_finishes_when_it_is_run_again() {
    let kills = std::env::var("DESK_KILLS").map_or(KILLS, |n| n.parse().expect("DESK_KILLS is a number"));
    let first: u64 = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"));
    for seed in first..first + kills {
        let place = Place::new();
        let seed_text = seed.to_string();
        let crashing = ["--seed", &seed_text, "--crash-rate", "0.05"];

        let killed_after = kill_somewhere(&place, seed, &crashing);
        let ended = place.run(&crashing);

        ended.assert_all_accounted_for();
        assert_eq!(ended.count("tickets"), SHIPPED, "seed {seed}");
        assert_eq!(place.finished().len() as u64, SHIPPED, "seed {seed}, killed after {killed_after}");
        assert_differs_only_where_marked(&place.finished());
    }
}

/// Says after how many finished tickets the desk was killed.
fn kill_somewhere(place: &Place, seed: u64, args: &[&str]) -> u64 {
    let mut desk = Running::start(place.desk(args).args(["--think-ms", "2", "--progress-every", "1"]));
    let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (tickets, turns) = (1 + (dice >> 32) % (SHIPPED - 20), dice % 3_000);
    for _ in 0..tickets {
        desk.line("finished ").expect("it is not through yet");
    }
    for _ in 0..turns {
        std::thread::yield_now();
    }
    desk.kill();
    tickets
}

/// Goal: a kill that falls into the writing of the out file leaves a torn line; its ticket is not finished, then.
/// Method: the torn line is put there by hand, over an out file that was complete.
#[test]
fn a_torn_last_line_is_taken_away_and_its_ticket_finished_again() {
    let place = Place::new();
    place.run(&[]).assert_all_accounted_for();
    let whole = std::fs::read(place.out()).expect("an out file");
    for torn_off in [1, 2, 40] {
        std::fs::write(place.out(), &whole[..whole.len() - torn_off]).expect("the out file can be written");

        let ended = place.run(&[]);

        ended.assert_all_accounted_for();
        assert_eq!(std::fs::read(place.out()).expect("an out file"), whole, "torn off: {torn_off}");
    }
}

/// Goal: the store alone is enough to know what was taken up, the out file alone to know what is finished.
#[test]
fn a_lost_store_costs_work_but_no_ticket() {
    let place = Place::new();
    kill_somewhere(&place, 5, &[]);
    std::fs::remove_dir_all(place.path("store")).expect("the store is a directory");

    let ended = place.run(&[]);

    ended.assert_all_accounted_for();
    assert_eq!(ended.count("resumed"), 0);
    assert_eq!(place.finished().len() as u64, SHIPPED);
}
