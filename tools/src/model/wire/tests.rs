//! Answers out of bytes, whole and in pieces. What needs a server is in `tests/models`.

use quickcheck::{Gen, QuickCheck};
use serde_json::json;

use super::answer::{Answer, Assemble, Fault};
use super::sse::Events;
use super::*;
use crate::model::history::ReplyPart;
use crate::model::reply::FinishReason;

const CHAT: &str = concat!(
    ": comment\r\n\r\n",
    "data: {\"id\":\"r1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Grüße \"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"🎭\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\r\n\r\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":2}}}\r\n\r\n",
    "data: [DONE]\r\n\r\n",
);
const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"model\":\"c\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s=\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße 🎭\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"g\",\"status\":\"in_progress\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Grüße 🎭\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"model\":\"g\",\"status\":\"completed\",\"error\":null,\"output\":[",
    "{\"type\":\"reasoning\",\"id\":\"rs\",\"status\":null,\"summary\":[],\"encrypted_content\":\"zz\"},",
    "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Grüße 🎭\"}]},",
    "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}],",
    "\"usage\":{\"input_tokens\":3,\"output_tokens\":9,\"output_tokens_details\":{\"reasoning_tokens\":4}}}}\n\n",
);

fn model(wire: Wire) -> HttpModel {
    HttpModelBuilder::new(wire, "http://localhost", "m".to_owned()).build().unwrap()
}

fn read<'a>(wire: Wire, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Answer, Fault> {
    let mut assembly: Box<dyn Assemble> = model(wire).assembly();
    let mut events = Events::default();
    for piece in pieces {
        for event in events.push(piece) {
            assembly.event(&event)?;
        }
    }
    // As the exchange does: half an event at the end is no reason to throw away an answer that is whole.
    if let Some(event) = events.finish()
        && let Err(fault) = assembly.event(&event)
        && !matches!(fault, Fault::Garbage(_))
    {
        return Err(fault);
    }
    assembly.finish()
}

const ALL: [(Wire, &str); 3] =
    [(Wire::Chat, CHAT), (Wire::Anthropic, ANTHROPIC), (Wire::Responses, RESPONSES)];

