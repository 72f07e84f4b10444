//! A body that is read with bounds on its bytes and on the time between them.

use std::time::Duration;

use greenroom_runtime::Clock;
use reqwest::Response;
use tokio::time::Instant;

use crate::model::error::{ModelErrorKind, TimeoutPhase};

/// Reads a body piece by piece.
pub(super) struct Reading<'a> {
    response: Response,
    clock: &'a Clock,
    /// When the first byte must be here; `None` once it is.
    first_by: Option<Instant>,
    idle: Duration,
    bytes_left: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        response: Response,
        clock: &'a Clock,
        first_by: Instant,
        idle: Duration,
        bytes_max: usize,
    ) -> Self {
        Reading { response, clock, first_by: Some(first_by), idle, bytes_left: bytes_max }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, ModelErrorKind> {
        let (limit, phase) = match self.first_by {
            Some(by) => (by.saturating_duration_since(self.clock.now()), TimeoutPhase::FirstByte),
            None => (self.idle, TimeoutPhase::Idle),
        };
        let piece = match self.clock.within(limit, self.response.chunk()).await {
            None => return Err(ModelErrorKind::TimedOut(phase)),
            Some(Err(error)) => return Err(ModelErrorKind::StreamCut { message: chain(error) }),
            Some(Ok(piece)) => piece,
        };
        self.first_by = None;
        let len = piece.as_ref().map_or(0, |piece| piece.len());
        match self.bytes_left.checked_sub(len) {
            Some(left) => self.bytes_left = left,
            None => {
                return Err(ModelErrorKind::InvalidAnswer { message: "it has too many bytes".to_owned() });
            }
        }
        Ok(piece)
    }

    /// Takes the end of a body that is known to be complete, if it is here already: then the connection can be used again.
    pub(super) async fn take_end(mut self) {
        let _ = self.clock.within(Duration::ZERO, self.response.chunk()).await;
    }
}

/// An error of the client with its causes, in one line and without the URL.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
