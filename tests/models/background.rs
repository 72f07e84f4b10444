//! Answers in the background: a later attempt picks up what an earlier one asked for.

use std::sync::Mutex;
use std::time::Duration;

use greenroom::tools::model::Anchor;
use greenroom::{Attempt, AttemptEvent, Model};
use serde_json::Value;
use tokio::sync::Notify;

use crate::server::{Act, Server, plain, stream};
use crate::wires::{Wire, ask, kind, request};

/// Goal: an answer whose id is known is not paid for twice.
/// Method: the first attempt is dropped as soon as it is anchored; the second gets the anchor as a journal would keep it.
#[tokio::test]
async fn a_dropped_attempt_is_picked_up_and_posted_once() {
    let events = Wire::Responses.events();
    let (begun, rest) = (events[..1].concat(), events[1..].concat());
    let server = Server::start(move |_, asked| match &*asked.method {
        "POST" => vec![Act::Send(stream(&begun)), Act::Hold],
        _ => vec![Act::Send(stream(&rest))],
    })
    .await;
    let model = Wire::Responses.at(&server.url).background().build().unwrap();
    let request = request();
    let (kept, anchored) = (Mutex::new(None), Notify::new());
    let observer = |event: AttemptEvent<'_>| {
        if let AttemptEvent::Anchored(anchor) = event {
            *kept.lock().unwrap() = Some(serde_json::to_string(anchor).unwrap());
            anchored.notify_one();
        }
    };

    tokio::select! {
        reply = model.attempt(&request, Attempt::new().observer(&observer)) => panic!("{reply:?}"),
        () = anchored.notified() => {}
    }
    server.closed().await;
    let anchor: Anchor = serde_json::from_str(&kept.into_inner().unwrap().unwrap()).unwrap();
    let reply = model.attempt(&request, Attempt::new().reattached(&anchor)).await.unwrap();

    assert_eq!((&*reply.text(), reply.calls().count()), ("Let me see.", 2));
    assert_eq!(reply.usage.output_tokens, 7);
    assert!(reply.facts.reattached);
    let asked: Vec<_> =
        server.asked().into_iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(asked, ["POST /v1/responses", "GET /v1/responses/r-1?stream=true&starting_after=0"]);
    let body: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    assert_eq!((&body["background"], &body["store"]), (&true.into(), &true.into()));
}

#[tokio::test]
async fn without_a_stream_it_is_asked_for_until_it_is_there() {
    let server = Server::start(|number, _| {
        let made = |status: &str| format!(r#"{{"id":"r-1","status":"{status}","output":[],"error":null}}"#);
        vec![Act::Send(match number {
            0 => plain(200, "", &made("queued")),
            1 => plain(200, "", &made("in_progress")),
            _ => plain(200, "", &Wire::Responses.whole()),
        })]
    })
    .await;
    let poll = Duration::from_millis(1);
    let model = Wire::Responses.at(&server.url).whole().background().poll_every(poll).build().unwrap();

    let reply = ask(&model).await.unwrap();

    assert_eq!(reply.text(), "Let me see.");
    let methods: Vec<_> = server.asked().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET"]);
}

#[tokio::test]
async fn what_cannot_be_picked_up_is_told_or_asked_for_again() {
    let gone = Server::always(plain(404, "", r#"{"error":{"message":"no such response"}}"#)).await;
    let model = Wire::Responses.at(&gone.url).background().build().unwrap();
    let anchor = Anchor { provider: "openai".into(), response_id: "r-1".into(), cursor: None, lasts: true };
    let request = request();

    let error = model.attempt(&request, Attempt::new().reattached(&anchor)).await.unwrap_err();
    assert_eq!(kind(&error), "Refused");
    assert!(error.facts.reattached && !error.nothing_happened(), "the earlier attempt may have cost");

    let server = Server::always(plain(200, "", &Wire::Chat.whole())).await;
    let model = Wire::Chat.at(&server.url).build().unwrap();
    model.attempt(&request, Attempt::new().reattached(&anchor)).await.unwrap();
    assert_eq!(server.asked()[0].method, "POST", "Chat has nothing to pick up");
}
