//! Records as text and back: for each a line of what can be read in it, its key, and its value.
//!
//! Bytes are hexadecimal; `6c*5000` is one byte five thousand times.

use std::fmt::Write;

/// Keys and values, sorted by key.
pub(crate) type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Equal bytes in a row that are written as one.
const RUN: usize = 8;

pub(crate) fn write(records: &[(Vec<u8>, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (key, value) in records {
        writeln!(text, "# {} = {}", letters(key), letters(value)).unwrap();
        writeln!(text, "{}\n  {}", bytes(key), bytes(value)).unwrap();
    }
    text
}

pub(crate) fn read(text: &str) -> Records {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let records = lines.chunks(2).map(|record| match record {
        [key, value] => (parse(key), parse(value)),
        _ => panic!("a key without a value"),
    });
    records.collect()
}

fn letters(bytes: &[u8]) -> String {
    let letters = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
    let text: String = bytes.iter().take(100).map(letters).collect();
    if bytes.len() > 100 { text + "…" } else { text }
}

fn bytes(bytes: &[u8]) -> String {
    let mut words = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        match run.len() {
            RUN.. => write!(words, " {:02x}*{} ", run[0], run.len()).unwrap(),
            _ => run.iter().for_each(|byte| write!(words, "{byte:02x}").unwrap()),
        }
    }
    words.trim().to_owned()
}

fn parse(line: &str) -> Vec<u8> {
    let byte = |text: &str| u8::from_str_radix(text, 16).unwrap();
    let mut bytes = Vec::new();
    for word in line.split_whitespace() {
        match word.split_once('*') {
            Some((text, times)) => bytes.extend(std::iter::repeat_n(byte(text), times.parse().unwrap())),
            None => bytes.extend((0..word.len()).step_by(2).map(|at| byte(&word[at..at + 2]))),
        }
    }
    bytes
}
