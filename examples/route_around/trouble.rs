//! The trouble: a replica is killed every 200 ms, or all are stopped for good.

use std::time::Duration;

use greenroom::prelude::*;
use greenroom::{AdminError, LifeState};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::dice::{mix, share};
use crate::role::Replica;

pub(crate) const KILL_EVERY: Duration = Duration::from_millis(200);
/// Two kills are still further apart than a start takes.
const LATER: Duration = Duration::from_millis(40);

/// Kills replicas, and counts what comes of it.
pub(crate) struct Trouble {
    pool: PoolRef<Replica>,
    events: Receiver<RuntimeEvent>,
    dice: u64,
    pub(crate) kills: u64,
    /// Messages that moved from a replica that was down.
    pub(crate) rerouted: usize,
}

impl Trouble {
    pub(crate) fn new(runtime: &Runtime, pool: PoolRef<Replica>, seed: u64) -> Self {
        Trouble { pool, events: runtime.events(), dice: mix(seed), kills: 0, rerouted: 0 }
    }

    /// How much later than planned the next kill is, lest kills and waves of asks keep step.
    pub(crate) fn delay(&mut self) -> Duration {
        self.dice = mix(self.dice);
        LATER.mul_f64(share(self.dice))
    }

    /// Kills one that runs, whichever the dice say.
    pub(crate) fn kill_one(&mut self) {
        self.dice = mix(self.dice);
        let members = self.pool.members();
        let first = self.dice as usize % members.len();
        let mut from_there = members.iter().cycle().skip(first).take(members.len());
        if let Some(member) = from_there.find(|member| member.observe().state == LifeState::Running) {
            member.kill();
            self.kills += 1;
        }
    }

    /// Stops all of them. They stay stopped.
    pub(crate) async fn stop_all(&self) -> Result<(), AdminError> {
        for member in self.pool.members() {
            self.pool.supervisor().terminate_child(member.path().name()).await?;
        }
        Ok(())
    }

    /// Reads what has happened since the last look.
    pub(crate) fn look(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(RuntimeEvent::Rerouted { count, .. }) => self.rerouted += count,
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Lives after the first, of all replicas.
    pub(crate) fn restarts(&self) -> u64 {
        self.pool.members().iter().map(|member| member.observe().restarts).sum()
    }
}
