//! What comes in from outside: malformed tickets, and command lines that name what is not there.

use crate::harness::{Ended, Place, desk};

#[test]
fn malformed_lines_are_named_and_counted_and_the_rest_goes_on() {
    let place = Place::new();
    let input = place.path("tickets.jsonl");
    let long = "x".repeat((64 << 10) + 1);
    let fits = "x".repeat(64 << 10);
    let ticket = |id: &str, body: &str| {
        format!(r#"{{"id":"{id}","customer":"Ana","subject":"Refund","body":"{body}"}}"#)
    };
    let lines: [(String, Option<&str>); 13] = [
        (ticket("A-1", "a refund, please"), None),
        (String::new(), None),
        ("{no json".into(), Some("not a ticket: ")),
        (ticket("A-1", "again"), Some(r#"the id "A-1" was on line 1 already"#)),
        (ticket("A 1", ""), Some(r#"the id "A 1" is not 1 to 64 characters of [A-Za-z0-9_-]"#)),
        (ticket(&"i".repeat(65), ""), Some("the id ")),
        (ticket(&"i".repeat(64), "a refund"), None),
        (r#"{"id":"B","customer":"Ana","subject":"s"}"#.into(), Some("not a ticket: missing field `body`")),
        (ticket("C", &long), Some("`body` has 65537 bytes, at most 65536 are allowed")),
        (ticket("D", &fits), None),
        (r#"["E","Ana","s","b"]"#.into(), Some("not a JSON object")),
        (
            r#"{"id":"F","customer":"a","subject":"s","body":"b","priority":"urgent"}"#.into(),
            Some("not a ticket: unknown variant `urgent`"),
        ),
        (r#"{"id":"G","customer":"a","subject":"wifi","body":"b","priority":"low","mood":[1]}"#.into(), None),
    ];
    let text: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    std::fs::write(&input, text.join("\r\n")).expect("the input can be written");

    let ended = place.run(&["--input", input.to_str().expect("a path in ASCII")]);

    ended.assert_all_accounted_for();
    let refused: Vec<String> = (1..)
        .zip(&lines)
        .filter_map(|(at, (_, reason))| reason.map(|reason| format!("{}:{at}: {reason}", input.display())))
        .collect();
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains(".jsonl:")).collect();
    assert_eq!(told.len(), refused.len(), "{}", ended.stderr);
    for (told, start) in told.iter().zip(&refused) {
        assert!(told.starts_with(start.as_str()), "{told:?} does not begin with {start:?}");
    }
    assert_eq!((ended.count("tickets"), ended.count("malformed")), (4, refused.len() as u64));
}

#[test]
fn wrong_usage_says_what_is_wrong_and_exits_with_2() {
    let place = Place::new();
    let (file, missing) = (place.path("file"), place.path("missing/file"));
    std::fs::write(&file, "").expect("a file can be written");
    let (file, missing) = (file.to_str().expect("ASCII"), missing.to_str().expect("ASCII"));
    for (args, told) in [
        (["--crash-rate", "1.5"], "not a number from 0 to 1"),
        (["--concurrency", "0"], "0 is not in 1..="),
        (["--report", "yaml"], "possible values: text, json"),
        (["--no-such-flag", ""], "unexpected argument"),
        (["--input", missing], "cannot read the tickets"),
        (["--out", missing], "cannot write to"),
        (["--store", file], "cannot use the store"),
        (["--metrics", "203.0.113.1:80"], "cannot serve metrics on 203.0.113.1:80"),
    ] {
        let ended = Ended::of(desk().args(args).output().expect("the desk runs"));

        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{args:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn a_desk_that_is_open_already_is_left_alone() {
    let place = Place::new();
    let mut first =
        crate::harness::Running::start(place.desk(&["--think-ms", "2"]).args(["--progress-every", "1"]));
    first.line("finished ").expect("it is not through yet");

    let second = place.run(&[]);

    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("is open elsewhere"), "{}", second.stderr);
    first.end().assert_all_accounted_for();
}
