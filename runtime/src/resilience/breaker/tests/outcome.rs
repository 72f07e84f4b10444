//! Which result counts as what: the table of `CallOutcome`.

use std::sync::Arc;
use std::time::Duration;

use crate::actor::ExitReason;
use crate::address::{ActorPath, AskError, TellError};
use crate::message::{Failure, FailureClass};
use crate::resilience::{BreakerOpen, CallOutcome};
use crate::store::StoreError;

#[test]
fn a_result_counts_for_what_it_says_about_whoever_was_called() {
    let to = || ActorPath::parse("desk").unwrap();
    let failed = |class| AskError::Failed { to: to(), failure: Failure::of(class, "why") };
    let full = |waited| TellError::MailboxFull { to: to(), capacity: 1, waited, message: () };
    let open = BreakerOpen { name: Arc::from("inner"), retry_after: None };
    let success =
        [AskError::Refused { to: to(), failure: Failure::invalid("why") }, failed(FailureClass::Invalid)];
    let failure = [
        failed(FailureClass::Bug),
        failed(FailureClass::External),
        AskError::NotDelivered(full(Duration::from_millis(1))),
        AskError::NotDelivered(TellError::Gone { to: to(), message: () }),
        AskError::NotDelivered(TellError::Draining { to: to(), message: () }),
        AskError::NotDelivered(TellError::Stopped { to: to(), message: () }),
        AskError::NotDelivered(TellError::StoreUnavailable { to: to(), message: () }),
        AskError::DeadlinePassed { to: to(), waited: Duration::ZERO },
        AskError::ActorFailed { to: to(), cause: ExitReason::Shutdown },
        AskError::Stopped { to: to() },
        AskError::NoReply { to: to() },
        AskError::StoreUnavailable { to: to(), cause: StoreError::HeadDamaged },
        AskError::BreakerOpen { to: to(), open, message: () },
    ];
    let neither = [
        failed(FailureClass::Exhausted),
        failed(FailureClass::Cancelled),
        AskError::NotDelivered(full(Duration::ZERO)),
        AskError::NotDelivered(TellError::WaitsInRing { ring: vec![], message: () }),
        AskError::NotDelivered(TellError::SenderFenced { to: to(), message: () }),
        AskError::WaitsInRing { ring: vec![], message: () },
        AskError::ForwardedInRing { to: to(), ring: vec![] },
        AskError::Shed { to: to() },
    ];
    let tables = [
        (CallOutcome::Success, &success[..]),
        (CallOutcome::Failure, &failure[..]),
        (CallOutcome::Neither, &neither[..]),
    ];
    for (expected, errors) in tables {
        for error in errors {
            assert_eq!(CallOutcome::from(error), expected, "{error}");
        }
    }
    assert_eq!(CallOutcome::of(&Ok::<_, AskError<()>>(())), CallOutcome::Success);
    assert_eq!(CallOutcome::of(&Err::<(), _>(Failure::external("why"))), CallOutcome::Failure);
}
