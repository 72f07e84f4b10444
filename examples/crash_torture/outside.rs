//! The world outside, as the actors of the bank reach it: a server over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use greenroom::{Actor, ActorRef, Address, Context, Failure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::item::path;
use crate::sabotage::Sabotage;
use crate::told::Told;

/// So often somebody who does not live yet is looked for: it comes up at the same time.
const LOOKS_MAX: u32 = 2_000;

/// A resource of the runtime.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) server: SocketAddr,
    pub(crate) life: u32,
    pub(crate) told: Arc<Told>,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Outside {
    /// The call whose effects count.
    pub(crate) async fn call(&self, effect: &str, key: &str) -> Result<String, Failure> {
        self.told.say_events();
        self.request(&format!("/call?key={key}&effect={effect}&life={}", self.life)).await
    }

    /// Says that the result of a call is in the journal: from now on nobody may make it again.
    pub(crate) async fn done(&self, key: &str) -> Result<(), Failure> {
        self.request(&format!("/done?key={key}")).await.map(drop)
    }

    /// Whether the call was made.
    pub(crate) async fn was_made(&self, key: &str) -> Result<bool, Failure> {
        Ok(self.request(&format!("/check?key={key}")).await? == "yes")
    }

    async fn request(&self, what: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(self.server).await.map_err(Failure::external)?;
        let request = format!("GET {what} HTTP/1.1\r\nhost: outside\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(Failure::external)?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await.map_err(Failure::external)?;
        match response.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => Err(Failure::external(format!("the server answered {response:?}"))),
        }
    }
}

/// Number `n` of `kind`, which perhaps does not live yet.
pub(crate) async fn find<A: Actor, B: Actor>(
    cx: &Context<'_, A>,
    kind: &str,
    n: u8,
) -> Result<ActorRef<B>, Failure> {
    let address = Address::new(path(kind, n));
    for _ in 0..LOOKS_MAX {
        if let Ok(found) = cx.resolve(&address) {
            return Ok(found);
        }
        cx.clock().sleep(std::time::Duration::from_millis(2)).await;
    }
    Err(Failure::external(format!("nobody lives at {}", address.path())))
}
