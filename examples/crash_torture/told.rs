//! What the bank tells its parent, line by line: that it is ready, at a boundary, or what it repeats.
//!
//! A line is in the hands of the system when `say` returns: a kill does not take it back.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, OnceLock, PoisonError};

use greenroom::{ParkedFor, RuntimeEvent};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

pub(crate) struct Told {
    line: Mutex<TcpStream>,
    events: OnceLock<Mutex<Receiver<RuntimeEvent>>>,
}

impl Told {
    /// # Errors
    ///
    /// The parent is gone.
    pub(crate) fn connect(parent: SocketAddr, life: u32) -> io::Result<Self> {
        let line = TcpStream::connect(parent)?;
        line.set_nodelay(true)?;
        let told = Told { line: Mutex::new(line), events: OnceLock::new() };
        told.say(&format!("{life} told"));
        Ok(told)
    }

    /// From now on tells also what happens in the runtime.
    pub(crate) fn listen(&self, events: Receiver<RuntimeEvent>) {
        let _once = self.events.set(Mutex::new(events));
    }

    pub(crate) fn say(&self, text: &str) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.write_all(format!("{text}\n").as_bytes()).is_err() {
            // Without a parent there is nothing left to do.
            std::process::exit(1);
        }
    }

    /// Tells what happened up to now. Called before each call outside, so that a repetition is told of before it is made.
    pub(crate) fn say_events(&self) {
        let Some(events) = self.events.get() else { return };
        let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match events.try_recv() {
                Ok(RuntimeEvent::StepRepeated { key, .. }) => self.say(&format!("repeated {key}")),
                Ok(RuntimeEvent::Parked { parked, .. }) => match &parked.why {
                    ParkedFor::InDoubt { key, .. } => self.say(&format!("parked {key}")),
                    why => self.say(&format!("trouble {why:?}")),
                },
                Ok(RuntimeEvent::DeadLetter(letter)) => self.say(&format!("trouble {letter:?}")),
                Ok(RuntimeEvent::RecordDamaged { path, damage }) => {
                    self.say(&format!("trouble {path}: {damage}"));
                }
                Ok(RuntimeEvent::StoreFailed { error }) => self.say(&format!("failed {error}")),
                Ok(RuntimeEvent::GaveUp { path, reason }) => self.say(&format!("trouble {path}: {reason}")),
                Ok(_) => {}
                Err(TryRecvError::Lagged(missed)) => {
                    self.say(&format!("trouble {missed} events were missed"))
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}
