//! The judge is able to fail: what is planted, it finds.

use crate::harness::Place;
use crate::judge::Judgement;

#[test]
fn a_doubled_line_is_found_and_exits_with_1() {
    let place = Place::new();
    place.run(&[]).assert_all_accounted_for();
    let lines = std::fs::read_to_string(place.out()).expect("an out file");
    let first = lines.lines().next().expect("a line");
    std::fs::write(place.out(), format!("{lines}{first}\n")).expect("the out file can be written");

    let ended = place.run(&[]);

    assert_eq!((ended.code, ended.count("resolved_twice"), ended.count("lost")), (Some(1), 1, 0));
    assert_eq!(ended.count("tickets"), ended.count("resolved") + ended.count("escalated"));
}

#[test]
fn a_missing_ticket_is_lost_and_an_unreadable_line_is_told() {
    let place = Place::new();
    let input = place.path("tickets.jsonl");
    let ticket = |id| format!(r#"{{"id":"{id}","customer":"Ana","subject":"wifi","body":"b"}}"#);
    std::fs::write(&input, ["A", "B", "C"].map(ticket).join("\n")).expect("the input can be written");
    let arg = input.to_str().expect("ASCII");
    place.run(&["--input", arg]).assert_all_accounted_for();
    let lines = place.finished();
    std::fs::write(place.out(), format!("{}\n{{torn\n{}\n", lines[0], lines[2])).expect("can be written");

    let judged = Judgement::of(&input, &place.out(), &place.path("store")).expect("all can be read");

    assert!(!judged.is_all_accounted_for());
    assert_eq!(judged.lost, ["B"]);
    assert_eq!((judged.tickets, judged.resolved, judged.unreadable), (3, 2, 1));
}

#[test]
fn each_fault_alone_is_enough_for_the_judge() {
    let fine = Judgement::default();
    assert!(fine.is_all_accounted_for());
    for faulty in [
        Judgement { lost: vec!["A".into()], ..fine.clone() },
        Judgement { resolved_twice: vec!["A".into()], ..fine.clone() },
        Judgement { unreadable: 1, ..fine.clone() },
    ] {
        assert!(!faulty.is_all_accounted_for(), "{faulty:?}");
    }
}
