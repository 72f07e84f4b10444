//! Smoke.
use greenroom_runtime::*;
use std::time::Duration;
struct Counter(u64);
#[derive(Clone)]
struct Add(u64);
struct Boom;
impl Message for Add { type Reply = u64; }
impl Message for Boom { type Reply = (); }
impl Actor for Counter {
    type Args = u64;
    type Inbox = Open<Self>;
    async fn start(first: &u64) -> Result<Self, Failure> { Ok(Counter(*first)) }
}
impl Handler<Add> for Counter {
    async fn handle(&mut self, m: Add, _cx: &mut Context<'_, Self>) -> Result<u64, Failure> { self.0 += m.0; Ok(self.0) }
}
impl Handler<Boom> for Counter {
    async fn handle(&mut self, _: Boom, _cx: &mut Context<'_, Self>) -> Result<(), Failure> { panic!("ouch") }
}
#[tokio::test]
async fn counts() {
    let rt = Runtime::builder().start().await.unwrap();
    let c = rt.spawn::<Counter>("counter", 1).await.unwrap();
    c.tell(Add(1)).await.unwrap();
    assert_eq!(c.ask(Add(1)).await.unwrap(), 3);
    let e = c.ask(Boom).await.unwrap_err();
    assert!(matches!(e, AskError::ActorFailed{..}));
    assert!(c.closed().await.is_some());
    println!("{:?}", c.try_tell(Add(1)).unwrap_err());
    let rep = rt.shutdown(Duration::from_secs(1)).await;
    println!("{rep:?}");
}
