//! What the judge counts with.

use crate::applied::Applied;
use crate::calls::Calls;
use crate::item::{Item, Lane};

#[test]
fn each_lane_counts_its_own_numbers() {
    for lane in Lane::all() {
        for numbers in [0, 1, 15, 16, 17, 100] {
            let of_lane = |number| Item { sender: lane.sender(), number }.lane() == lane;
            let counted = (0..numbers).filter(|number| of_lane(*number)).count() as u64;
            assert_eq!(lane.len_after(numbers), counted, "{lane:?} of {numbers}");
        }
    }
}

#[test]
fn work_is_known_again_by_its_request_id() {
    let item = Item { sender: 3, number: 17 };

    assert_eq!(Item::of_request(&item.request()), Some(item));
    assert_eq!(Item::of_request("payment/0-17-1"), None);
}

#[test]
fn what_comes_twice_or_out_of_order_is_noticed() {
    let item = |number| Item { sender: 1, number };
    let mut applied = Applied::default();

    for number in [0, 16, 48, 32, 16] {
        applied.add(item(number));
    }

    let lane = item(0).lane();
    assert_eq!((applied.count(lane), applied.twice(), applied.reordered()), (4, 1, 1));
    assert!(applied.has(lane, 3) && !applied.has(lane, 4));
}

#[test]
fn a_call_may_come_again_only_while_it_is_in_flight_and_told_of() {
    let mut calls = Calls::default();
    for key in ["done", "told", "untold", "once"] {
        calls.call(key, key == "once");
    }
    calls.done("done");
    calls.life_ended();
    calls.is_told("told");
    calls.is_told("once");
    for key in ["done", "told", "untold", "once"] {
        calls.call(key, key == "once");
    }
    calls.life_ended();

    let figures = calls.figures();
    assert_eq!((figures.completed_repeated, figures.in_flight_repeated), (1, 3));
    assert_eq!((figures.in_flight_unlisted, figures.open_at_kills), (2, 6));
}
