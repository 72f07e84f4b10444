//! A server that answers by a script and writes down what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What the server does with a connection, once it has read a request.
pub(crate) enum Act {
    Send(String),
    /// Keeps it open and silent until the client closes it.
    Hold,
}

type Script = dyn Fn(usize, &Asked) -> Vec<Act> + Send + Sync;

pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
    /// A held connection was closed by the client.
    closed: Notify,
}

impl Server {
    /// Answers the n-th request, from 0, by `script`.
    pub(crate) async fn start(script: impl Fn(usize, &Asked) -> Vec<Act> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, closed) = (Mutex::default(), Notify::new());
        let shared = Arc::new(Shared { script: Box::new(script), asked, closed });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Server { url, shared }
    }

    /// Answers each request with the same bytes.
    pub(crate) async fn always(answer: String) -> Server {
        Server::start(move |_, _| vec![Act::Send(answer.clone())]).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Waits until a client has closed a connection that was held.
    pub(crate) async fn closed(&self) {
        self.shared.closed.notified().await;
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) {
        let Some(asked) = read(&mut stream).await else { return };
        let acts = {
            let mut all = self.asked.lock().unwrap();
            all.push(asked.clone());
            (self.script)(all.len() - 1, &asked)
        };
        for act in acts {
            match act {
                Act::Send(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                Act::Hold => {
                    let _ = stream.read(&mut [0; 16]).await;
                    self.closed.notify_one();
                    return;
                }
            }
        }
        let _ = stream.shutdown().await;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let body_len: usize = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    while bytes.len() < head_len + body_len {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head_len..].to_vec()).unwrap();
    Some(Asked { method, path, headers, body })
}

/// A whole answer.
pub(crate) fn plain(status: u16, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// The begin of a stream whose end is the end of the connection.
pub(crate) fn stream(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_7\r\nx-ratelimit-remaining-requests: 59\r\nconnection: close\r\n\r\n{body}"
    )
}

/// The begin of a stream in a chunk, so that its end can be missing.
pub(crate) fn chunked(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
        body.len()
    )
}
