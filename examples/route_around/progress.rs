//! Progress on stderr: a bar on a terminal, else a line every five seconds.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Args;

const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    bar: ProgressBar,
    next_line: Option<Cell<Duration>>,
    all: Duration,
    base: Duration,
    trouble: &'static str,
}

impl Progress {
    pub(crate) fn new(args: &Args) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let all = u64::try_from(args.all().as_millis()).unwrap_or(u64::MAX);
        let bar = if on_terminal { ProgressBar::new(all) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:40.green/black} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress {
            bar,
            next_line: (!on_terminal).then(|| Cell::new(LINE_EVERY)),
            all: args.all(),
            base: args.base(),
            trouble: if args.all_down { "replicas stopped" } else { "kills" },
        }
    }

    pub(crate) fn at(&self, time: Duration, asks: u64, kills: u64) {
        let what = if time <= self.base {
            "the base, without trouble".to_owned()
        } else {
            format!("{kills} {}", self.trouble)
        };
        let text = format!("{} of {} s, {asks} asks, {what}", time.as_secs(), self.all.as_secs());
        if let Some(next) = &self.next_line
            && time >= next.get()
        {
            next.set(next.get() + LINE_EVERY);
            eprintln!("{text}");
        }
        self.bar.set_position(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.bar.set_message(text);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
