//! The server that the steps call: a few lines of HTTP/1.1, one request a connection.
//!
//! Requests are read and take effect one after the other, in the order of their connections; only the answers take their
//! time. So what a life has called is known before anything that a later one asks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::calls::Calls;
use crate::dice::mix;

/// Who connects and then says nothing was killed.
const REQUEST_WITHIN: Duration = Duration::from_secs(1);
const REQUEST_LEN_MAX: usize = 4_096;

/// Where the server listens, and what it has seen.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    calls: Arc<Mutex<Calls>>,
}

impl Server {
    /// Begins to serve, as one of `tasks`.
    ///
    /// # Errors
    ///
    /// There is no port for it.
    pub(crate) async fn start(tasks: &mut JoinSet<()>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Server { address: listener.local_addr()?, calls: Arc::default() };
        tasks.spawn(server.clone().serve(listener));
        Ok(server)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all that was asked before has taken effect.
    ///
    /// # Errors
    ///
    /// The server has ended.
    pub(crate) async fn settle(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"GET /check?key= HTTP/1.1\r\n\r\n").await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    }

    async fn serve(self, listener: TcpListener) {
        let (clock, mut answers) = (Clock::default(), JoinSet::new());
        while let Ok((mut stream, _)) = listener.accept().await {
            while answers.try_join_next().is_some() {}
            let Some(Some(request)) = clock.within(REQUEST_WITHIN, read(&mut stream)).await else { continue };
            let (answer, after) = self.take_effect(&request);
            answers.spawn(async move {
                clock.sleep(after).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
                // Whoever asked may be dead.
                drop(stream.write_all(format!("{head}{answer}").as_bytes()).await);
            });
        }
    }

    /// The answer to a request, and after how long it is given.
    fn take_effect(&self, request: &str) -> (String, Duration) {
        let target = request.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let of = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let key = of("key").unwrap_or_default();
        match path {
            "/call" => {
                self.calls().call(key, of("effect") == Some("once"));
                let dice = key.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
                (format!("receipt of {key}"), Duration::from_millis(1 + dice % 5))
            }
            "/done" => {
                self.calls().done(key);
                (String::new(), Duration::ZERO)
            }
            _ if self.calls().was_made(key) => ("yes".to_owned(), Duration::ZERO),
            _ => ("no".to_owned(), Duration::ZERO),
        }
    }
}

/// The head of a request; `None` if there is no whole one.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut request).await.ok()?;
        if read == 0 || request.len() > REQUEST_LEN_MAX {
            return None;
        }
    }
    String::from_utf8(request).ok()
}
