//! An actor that shows a test what it was told.

use tokio::sync::{Mutex, mpsc};

use crate::actor::{Actor, Context, Handler, Open};
use crate::address::{ActorRef, Recipient};
use crate::message::{Failure, Message};
use crate::runtime::Runtime;

/// How many messages may lie unread; a probe that is full makes its senders wait, as any actor does.
const UNREAD_MAX: usize = 1_024;

/// A recipient whose messages a test reads one by one.
pub struct Probe<M: Message<Reply = ()>> {
    actor: ActorRef<ProbeActor<M>>,
    told: Mutex<mpsc::Receiver<M>>,
}

struct ProbeActor<M> {
    tell: mpsc::Sender<M>,
}

impl<M: Message<Reply = ()>> Actor for ProbeActor<M> {
    type Args = mpsc::Sender<M>;
    type Inbox = Open<Self>;
    async fn start(tell: &mpsc::Sender<M>) -> Result<Self, Failure> {
        Ok(ProbeActor { tell: tell.clone() })
    }
}

impl<M: Message<Reply = ()>> Handler<M> for ProbeActor<M> {
    async fn handle(&mut self, message: M, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        // The test may have dropped its probe: then nobody wants to know.
        drop(self.tell.send(message).await);
        Ok(())
    }
}

impl<M: Message<Reply = ()>> Probe<M> {
    /// Spawns a probe called `name`.
    ///
    /// # Panics
    ///
    /// When the name is taken or no path segment.
    pub async fn spawn(runtime: &Runtime, name: &str) -> Self {
        let (tell, told) = mpsc::channel(UNREAD_MAX);
        let actor = runtime.spawn::<ProbeActor<M>>(name, tell).await.expect("the name of a probe is free");
        Probe { actor, told: Mutex::new(told) }
    }

    /// What the actors under test are given.
    pub fn recipient(&self) -> Recipient<M> {
        self.actor.clone().into()
    }

    /// Waits for the next message. Wait within a bound of your own, or under a paused clock.
    ///
    /// # Panics
    ///
    /// When the probe was stopped.
    pub async fn next(&self) -> M {
        self.told.lock().await.recv().await.expect("the probe is alive")
    }

    /// The next message, if it is there already.
    pub async fn try_next(&self) -> Option<M> {
        self.told.lock().await.try_recv().ok()
    }
}

impl<M: Message<Reply = ()>> std::fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Probe({})", self.actor.path())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::TestRuntime;

    #[derive(Debug, PartialEq)]
    pub(crate) struct Ping(pub(crate) u32);
    impl Message for Ping {
        type Reply = ();
    }

    #[tokio::test]
    async fn a_probe_shows_what_it_was_told_in_order() {
        let world = TestRuntime::start().await;
        let probe = Probe::spawn(&world, "probe").await;

        for n in 0..3 {
            probe.recipient().tell(Ping(n), None).await.unwrap();
        }

        for n in 0..3 {
            assert_eq!(probe.next().await, Ping(n));
        }
        assert_eq!(probe.try_next().await, None);
        world.end().await;
    }
}
