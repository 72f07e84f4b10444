//! What is kept of a stream: its beginning and its end. The rest is counted.

use std::collections::VecDeque;

/// The head and the tail of a stream.
#[derive(Debug)]
pub(super) struct HeadAndTail {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Of each.
    max: usize,
    all: u64,
}

impl HeadAndTail {
    /// Keeps at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        HeadAndTail { head: Vec::new(), tail: VecDeque::new(), max: max / 2, all: 0 }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.all += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(self.max - self.head.len()));
        self.head.extend_from_slice(head);
        // Of a long piece only the end can stay.
        let rest = &rest[rest.len().saturating_sub(self.max)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.max);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    /// Bytes that were not kept.
    pub(super) fn omitted(&self) -> u64 {
        self.all - (self.head.len() + self.tail.len()) as u64
    }

    /// As text; what is no UTF-8 is replaced.
    pub(super) fn text(mut self) -> String {
        let omitted = self.omitted();
        if omitted == 0 {
            self.head.extend(self.tail);
            return String::from_utf8_lossy(&self.head).into_owned();
        }
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(self.tail.make_contiguous()).into_owned();
        format!("{head}\n[cut: {omitted} bytes]\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_and_the_tail_are_kept_and_the_rest_is_counted() {
        for piece in [1, 2, 3, 7, 100] {
            let mut kept = HeadAndTail::new(10);
            let whole: Vec<u8> = (b'a'..=b'z').collect();
            whole.chunks(piece).for_each(|piece| kept.take(piece));
            assert_eq!(kept.text(), "abcde\n[cut: 16 bytes]\nvwxyz", "in pieces of {piece}");

            let mut short = HeadAndTail::new(10);
            whole[..10].chunks(piece).for_each(|piece| short.take(piece));
            assert_eq!((short.omitted(), &*short.text()), (0, "abcdefghij"));
        }
    }
}
