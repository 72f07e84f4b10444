//! A tree as text: box drawing lines, aligned columns, one line a node.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use greenroom_runtime::{BreakerState, Chain, InHand, LifeState};

use crate::policy::{ChildState, Strategy};
use crate::routing::Routing;
use crate::tree::{NodeKind, SupervisorShape, SupervisorView, Tree, TreeBreaker, TreeMailbox, TreeNode};

/// Most letters of a cause that are printed.
const CAUSE_MAX: usize = 60;

/// A [`Tree`] as text. Made by [`Tree::text`].
#[derive(Clone, Copy, Debug)]
pub struct TreeText<'a> {
    tree: &'a Tree,
    siblings_max: usize,
}

impl<'a> TreeText<'a> {
    pub(crate) fn of(tree: &'a Tree) -> Self {
        TreeText { tree, siblings_max: 20 }
    }

    /// Prints at most so many alike siblings, and counts the others on one line: those are printed that do not run, have
    /// a full mailbox or a breaker that is not closed, or were restarted; then the first. Default: 20.
    #[must_use]
    pub fn siblings(self, max: usize) -> Self {
        TreeText { siblings_max: max, ..self }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl fmt::Display for TreeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Rows { rows: Vec::new(), now: self.tree.taken_at, siblings_max: self.siblings_max };
        for root in &self.tree.roots {
            rows.add(root, root.path.as_str().to_owned(), "");
        }
        rows.fmt(f)
    }
}

const COLUMNS: usize = 7;

struct Rows {
    rows: Vec<[String; COLUMNS]>,
    now: Duration,
    siblings_max: usize,
}

impl Rows {
    /// Adds a node and those below it. `stem` is what stands before the branches of its children.
    fn add(&mut self, node: &TreeNode, name: String, stem: &str) {
        self.rows.push([
            name,
            what(node).into_owned(),
            state(node, self.now)
                + &node.breaker.as_deref().map(|of| breaker(of, self.now)).unwrap_or_default(),
            format!("life {}", node.epoch),
            load(node),
            node.in_hand.as_ref().map(|in_hand| work(in_hand, self.now)).unwrap_or_default(),
            past(node, self.now),
        ]);
        let lines = lines(&node.children, self.siblings_max);
        let last = lines.len().saturating_sub(1);
        for (at, line) in lines.into_iter().enumerate() {
            let (branch, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            match line {
                Line::Node(child) => {
                    let name = format!("{stem}{branch}{}", child.path.name());
                    self.add(child, name, &format!("{stem}{below}"));
                }
                Line::More { like, hidden, running } => {
                    let (hidden, running) = (grouped(hidden), grouped(running));
                    let name = format!("{stem}{branch}… and {hidden} more ({running} running)");
                    let mut row: [String; COLUMNS] = Default::default();
                    (row[0], row[1]) = (name, what(like).into_owned());
                    self.rows.push(row);
                }
            }
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (at, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            f.write_str(if at > 0 { "\n" } else { "" })?;
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

// ---- which siblings ----

enum Line<'a> {
    Node(&'a TreeNode),
    /// So many like this one are left out.
    More {
        like: &'a TreeNode,
        hidden: usize,
        running: usize,
    },
}

/// All siblings, or those of each kind that somebody on call would look at first, in start order.
fn lines(siblings: &[TreeNode], most: usize) -> Vec<Line<'_>> {
    if siblings.len() <= most {
        return siblings.iter().map(Line::Node).collect();
    }
    let mut alike: BTreeMap<Cow<'_, str>, Vec<usize>> = BTreeMap::new();
    for (at, node) in siblings.iter().enumerate() {
        alike.entry(what(node)).or_default().push(at);
    }
    let mut is_shown = vec![true; siblings.len()];
    let mut more: BTreeMap<usize, Line<'_>> = BTreeMap::new();
    for mut group in alike.into_values().filter(|group| group.len() > most) {
        let Some(last) = group.last().copied() else { continue };
        group.sort_by_cached_key(|at| std::cmp::Reverse(trouble(&siblings[*at])));
        let hidden = group.split_off(most);
        let running = hidden.iter().filter(|at| siblings[**at].life == LifeState::Running).count();
        hidden.iter().for_each(|at| is_shown[*at] = false);
        more.insert(last, Line::More { like: &siblings[last], hidden: hidden.len(), running });
    }
    let mut lines = Vec::new();
    for (at, node) in siblings.iter().enumerate() {
        lines.extend(is_shown[at].then_some(Line::Node(node)));
        lines.extend(more.remove(&at));
    }
    lines
}

/// How much a node, or somebody below it, is worth a look.
fn trouble(node: &TreeNode) -> u8 {
    let is_full = node.mailbox.is_some_and(|mailbox| mailbox.waiting >= mailbox.capacity);
    let is_left_alone = node.breaker.as_ref().is_some_and(|breaker| breaker.state != BreakerState::Closed);
    let own = match node.life {
        _ if node.blocked_lives > 0 => 3,
        LifeState::Running if is_left_alone => 2,
        LifeState::Running if is_full => 2,
        LifeState::Running if node.restarts > 0 => 1,
        LifeState::Running => 0,
        _ => 3,
    };
    node.children.iter().map(trouble).max().unwrap_or(0).max(own)
}

// ---- cells ----

fn what(node: &TreeNode) -> Cow<'static, str> {
    let NodeKind::Supervisor(view) = &node.kind else { return node.type_name.into() };
    match view.shape {
        SupervisorShape::Named => format!("supervisor, {}", strategy(view.strategy)).into(),
        SupervisorShape::Pool { routing } => format!("pool, {}", self::routing(routing)).into(),
        SupervisorShape::Dynamic { .. } => "dynamic supervisor".into(),
    }
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "one-for-one",
        Strategy::OneForAll => "one-for-all",
        Strategy::RestForOne => "rest-for-one",
        Strategy::Custom(custom) => custom.name,
    }
}

fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::RoundRobin => "in turns",
        Routing::LeastLoaded => "least loaded",
        Routing::FirstAvailable => "first available",
        Routing::ByKey => "by key",
    }
}

