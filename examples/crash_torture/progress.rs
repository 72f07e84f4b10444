//! Progress on stderr: a bar on a terminal, else a line every so many kills.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: u32 = 50;

pub(crate) struct Progress {
    bar: ProgressBar,
    prints_lines: bool,
    all: u32,
}

impl Progress {
    pub(crate) fn new(kills: u32) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let bar = if on_terminal { ProgressBar::new(kills.into()) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:40.green/black} {pos}/{len} kills, {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, prints_lines: !on_terminal, all: kills }
    }

    pub(crate) fn killed(&self, kills: u32, accepted: u64) {
        self.bar.set_position(kills.into());
        self.bar.set_message(format!("{accepted} messages accepted"));
        if self.prints_lines && kills.is_multiple_of(LINE_EVERY) {
            eprintln!("{kills} of {} kills, {accepted} messages accepted", self.all);
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
