//! Requests that must not leave, and some that must.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::permission::Grant;
use crate::tool::AnyTool;

/// A server of this house: says what `answers` has for it, and keeps what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _task: tokio::task::JoinSet<()>,
}

async fn server(answers: impl Fn(&str) -> String + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap() == 0 {
                    break;
                }
            }
            let request = String::from_utf8(request).unwrap().to_lowercase();
            kept.lock().unwrap().push(request.clone());
            drop(stream.write_all(answers(&request).as_bytes()).await);
        }
    });
    Server { port, asked, _task: task }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// Answers in turn; the last again and again.
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Answers {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Answers(Mutex::new(answers.iter().map(parse).collect()))
    }
}

impl RestResolver for Answers {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

const HOUSE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

async fn fetch(tool: &AnyTool, url: &str) -> Result<RestAnswer, ToolError> {
    run(tool, json!({ "url": url })).await
}

async fn run(tool: &AnyTool, arguments: Value) -> Result<RestAnswer, ToolError> {
    let cx = ToolContext::new("me", Grant::all()).with_key("key-9");
    let result = tool.run(&arguments.to_string(), &cx).await?;
    Ok(serde_json::from_str(&result.text).unwrap())
}

#[tokio::test]
async fn an_allowed_host_answers() {
    let server = server(|_| ok("hello")).await;
    let origin = format!("http://api.example:{}", server.port);
    let secret = || Some("Bearer s3cret".to_owned());
    let tool = RestTool::builder("fetch")
        .host_in_clear(&origin)
        .host_in_clear(format!("http://127.0.0.1:{}", server.port))
        .credential(&origin, "authorization", secret)
        .methods(["GET", "POST"])
        .resolver(Answers::new(&[&["127.0.0.1"]]))
        .permit_address(HOUSE);
    let tool = AnyTool::new(tool.build().unwrap());

    let got = fetch(&tool, &format!("{}/a?b=c#d", origin.to_uppercase().replace("EXAMPLE", "EXAMPLE.")))
        .await
        .unwrap();
    let posted = run(
        &tool,
        json!({"url": origin, "method": "POST", "body": "{}", "content_type": "application/json"}),
    );
    let posted = posted.await.unwrap();
    fetch(&tool, &format!("http://127.0.0.1:{}/plain", server.port)).await.unwrap();

    assert_eq!(
        got,
        RestAnswer { status: 200, content_type: Some("text/plain".into()), body: "hello".into() }
    );
    assert_eq!(posted.status, 200);
    let asked = server.asked.lock().unwrap();
    assert!(
        asked[0].starts_with("get /a?b=c http/1.1") && asked[0].contains("authorization: bearer s3cret"),
        "{asked:?}"
    );
    assert!(!asked[0].contains("accept-encoding") && !asked[0].contains("idempotency-key"), "{asked:?}");
    assert!(
        asked[1].contains("idempotency-key: key-9") && asked[1].contains("application/json"),
        "{asked:?}"
    );
    assert!(!asked[2].contains("authorization"), "a credential went to another host: {asked:?}");
}

#[tokio::test]
async fn a_host_that_is_not_on_the_list_is_not_asked() {
    let server = server(|_| ok("never")).await;
    let port = server.port;
    let tool = RestTool::builder("fetch")
        .host("https://api.example")
        .host_in_clear(format!("http://good.example:{port}"))
        .resolver(Answers::new(&[&["127.0.0.1"]]))
        .permit_address(HOUSE);
    let tool = AnyTool::new(tool.build().unwrap());
    let spellings = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "good.example@127.0.0.1",
        "good.example:x@127.0.0.1",
        "127.0.0.1#@good.example",
        "127.0.0.1\\@good.example",
        "good.example.evil.example",
        "evilgood.example",
        "ｇood.example.evil",
        "①②⑦.⓪.⓪.①",
        "%31%32%37.0.0.1",
        "user@good.example",
        "good.example..",
        "",
    ];
    for host in spellings {
        for url in
            [format!("http://{host}:{port}/"), format!("http:\\\\{host}:{port}"), format!("https://{host}/")]
        {
            let error = fetch(&tool, &url).await.unwrap_err();
            assert!(error.is_before_the_call(), "{url}: {error}");
        }
    }
    for url in [
        "file:///etc/passwd",
        "ftp://good.example/",
        "gopher://good.example",
        "//good.example",
        "http://good.example/",
        "https://good.example/",
        "data:,x",
    ] {
        assert!(fetch(&tool, url).await.unwrap_err().is_before_the_call(), "{url}");
    }
    assert!(server.asked.lock().unwrap().is_empty());
    // The same place in other words is on the list.
    assert!(fetch(&tool, &format!("HTTP://ｇｏｏｄ.Example:{port}/")).await.is_ok());
}

