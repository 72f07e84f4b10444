//! Server-sent events out of bytes that come in any pieces.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// What `event:` said; empty if nothing.
    pub(super) name: String,
    /// The lines of `data:`, joined.
    pub(super) data: String,
}

/// Cuts bytes into events. How much it holds is for its caller to bound, by bounding what it is fed.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The begin of a line whose end has not come.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right behind it belongs to the same end of line.
    after_return: bool,
    /// Some line was read: from now on a byte order mark is text.
    begun: bool,
    event: Event,
    has_data: bool,
}

impl Events {
    /// Takes more bytes, and hands on each event that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let is_second_half = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            match byte {
                _ if is_second_half => {}
                b'\r' | b'\n' => events.extend(self.end_of_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// What was begun when the bytes ended. By the standard it is no event; but servers do leave out the last empty line.
    pub(super) fn finish(mut self) -> Option<Event> {
        let last = if self.line.is_empty() { None } else { self.end_of_line() };
        last.or_else(|| self.dispatch())
    }

    fn end_of_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mut line = &*String::from_utf8_lossy(&line);
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments, ids, and what does not matter here.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(String, String)> {
        let mut events = Events::default();
        let mut found = events.push(bytes);
        found.extend(events.finish());
        found.into_iter().map(|event| (event.name, event.data)).collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let one = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        let cases: [(&str, Vec<(String, String)>); 9] = [
            ("data: a\n\n", vec![one("", "a")]),
            ("data:a\r\n\r\n", vec![one("", "a")]),
            ("data: a\r\rdata: b\r\r", vec![one("", "a"), one("", "b")]),
            ("event: x\ndata: a\ndata: b\n\n", vec![one("x", "a\nb")]),
            ("event: x\r\ndata: a\r\ndata: b\r\n\r\n", vec![one("x", "a\nb")]),
            (": comment\n\ndata: a\nid: 1\nretry: 5\n\n", vec![one("", "a")]),
            ("event: nothing\n\ndata: a\n\n", vec![one("", "a")]),
            ("\u{feff}data: a\n\n", vec![one("", "a")]),
            ("data: a\n\ndata: [DONE]", vec![one("", "a"), one("", "[DONE]")]),
        ];
        for (text, events) in cases {
            assert_eq!(all(text.as_bytes()), events, "{text:?}");
        }
    }
}
