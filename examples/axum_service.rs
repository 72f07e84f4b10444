//! An axum service that has its own `main`, with actors beside it: three places to touch, marked (1) to (3).
//!
//! `cargo run --example axum_service -- 127.0.0.1:3000`, then `curl 127.0.0.1:3000/price/lamp`
//! and `curl -X POST 127.0.0.1:3000/quit`

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use greenroom::prelude::*;
use tokio::sync::Notify;

struct Shop {
    unanswered: Vec<ReplyPort<u32>>,
}

struct Price(String);
impl Message for Price {
    type Reply = u32;
}

impl Actor for Shop {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Shop { unanswered: Vec::new() })
    }
}

impl Handler<Price> for Shop {
    async fn handle(&mut self, m: Price, cx: &mut Context<'_, Self>) -> Result<u32, Failure> {
        match m.0.as_str() {
            "lamp" => Ok(12),
            // A supplier that never calls back. Nobody else waits for it: the mailbox is served meanwhile.
            "moon" => cx.reply_later(|port| self.unanswered.push(port)),
            other => Err(Failure::invalid(format!("nobody sells a {other}"))),
        }
    }
}

#[derive(Clone)]
struct Service {
    shop: ActorRef<Shop>, // (1) shared like any other handle: cloning is one reference count
    quit: Arc<Notify>,
}

async fn price(
    State(service): State<Service>,
    Path(item): Path<String>,
) -> Result<String, (StatusCode, String)> {
    // (2) the deadline of the request is the deadline of the ask, and each way of failing has its status
    let asked = service.shop.ask(Price(item)).within(Duration::from_millis(500));
    asked.await.map(|price| format!("{price}\n")).map_err(|error| match error {
        AskError::Refused { failure, .. } => (StatusCode::UNPROCESSABLE_ENTITY, format!("{failure}\n")),
        AskError::DeadlinePassed { .. } => (StatusCode::GATEWAY_TIMEOUT, format!("{error}\n")),
        AskError::ActorFailed { .. } => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        _ => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")), // full or stopped: try again later
    })
}

async fn quit(State(service): State<Service>) {
    service.quit.notify_one();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let runtime = Runtime::builder().start().await?; // inside the tokio runtime that is here anyway
    let tree = Supervisor::named("service").child(ChildSpec::actor::<Shop>("shop", ()));
    let shop = runtime.supervise(tree).await?.actor::<Shop>("shop")?;

    let service = Service { shop, quit: Arc::default() };
    let quit_asked = service.quit.clone();
    let app = axum::Router::new().route("/price/{item}", get(price)).route("/quit", post(quit));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.with_state(service))
        .with_graceful_shutdown(async move {
            tokio::select! {
                () = quit_asked.notified() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await?;
    println!("no request is under way");

    let report = runtime.shutdown(Duration::from_secs(5)).await; // (3) the service first, then its actors
    println!("all actors ended in order: {}", report.is_clean());
    Ok(())
}
