//! Cutting text without cutting a character.

/// The longest begin of `text` that has at most `bytes` bytes.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The longest end of `text` that has at most `bytes` bytes.
pub(super) fn tail(text: &str, bytes: usize) -> &str {
    let mut begin = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    &text[begin..]
}
