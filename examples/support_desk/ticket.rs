//! What a customer wrote, and the border where a line of text becomes a ticket or is refused with a reason.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Longest text of one field in bytes: 64 KiB.
const TEXT_LEN_MAX: usize = 64 << 10;
/// Longest id in bytes.
const ID_LEN_MAX: usize = 64;

/// One request of one customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) priority: Priority,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// The tickets of one input, and the lines that are none.
#[derive(Debug, Default)]
pub(crate) struct TicketFile {
    /// In the order of the file; no id twice.
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) malformed: Vec<Malformed>,
}

/// A line that is no ticket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) reason: Refusal,
}

/// Why a line is no ticket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotUtf8,
    NotAnObject,
    NotATicket(String),
    BadId(String),
    TooLong { field: &'static str, len: usize },
    RepeatedId { id: String, first: usize },
}

impl Ticket {
    /// Reads one line.
    fn parse(line: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(line).map_err(|_| Refusal::NotUtf8)?;
        // serde would take an array of the fields as well.
        if !text.starts_with('{') {
            return Err(Refusal::NotAnObject);
        }
        let ticket: Ticket = serde_json::from_str(text).map_err(|e| Refusal::NotATicket(e.to_string()))?;
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(1..=ID_LEN_MAX).contains(&ticket.id.len()) || !ticket.id.bytes().all(fine) {
            return Err(Refusal::BadId(ticket.id));
        }
        let fields = [("customer", &ticket.customer), ("subject", &ticket.subject), ("body", &ticket.body)];
        if let Some((field, text)) = fields.into_iter().find(|(_, text)| text.len() > TEXT_LEN_MAX) {
            return Err(Refusal::TooLong { field, len: text.len() });
        }
        Ok(ticket)
    }
}

impl TicketFile {
    /// Reads the whole file.
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        Ok(Self::parse(&std::fs::read(path)?))
    }

    /// Reads lines; empty ones do not count.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut file = TicketFile::default();
        let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match Ticket::parse(text) {
                Ok(ticket) => match first_lines.get(&ticket.id) {
                    None => {
                        first_lines.insert(ticket.id.clone(), line);
                        file.tickets.push(ticket);
                    }
                    Some(&first) => {
                        let reason = Refusal::RepeatedId { id: ticket.id, first };
                        file.malformed.push(Malformed { line, reason });
                    }
                },
                Err(reason) => file.malformed.push(Malformed { line, reason }),
            }
        }
        file
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotUtf8 => f.write_str("the line is not UTF-8"),
            Refusal::NotAnObject => f.write_str("not a JSON object"),
            Refusal::NotATicket(why) => write!(f, "not a ticket: {why}"),
            Refusal::BadId(id) => {
                let shown: String = id.chars().take(ID_LEN_MAX).collect();
                write!(f, "the id {shown:?} is not 1 to {ID_LEN_MAX} characters of [A-Za-z0-9_-]")
            }
            Refusal::TooLong { field, len } => {
                write!(f, "`{field}` has {len} bytes, at most {TEXT_LEN_MAX} are allowed")
            }
            Refusal::RepeatedId { id, first } => write!(f, "the id {id:?} was on line {first} already"),
        }
    }
}
