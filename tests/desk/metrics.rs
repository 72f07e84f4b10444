//! The metrics page, scraped while the desk runs, holds the documented names.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use greenroom::telemetry;

use crate::harness::{Place, Running};

#[test]
fn the_metrics_page_holds_the_documented_names_while_it_runs() {
    let place = Place::new();
    let args =
        ["--metrics", "127.0.0.1:0", "--think-ms", "4", "--crash-rate", "0.3", "--progress-every", "1"];
    let mut desk = Running::start(&mut place.desk(&args));
    let address = desk.line("metrics: http://").expect("the page is announced");
    for _ in 0..100 {
        desk.line("finished ").expect("it is not through yet");
    }

    let page = get(address.strip_suffix("/metrics").expect("the address of the page"));

    let samples = parse(&page);
    for name in [
        telemetry::MESSAGES_HANDLED,
        telemetry::MESSAGES_REFUSED,
        telemetry::INCARNATIONS_ENDED,
        telemetry::RESTARTS,
        telemetry::ACTORS,
        telemetry::MAILBOX_WAITING,
        telemetry::STORE_COMMITS,
        telemetry::STORE_GROUPS,
    ] {
        assert!(samples.contains_key(name), "no {name} in\n{page}");
    }
    assert!(samples[telemetry::MESSAGES_HANDLED] > 300.0, "{page}");
    assert!(samples[telemetry::RESTARTS] >= 1.0, "{page}");
    // Three supervisors, two pools of four, and the four others.
    assert_eq!(samples[telemetry::ACTORS], 15.0, "{page}");
    desk.end().assert_all_accounted_for();
}

/// The body of one HTTP answer.
fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the page is served");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

/// The text format of Prometheus: the sum of the samples of each name. Panics at a line that is none.
fn parse(page: &str) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let name = match name.split_once('{') {
            Some((name, labels)) => {
                assert!(labels.ends_with('}'), "labels without an end: {line}");
                name
            }
            None => name,
        };
        *sums.entry(name).or_insert(0.0) +=
            value.parse::<f64>().unwrap_or_else(|_| panic!("no number: {line}"));
    }
    sums
}
