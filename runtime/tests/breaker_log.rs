//! What a breaker writes to the log.
//!
//! Alone in its process: `tracing` decides once whether the place of an event is listened to, and asks the thread that
//! comes there first, which beside other tests need not be the one that listens.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_runtime::{Breaker, BreakerSpec, Clock};
use tracing::field::{Field, Visit};
use tracing::span;

/// Writes level, name and the field `breaker` of each event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct BreakerField<'a>(&'a mut String);

impl Visit for BreakerField<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "breaker" {
            write!(self.0, " {value:?}").expect("a string grows");
        }
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut log = self.0.lock().expect("no panic inside");
        write!(log, "{} {}", event.metadata().level(), event.metadata().name()).expect("a string grows");
        event.record(&mut BreakerField(&mut log));
        log.push('\n');
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn opening_is_a_warning_in_the_log_and_closing_is_told_too() {
    let log = Log::default();
    let _logs = tracing::subscriber::set_default(log.clone());
    let spec = BreakerSpec { failures_in_a_row: Some(1), ..BreakerSpec::default() };
    let breaker = Breaker::new("mill", spec, Clock::default());

    breaker.admit().unwrap().failed();
    Clock::default().sleep(Duration::from_secs(6)).await;
    breaker.admit().unwrap().succeeded();

    let lines =
        "WARN breaker.opened \"mill\"\nDEBUG breaker.half_opened \"mill\"\nINFO breaker.closed \"mill\"\n";
    assert_eq!(*log.0.lock().unwrap(), lines);
}