#[test]
fn a_stream_is_put_together() {
    for (wire, text) in ALL {
        let answer = read(wire, [text.as_bytes()].into_iter()).unwrap();

        let said: String = answer
            .parts
            .iter()
            .filter_map(|part| match part {
                ReplyPart::Text(text) => Some(&**text),
                _ => None,
            })
            .collect();
        let calls: Vec<_> = answer
            .parts
            .iter()
            .filter_map(|part| match part {
                ReplyPart::Call(call) => Some((&*call.id, &*call.name, &*call.arguments)),
                _ => None,
            })
            .collect();
        assert_eq!(said, "Grüße 🎭", "{wire:?}");
        assert_eq!(calls[0], ("a", "f", "{\"x\":1}"), "{wire:?}");
        assert_eq!(calls.len(), if wire == Wire::Chat { 2 } else { 1 }, "{wire:?}");
        assert_eq!(answer.known.finish, Some(FinishReason::ToolCalls), "{wire:?}");
        let usage = answer.known.usage.unwrap();
        let numbers =
            (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens);
        let right = match wire {
            Wire::Chat => (7, 5, 2, 0),
            Wire::Anthropic => (5, 9, 2, 0),
            Wire::Responses => (3, 9, 0, 4),
        };
        assert_eq!(numbers, right, "{wire:?}");
        let opaque: Vec<_> = answer
            .parts
            .iter()
            .filter_map(|part| match part {
                ReplyPart::Opaque(part) => serde_json::from_str::<Value>(&part.json).ok(),
                _ => None,
            })
            .collect();
        match wire {
            Wire::Chat => assert!(opaque.is_empty()),
            Wire::Anthropic => {
                assert_eq!(opaque, [json!({ "type": "thinking", "thinking": "hm", "signature": "s=" })]);
            }
            Wire::Responses => assert_eq!(
                opaque,
                [json!({ "type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "zz" })]
            ),
        }
    }
}

#[test]
fn it_does_not_matter_where_a_stream_is_cut_into_pieces() {
    fn holds(borders: Vec<u16>) -> bool {
        ALL.into_iter().all(|(wire, text)| {
            let text = text.as_bytes();
            let mut at: Vec<usize> = borders.iter().map(|at| usize::from(*at) % text.len()).collect();
            at.sort_unstable();
            let mut begin = 0;
            let ends = at.into_iter().chain([text.len()]);
            let pieces = ends.map(|end| &text[std::mem::replace(&mut begin, end)..end]);
            read(wire, pieces) == read(wire, [text].into_iter())
        })
    }
    QuickCheck::new().rng(Gen::new(80)).tests(300).quickcheck(holds as fn(Vec<u16>) -> bool);
    for (wire, text) in ALL {
        assert_eq!(read(wire, text.as_bytes().chunks(1)), read(wire, [text.as_bytes()].into_iter()));
    }
}

#[test]
fn no_bytes_at_all_break_an_assembly_and_no_cut_stream_is_an_answer() {
    fn holds(noise: Vec<u8>, at: u16) -> bool {
        for (wire, text) in ALL {
            let text = text.as_bytes();
            let at = usize::from(at) % text.len();
            let _ = read(wire, [&text[..at], &noise, &text[at..]].into_iter());
            let _ = read(wire, [&noise[..]].into_iter());
        }
        true
    }
    QuickCheck::new().tests(500).quickcheck(holds as fn(Vec<u8>, u16) -> bool);
    for (wire, text) in ALL {
        let mut whole = 0;
        for at in 0..text.len() {
            match read(wire, [&text.as_bytes()[..at]].into_iter()) {
                Ok(answer) => {
                    whole += 1;
                    assert!(answer.known.finish.is_some(), "{wire:?} at {at}");
                }
                Err(_) => assert_eq!(whole, 0, "{wire:?} at {at}: whole before, and cut again"),
            }
        }
    }
}

#[test]
fn servers_that_do_not_keep_to_the_book_are_understood() {
    let chat = |text: &str| read(Wire::Chat, [text.as_bytes()].into_iter());
    // Neither indexes nor ids, arguments as an object, no `[DONE]`, the wrong reason, no last empty line.
    let odd = chat(concat!(
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"stop\"}]}",
    ))
    .unwrap();
    let calls: Vec<_> = odd
        .parts
        .iter()
        .map(|part| match part {
            ReplyPart::Call(call) => (&*call.name, &*call.arguments),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls, [("f", "{\"x\":1}"), ("g", "{}")]);
    assert_eq!(odd.known.finish, Some(FinishReason::ToolCalls));

    for error in [
        "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n",
        "event: error\ndata: {\"message\":\"boom\"}\n\n",
    ] {
        assert!(matches!(chat(error), Err(Fault::Provider(error)) if error.message == "boom"));
    }
    assert_eq!(chat("data: [DONE]\n\n"), Err(Fault::Cut), "a server that says nothing at all");
    assert!(matches!(chat("data: {\n\n"), Err(Fault::Garbage(_))));
}

#[test]
fn urls_are_put_together() {
    let url = |builder: HttpModelBuilder| builder.build().unwrap().post_url().to_string();
    assert_eq!(url(HttpModel::openai_chat("http://h/v1/", "m")), "http://h/v1/chat/completions");
    assert_eq!(url(HttpModel::openai_responses("http://h/v1?v=2", "m")), "http://h/v1/responses?v=2");
    assert_eq!(url(HttpModel::anthropic("http://h", "m")), "http://h/v1/messages");
    assert_eq!(url(HttpModel::anthropic("http://h/a/v1/", "m")), "http://h/a/v1/messages");
    let model = HttpModel::openai_responses("http://h/v1", "m").build().unwrap();
    assert_eq!(
        model.anchor_url("a/b", Some(Some(3))).to_string(),
        "http://h/v1/responses/a%2Fb?stream=true&starting_after=3"
    );
    assert!(matches!(
        HttpModel::openai_chat("http://me:secret@h", "m").build(),
        Err(HttpModelError::BadUrl { .. })
    ));
    assert!(matches!(HttpModel::openai_chat("ftp://h", "m").build(), Err(HttpModelError::BadUrl { .. })));
    assert!(HttpModel::openai_chat("https://h", "m").build().is_ok(), "certificates of the system");
}
