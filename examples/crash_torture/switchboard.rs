//! Where the bank calls in: each connection begins with a line that says which life it is of, and what it is for.

use std::net::SocketAddr;
use std::time::Duration;

use greenroom::Clock;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Who connects and then says nothing was killed.
const HELLO_WITHIN: Duration = Duration::from_secs(1);
const WAITING_MAX: usize = 64;

pub(crate) type Lines = BufReader<TcpStream>;

pub(crate) struct Switchboard {
    pub(crate) address: SocketAddr,
    calls: mpsc::Receiver<(String, Lines)>,
}

impl Switchboard {
    /// Begins to listen, as one of `tasks`.
    ///
    /// # Errors
    ///
    /// There is no port for it.
    pub(crate) async fn start(tasks: &mut JoinSet<()>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (found, calls) = mpsc::channel(WAITING_MAX);
        tasks.spawn(listen(listener, found));
        Ok(Switchboard { address, calls })
    }

    /// What the next connection of `life` is for. Those of earlier lives are dropped.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub(crate) async fn next(&mut self, life: u32) -> Option<(String, Lines)> {
        loop {
            let (hello, lines) = self.calls.recv().await?;
            match hello.split_once(' ') {
                Some((of, what)) if of.parse() == Ok(life) => return Some((what.to_owned(), lines)),
                _ => {}
            }
        }
    }

    /// Calls in itself: whatever comes before this `mark` was there before.
    ///
    /// # Errors
    ///
    /// The switchboard has ended.
    pub(crate) async fn mark(&self, life: u32) -> std::io::Result<()> {
        TcpStream::connect(self.address).await?.write_all(format!("{life} mark\n").as_bytes()).await
    }
}

async fn listen(listener: TcpListener, found: mpsc::Sender<(String, Lines)>) {
    let clock = Clock::default();
    while let Ok((stream, _)) = listener.accept().await {
        let no_delay = stream.set_nodelay(true);
        let (mut lines, mut hello) = (BufReader::new(stream), String::new());
        let read = clock.within(HELLO_WITHIN, lines.read_line(&mut hello)).await;
        if no_delay.is_ok() && matches!(read, Some(Ok(1..))) {
            let sent = found.send((hello.trim_end().to_owned(), lines)).await;
            if sent.is_err() {
                return;
            }
        }
    }
}
