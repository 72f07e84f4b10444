//! What goes wrong, each with its kind, its class, and what is known of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::tools::model::{HttpModel, KeyError};
use greenroom::{Attempt, Failure, FailureClass, KeySource, Model};
use tokio::net::TcpListener;

use crate::server::{Act, Server, chunked, plain, stream};
use crate::wires::{Wire, ask, kind, request};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_refusal_has_its_kind_its_class_and_its_facts() {
    let cases = [
        (429, "retry-after: 7\r\n", "RateLimited", FailureClass::External, true),
        (
            429,
            "retry-after: Sun, 06 Nov 1994 08:49:44 GMT\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "RateLimited",
            FailureClass::External,
            true,
        ),
        (500, "", "Overloaded", FailureClass::External, false),
        (529, "", "Overloaded", FailureClass::External, false),
        (400, "", "Refused", FailureClass::Invalid, true),
        (413, "", "TooLong", FailureClass::Exhausted, true),
        (401, "", "BadKey", FailureClass::External, true),
        // Were it followed, the key would go with it.
        (307, "location: /elsewhere\r\n", "Refused", FailureClass::Invalid, false),
    ];
    for wire in Wire::ALL {
        for (status, headers, name, class, nothing) in cases {
            let body = r#"{"error":{"type":"x","message":"not today"}}"#;
            let server = Server::always(plain(status, headers, body)).await;

            let error = ask(&wire.at(&server.url).build().unwrap()).await.unwrap_err();

            assert_eq!((&*kind(&error), error.class()), (name, class), "{wire:?} {status}");
            assert_eq!(error.nothing_happened(), nothing, "{wire:?} {status}");
            assert_eq!(error.facts.status, Some(status));
            assert!(error.to_string().contains("not today"), "{error}");
            let wait = headers.starts_with("retry-after").then_some(Duration::from_secs(7));
            assert_eq!(error.facts.retry_after, wait, "{headers}");
            assert_eq!(server.asked().len(), 1, "one attempt is one request: {wire:?} {status}");
            assert_eq!(Failure::from(error).class(), class);
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_says_whether_output_had_arrived() {
    for wire in Wire::ALL {
        let events = wire.events();
        let before = &events[..1];
        let after = &events[..3];
        for (begun, had_output) in [(before, false), (after, true)] {
            // Both ends that a server can make: the connection closed in order, and in the middle of a chunk.
            for answer in [stream(&begun.concat()), chunked(&begun.concat())] {
                let server = Server::always(answer).await;

                let error = ask(&wire.at(&server.url).build().unwrap()).await.unwrap_err();

                assert_eq!(kind(&error), "StreamCut", "{wire:?}");
                assert_eq!(error.facts.had_output, had_output, "{wire:?}");
                assert_eq!(error.facts.response_id.as_deref(), Some("r-1"));
                assert!(!error.nothing_happened());
            }
        }
    }
}

#[tokio::test]
async fn each_wait_has_its_own_bound() {
    for wire in Wire::ALL {
        let silent = Server::start(|_, _| vec![Act::Hold]).await;
        let model = wire.at(&silent.url).first_byte_timeout(SHORT).build().unwrap();
        assert_eq!(kind(&ask(&model).await.unwrap_err()), "FirstByte");
        silent.closed().await;

        // The head of an answer is no byte of it.
        let head = Server::start(|_, _| vec![Act::Send(stream("")), Act::Hold]).await;
        let model = wire.at(&head.url).first_byte_timeout(SHORT).idle_timeout(LONG).build().unwrap();
        assert_eq!(kind(&ask(&model).await.unwrap_err()), "FirstByte");

        let begun = wire.events()[..3].concat();
        let stands = Server::start(move |_, _| vec![Act::Send(stream(&begun)), Act::Hold]).await;
        let model = wire.at(&stands.url).idle_timeout(SHORT).build().unwrap();
        let error = ask(&model).await.unwrap_err();
        assert_eq!((&*kind(&error), error.facts.had_output), ("Idle", true));

        let model = wire.at(&stands.url).total_timeout(SHORT).build().unwrap();
        let error = ask(&model).await.unwrap_err();
        assert_eq!((&*kind(&error), error.class()), ("Total", FailureClass::External));
        assert!(error.facts.took >= SHORT);
    }
}

#[tokio::test]
async fn an_answer_that_is_whole_counts_whatever_happens_behind_it() {
    let events = Wire::Chat.events();
    let begun = events[..events.len() - 2].concat(); // with the reason, without usage and `[DONE]`
    let server = Server::start(move |_, _| vec![Act::Send(stream(&begun)), Act::Hold]).await;
    let model = Wire::Chat.at(&server.url).idle_timeout(SHORT).build().unwrap();

    let reply = ask(&model).await.unwrap();

    assert!(reply.usage.estimated);
}

#[tokio::test]
async fn an_attempt_ends_at_its_deadline_and_none_begins_behind_it() {
    let server = Server::start(|_, _| vec![Act::Hold]).await;
    let model = Wire::Chat.at(&server.url).build().unwrap();
    let clock = greenroom::Clock::default();

    let request = request();
    let error = model.attempt(&request, Attempt::new().deadline(clock.after(SHORT))).await.unwrap_err();
    assert_eq!(kind(&error), "Total");
    assert!(!error.nothing_happened());

    let error = model.attempt(&request, Attempt::new().deadline(clock.now())).await.unwrap_err();
    assert!(error.nothing_happened());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_within_its_bound() {
    for wire in Wire::ALL {
        for body in ["{", "[]", "{}", "<html>", ""] {
            for whole in [true, false] {
                let server = Server::always(plain(200, "", body)).await;
                let model = wire.at(&server.url);
                let model = if whole { model.whole() } else { model }.build().unwrap();
                let error = ask(&model).await.unwrap_err();
                assert_eq!(kind(&error), "InvalidAnswer", "{wire:?} {body:?}");
            }
        }
        let garbage = Server::always(stream("data: {nonsense\n\n")).await;
        assert_eq!(kind(&ask(&wire.at(&garbage.url).build().unwrap()).await.unwrap_err()), "InvalidAnswer");

        // One line without an end, and a stream that does not end.
        for flood in [stream(&"x".repeat(9_000)), stream(&": ping\n\n".repeat(2_000))] {
            let server = Server::start(move |_, _| vec![Act::Send(flood.clone()), Act::Hold]).await;
            let error = ask(&wire.at(&server.url).body_bytes_max(8_000).build().unwrap()).await.unwrap_err();
            assert!(error.to_string().contains("too many bytes"), "{error}");
        }

        let failed = r#"{"error":{"type":"overloaded_error","message":"boom"}}"#;
        for answer in [plain(200, "", failed), stream(&format!("event: error\ndata: {failed}\n\n"))] {
            let server = Server::always(answer).await;
            let error = ask(&wire.at(&server.url).build().unwrap()).await.unwrap_err();
            assert_eq!(kind(&error), "Overloaded", "{wire:?}");
            assert!(!error.nothing_happened());
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_happened() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let error = ask(&Wire::Chat.at(&url).build().unwrap()).await.unwrap_err();

    assert_eq!(kind(&error), "Connection");
    assert!(error.nothing_happened());
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection() {
    for wire in Wire::ALL {
        let begun = wire.events()[..3].concat();
        let server = Server::start(move |_, _| vec![Act::Send(stream(&begun)), Act::Hold]).await;
        let model = wire.at(&server.url).build().unwrap();
        let request = request();
        let has_begun = Arc::new(tokio::sync::Notify::new());
        let told = has_begun.clone();
        let observer = move |_: greenroom::AttemptEvent<'_>| told.notify_one();

        tokio::select! {
            reply = model.attempt(&request, Attempt::new().observer(&observer)) => panic!("{reply:?}"),
            () = has_begun.notified() => {}
        }

        server.closed().await;
    }
}

/// Goal: no key is ever shown, also not by a server that repeats it.
/// Method: everything that a failed attempt leaves behind is formatted, and searched.
#[tokio::test]
async fn a_key_is_never_shown_and_a_new_one_counts_at_once() {
    const KEY: &str = "sk-very-secret-0123456789";
    for wire in Wire::ALL {
        let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}."}}}}"#);
        let server = Server::always(plain(401, "", &body)).await;
        let current = Arc::new(Mutex::new(KEY.to_owned()));
        let held = current.clone();
        let source = KeySource::callback("the vault", move || Ok(held.lock().unwrap().as_str().into()));
        let model = wire.at(&server.url).key(source.clone()).build().unwrap();

        let error = ask(&model).await.unwrap_err();

        let json = serde_json::to_string(&error).unwrap();
        let failure = Failure::from(error.clone());
        let shown = format!("{error} {error:?} {failure} {failure:?} {model:?} {source:?} {source} {json}");
        assert!(!shown.contains("very-secret"), "{shown}");
        assert!(error.to_string().contains("the callback the vault"), "{error}");
        assert!(error.to_string().contains("[key]"), "{error}");

        *current.lock().unwrap() = "sk-another".to_owned();
        let _ = ask(&model).await;
        let name = if wire == Wire::Anthropic { "x-api-key" } else { "authorization" };
        let sent: Vec<String> = server.asked().iter().map(|asked| asked.headers[name].clone()).collect();
        assert!(sent[0].ends_with(KEY) && sent[1].ends_with("sk-another"), "{wire:?}");
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_the_error_says_where_it_was_looked_for() {
    let server = Server::always(String::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    let split = || KeySource::callback("split", || Ok("two\nlines".into()));
    let sources = [
        (KeySource::env("GREENROOM_NO_SUCH_KEY"), "GREENROOM_NO_SUCH_KEY"),
        (KeySource::file(folder.path().join("missing")), "missing"),
        (KeySource::file(empty), "it is empty"),
        (KeySource::callback("vault", || Err(KeyError::new("sealed"))), "sealed"),
        (split(), "characters"),
    ];
    for (source, word) in sources {
        let model: HttpModel = Wire::Chat.at(&server.url).key(source).build().unwrap();
        let error = ask(&model).await.unwrap_err();
        assert_eq!((&*kind(&error), error.nothing_happened()), ("BadKey", true));
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(server.asked().is_empty());

    let file = folder.path().join("key");
    std::fs::write(&file, "sk-of-a-file\n").unwrap();
    let _ = ask(&Wire::Chat.at(&server.url).key(KeySource::file(file)).build().unwrap()).await;
    assert_eq!(server.asked()[0].headers["authorization"], "Bearer sk-of-a-file");
}
