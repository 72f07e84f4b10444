//! Calling a turn off while it runs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;

/// Calls a turn off that is under way, from anywhere in this process. Cloning it gives another handle of the same.
///
/// ```
/// let call_off = greenroom_actors::CallOff::new();
/// call_off.clone().call_off();
/// assert!(call_off.is_called_off());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOff(Arc<watch::Sender<bool>>);

impl CallOff {
    /// Nothing is called off yet.
    pub fn new() -> Self {
        CallOff::default()
    }

    /// Calls it off, for good.
    pub fn call_off(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was.
    pub fn is_called_off(&self) -> bool {
        *self.0.borrow()
    }

    async fn heard(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        drop(self.0.subscribe().wait_for(|is_called_off| *is_called_off).await);
    }
}

/// Some work, one piece of several.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Does all of it side by side, until it is done or called off. What is not done then is dropped, and `None`.
///
/// Each piece is polled before the call-off is looked at: a step that is in the journal gives its result though somebody
/// has called off, so a message that is handled again takes the same way as before.
pub(super) async fn side_by_side<T>(work: Vec<Work<'_, T>>, call_off: &CallOff) -> Vec<Option<T>> {
    let mut done: Vec<Option<T>> = work.iter().map(|_| None).collect();
    let mut work: Vec<Option<Work<'_, T>>> = work.into_iter().map(Some).collect();
    let mut heard = std::pin::pin!(call_off.heard());
    std::future::poll_fn(|task| {
        for (piece, done) in work.iter_mut().zip(&mut done) {
            if let Some(future) = piece
                && let Poll::Ready(result) = future.as_mut().poll(task)
            {
                (*done, *piece) = (Some(result), None);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { heard.as_mut().poll(task) }
    })
    .await;
    done
}