#[tokio::test]
async fn an_address_of_this_house_is_refused_whoever_has_it() {
    let server = server(|_| ok("never")).await;
    let origin = format!("http://api.example:{}", server.port);
    for addresses in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["169.254.169.254"],
        &["64:ff9b::7f00:1"],
    ] {
        let tool = RestTool::builder("fetch").host_in_clear(&origin).resolver(Answers::new(&[addresses]));
        let error = fetch(&AnyTool::new(tool.build().unwrap()), &origin).await.unwrap_err();
        assert!(matches!(error, ToolError::NotAllowed { .. }), "{addresses:?}: {error}");
    }
    // Also one that stands on the list as it is, but was not permitted.
    let plain = format!("http://127.0.0.1:{}", server.port);
    let tool = RestTool::builder("fetch").host_in_clear(&plain).build().unwrap();
    assert!(matches!(fetch(&AnyTool::new(tool), &plain).await, Err(ToolError::NotAllowed { .. })));
    assert!(server.asked.lock().unwrap().is_empty());
}

/// The first answer is checked, a second one would lead here. There is no second look-up: the connection goes to what was
/// checked, so it goes to an address of the internet where nobody answers in time, and never to this server.
#[tokio::test]
async fn a_second_answer_of_the_resolver_changes_nothing() {
    let server = server(|_| ok("never")).await;
    let origin = format!("http://api.example:{}", server.port);
    let resolver = Answers::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    // 127.0.0.2 stands for the public one; nobody listens there.
    let tool = RestTool::builder("fetch")
        .host_in_clear(&origin)
        .resolver(resolver)
        .permit_address("127.0.0.2".parse().unwrap());
    let tool = AnyTool::new(tool.build().unwrap());

    let first = fetch(&tool, &origin).await.unwrap_err();
    let second = fetch(&tool, &origin).await.unwrap_err();

    assert!(matches!(first, ToolError::Unavailable { .. }), "{first}");
    assert!(matches!(second, ToolError::NotAllowed { .. }), "{second}");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    let house = server(|_| ok("never")).await;
    let port = house.port;
    let server = server(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        match path {
            "/house" => to(&format!("http://127.0.0.1:{port}/")),
            "/other" => to(&format!("http://other.example:{port}/")),
            "/file" => to("file:///etc/passwd"),
            "/round" => to("/round"),
            "/next" => to("/end"),
            _ => ok("the end"),
        }
    })
    .await;
    let origin = format!("http://api.example:{}", server.port);
    let tool = RestTool::builder("fetch")
        .host_in_clear(&origin)
        .resolver(Answers::new(&[&["127.0.0.1"]]))
        .permit_address(HOUSE);
    let tool = AnyTool::new(tool.build().unwrap());

    for path in ["house", "other", "file"] {
        let error = fetch(&tool, &format!("{origin}/{path}")).await.unwrap_err();
        assert!(matches!(error, ToolError::NotAllowed { .. }), "{path}: {error}");
    }
    assert_eq!(fetch(&tool, &format!("{origin}/next")).await.unwrap().body, "the end");
    let round = fetch(&tool, &format!("{origin}/round")).await.unwrap_err();
    assert!(matches!(round, ToolError::Exhausted { .. }), "{round}");
    assert!(house.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let long = "x".repeat(2_000);
    let server = server(move |request| match request.split(' ').nth(1).unwrap() {
        "/told" => ok(&long),
        "/untold" => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{long}"),
        "/zip" => "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\u{1f}zip".into(),
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".into(),
    })
    .await;
    let origin = format!("http://127.0.0.1:{}", server.port);
    let limits = RestLimits { answer: 1_000, time: Duration::from_secs(5), ..RestLimits::default() };
    let tool = RestTool::builder("fetch").host_in_clear(&origin).permit_address(HOUSE).limits(limits);
    let tool = AnyTool::new(tool.build().unwrap());

    for path in ["told", "untold"] {
        let error = fetch(&tool, &format!("{origin}/{path}")).await.unwrap_err();
        assert!(matches!(error, ToolError::Exhausted { .. }), "{path}: {error}");
    }
    // Nobody asked for it, so nobody unpacks it.
    assert_eq!(fetch(&tool, &format!("{origin}/zip")).await.unwrap().body.len(), 4);
    let half = fetch(&tool, &format!("{origin}/half")).await.unwrap_err();
    assert!(matches!(half, ToolError::Unavailable { .. }), "{half}");
    assert!(!half.to_string().contains("127.0.0.1"), "{half}");
}

#[tokio::test]
async fn a_grant_shortens_the_list_of_hosts() {
    let server = server(|_| ok("hello")).await;
    let origin = format!("http://127.0.0.1:{}", server.port);
    let tool = RestTool::builder("fetch").host_in_clear(&origin).permit_address(HOUSE).build().unwrap();
    let tool = AnyTool::new(tool);
    let call = json!({ "url": origin }).to_string();
    let with =
        |hosts: [&str; 1]| ToolContext::new("me", Grant::all().limit("fetch", LimitKind::Hosts, hosts));

    assert!(tool.run(&call, &with(["127.0.0.1"])).await.is_ok());
    assert!(matches!(tool.run(&call, &with(["other"])).await, Err(ToolError::NotAllowed { .. })));
    assert_eq!(tool.description().effect, Effect::Pure);
    assert!(RestTool::builder("fetch").host("http://in.clear").build().is_err());
    assert!(RestTool::builder("fetch").host("https://a/path").build().is_err());
    assert!(
        RestTool::builder("fetch").host("https://a").credential("https://b", "x", || None).build().is_err()
    );
}