fn state(node: &TreeNode, now: Duration) -> String {
    match (node.life, node.child_state, node.next_try) {
        (LifeState::Vacant, Some(ChildState::Restarting), Some(due)) if due > now => {
            format!("restarting in {}", span(due - now))
        }
        (LifeState::Vacant, Some(ChildState::Restarting), _) => "restarting".to_owned(),
        (LifeState::Vacant, Some(ChildState::Stopped), _) => "stopped".to_owned(),
        (LifeState::Vacant, Some(ChildState::Running) | None, _) => "down".to_owned(),
        (LifeState::Starting, ..) => "starting".to_owned(),
        (LifeState::Running, ..) => "running".to_owned(),
        (LifeState::Draining, ..) => "draining".to_owned(),
        (LifeState::Stopping, ..) => "stopping".to_owned(),
        (LifeState::Closed, ..) => "closed".to_owned(),
    }
}

fn breaker(TreeBreaker { state, next_trial }: &TreeBreaker, now: Duration) -> String {
    match (state, next_trial) {
        (BreakerState::Closed, _) => ", breaker closed".to_owned(),
        (BreakerState::HalfOpen, _) => ", breaker half-open".to_owned(),
        (BreakerState::Open { .. }, Some(trial)) if *trial > now => {
            format!(", breaker open for {}", span(*trial - now))
        }
        (BreakerState::Open { .. }, _) => ", breaker due for a trial".to_owned(),
    }
}

/// What bears on it: messages on a worker, restarts on a supervisor.
fn load(node: &TreeNode) -> String {
    match (&node.kind, &node.mailbox) {
        (NodeKind::Supervisor(view), _) => {
            let SupervisorView { intensity, restarts_counted, .. } = &**view;
            let max = grouped(intensity.max as usize);
            format!("{} of {max} restarts in {}", grouped(*restarts_counted), span(intensity.within))
        }
        (NodeKind::Worker, Some(TreeMailbox { waiting, capacity, oldest_age })) => {
            let full = if waiting >= capacity { " full" } else { "" };
            let oldest = oldest_age.map(|age| format!(", oldest {}", span(age))).unwrap_or_default();
            format!("{}/{}{full}{oldest}", grouped(*waiting), grouped(*capacity))
        }
        (NodeKind::Worker, None) => String::new(),
    }
}

fn work(InHand { message, tries, since, .. }: &InHand, now: Duration) -> String {
    let again = if *tries > 0 { format!(", try {}", tries + 1) } else { String::new() };
    format!("{message} for {}{again}", span(now.saturating_sub(*since)))
}

/// What happened to it before this life.
fn past(node: &TreeNode, now: Duration) -> String {
    let mut past = Vec::new();
    match node.blocked_lives {
        0 => {}
        1 => past.push("an old life blocks its thread".to_owned()),
        lives => past.push(format!("{lives} old lives block their threads")),
    }
    match node.restarts {
        0 => {}
        1 => past.push("1 restart".to_owned()),
        restarts => past.push(format!("{} restarts", grouped(restarts as usize))),
    }
    if let Some(exit) = node.exits.last() {
        let cause = shortened(&Chain(&exit.reason).to_string());
        past.push(format!("{} ago: {cause}", span(now.saturating_sub(exit.at))));
    }
    past.join(", ")
}

/// The first line of a text, or the beginning of it; what would move the cursor of a terminal is printed as `·`.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short = match line.char_indices().nth(CAUSE_MAX) {
        None if line.len() == text.len() => line.to_owned(),
        None => format!("{line}…"),
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    };
    short.replace(char::is_control, "·")
}

/// A span of time as one says it: `150 ms`, `2.5 s`, `3 min 20 s`, `7 h 5 min`, `3 d 2 h`.
fn span(span: Duration) -> String {
    let two = |unit: u64, name: &str, rest: u64, rest_name: &str| match rest {
        0 => format!("{unit} {name}"),
        _ => format!("{unit} {name} {rest} {rest_name}"),
    };
    let (s, ms) = (span.as_secs(), span.subsec_millis());
    match s {
        0 => format!("{ms} ms"),
        1..60 if ms < 100 => format!("{s} s"),
        1..60 => format!("{s}.{} s", ms / 100),
        60..3_600 => two(s / 60, "min", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// A number with its thousands apart: `4,980`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_at_most_two_units() {
        let table = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (2_550, "2.5 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (200_000, "3 min 20 s"),
            (25_500_000, "7 h 5 min"),
            (266_400_000, "3 d 2 h"),
        ];
        for (ms, text) in table {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (4_980, "4,980"), (1_000_000, "1,000,000")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_cause_is_cut_to_one_short_line() {
        let long = "ä".repeat(CAUSE_MAX + 1);
        let table = [
            ("out of paper", "out of paper".to_owned()),
            ("first\nsecond", "first…".to_owned()),
            ("\x1b[2Jall\rgone", "·[2Jall·gone".to_owned()),
            (&*long, "ä".repeat(CAUSE_MAX) + "…"),
        ];
        for (text, expected) in table {
            assert_eq!(shortened(text), expected);
        }
    }
}
