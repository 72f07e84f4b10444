//! Progress on stderr: a bar on a terminal, else a line now and then.

use std::cell::Cell;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) struct Progress {
    bar: ProgressBar,
    lines: Option<LineEvery>,
    finished: Cell<u64>,
    all: u64,
}

/// A line each time so many tickets are finished.
struct LineEvery(u64);

impl Progress {
    /// `finished` of `all` are finished already.
    pub(crate) fn new(finished: usize, all: usize, line_every: u32) -> Self {
        let (finished, all) = (finished as u64, all as u64);
        let on_terminal = std::io::stderr().is_terminal();
        let bar = if on_terminal { ProgressBar::new(all) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:40.green/black} {pos}/{len} tickets, {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(finished);
        let lines = (!on_terminal).then(|| LineEvery(line_every.max(1).into()));
        Progress { bar, lines, finished: Cell::new(finished), all }
    }

    pub(crate) fn finished_one(&self) {
        self.finished.set(self.finished.get() + 1);
        self.bar.inc(1);
        if let Some(LineEvery(n)) = self.lines
            && self.finished.get().is_multiple_of(n)
        {
            eprintln!("finished {} of {}", self.finished.get(), self.all);
        }
    }

    /// A sentence between.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("support_desk: {text}"));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
