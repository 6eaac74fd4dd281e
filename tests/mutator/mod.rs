//! A seeded mutator of files: valid ones damaged in the ways of disks, transfers and hands.
//!
//! Compiled into the tests of every crate that reads files, so it uses nothing but the standard library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What a parser may take at most while it reads a small file, threads and their arenas included.
const MOST_MEMORY: u64 = 2 << 30;
/// And how long.
const LONGEST: Duration = Duration::from_secs(5);

/// Numbers that a parser may not expect, as text.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "-0",
    "1e308",
    "1e999",
    "1e-320",
    "NaN",
    "inf",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "0.5",
    "",
];

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// One to three damages of `valid`.
    pub(crate) fn mutate(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..=self.below(3) {
            self.damage(&mut bytes);
        }
        bytes
    }

    /// A place; one in two among the first, where headers are.
    fn place(&mut self, length: usize) -> usize {
        let near = self.below(2) == 0;
        self.below(if near { length.min(160) } else { length })
    }

    fn block(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.place(length);
        let size = 1 + self.below(40);
        start..(start + size).min(length)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            bytes.push(self.next() as u8);
            return;
        }
        match self.below(10) {
            0 => {
                let at = self.place(length);
                bytes[at] ^= 1 << self.below(8);
            }
            1 => {
                let at = self.place(length);
                bytes[at] = self.next() as u8;
            }
            2 => bytes.truncate(self.below(length)),
            3 => {
                let at = self.place(length);
                let many: Vec<u8> = (0..=self.below(16)).map(|_| self.next() as u8).collect();
                bytes.splice(at..at, many);
            }
            4 => {
                let block = self.block(length);
                let copy = bytes[block].to_vec();
                let at = self.place(length);
                bytes.splice(at..at, copy);
            }
            5 => {
                let (a, b) = (self.block(length), self.block(length));
                for (i, j) in a.zip(b) {
                    bytes.swap(i, j);
                }
            }
            6 => {
                let block = self.block(length);
                bytes.drain(block);
            }
            7 => self.overwrite(bytes),
            _ => self.number(bytes),
        }
    }

    /// An integer or a float of a binary format.
    fn overwrite(&mut self, bytes: &mut [u8]) {
        let value: u64 =
            [0, u64::MAX, i64::MAX as u64, 1 << 40, f64::NAN.to_bits(), f64::INFINITY.to_bits()][self.below(6)];
        let width = [2, 4, 8][self.below(3)];
        let at = self.place(bytes.len());
        let big = self.below(2) == 0;
        let value = if big { value.to_be_bytes() } else { value.to_le_bytes() };
        for (byte, new) in bytes[at..].iter_mut().zip(&value[..width]) {
            *byte = *new;
        }
    }

    /// A number of a text, or of the text in a header.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
        let start = self.place(bytes.len());
        let Some(offset) = bytes[start..].iter().position(u8::is_ascii_digit) else { return };
        let first = start + offset;
        let last = bytes[first..].iter().position(|byte| !is_part(*byte)).map_or(bytes.len(), |size| first + size);
        let new = NUMBERS[self.below(NUMBERS.len())];
        bytes.splice(first..last, new.bytes());
    }
}

/// What became of the cases.
#[derive(Debug)]
pub(crate) struct Survived {
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
}

/// Lets `read` see `cases` damaged copies of the `valid` files: it must return, soon and without a panic or much memory, and an
/// error must be a sentence.
///
/// # Panics
/// Where it does not, with the case, which `seed` makes again.
#[track_caller]
pub(crate) fn survive(
    parser: &str,
    seed: u64,
    cases: usize,
    valid: &[Vec<u8>],
    mut read: impl FnMut(&[u8]) -> Result<(), String>,
) -> Survived {
    for bytes in valid {
        let found = read(bytes);
        assert!(found.is_ok(), "{parser}: the valid file is refused: {found:?}");
    }
    let mut mutator = Mutator::new(seed);
    let mut found = Survived { accepted: 0, refused: 0 };
    for case in 0..cases {
        let bytes = mutator.mutate(&valid[case % valid.len()]);
        let (memory, since) = (peak(), Instant::now());
        let result = catch_unwind(AssertUnwindSafe(|| read(&bytes)));
        let shown = || {
            format!("{parser}, seed {seed}, case {case}: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(400)]))
        };
        match result {
            Ok(Ok(())) => found.accepted += 1,
            Ok(Err(message)) => {
                assert!(
                    message.trim().len() > 8 && !message.contains("panicked"),
                    "{}: no sentence: {message}",
                    shown()
                );
                found.refused += 1;
            }
            Err(_) => panic!("{} made it panic", shown()),
        }
        assert!(since.elapsed() < LONGEST, "{} took {:?}", shown(), since.elapsed());
        let taken = peak().saturating_sub(memory);
        assert!(taken < MOST_MEMORY, "{} took {taken} bytes", shown());
    }
    assert!(found.refused > cases / 10, "{parser}: {found:?}: the cases are too mild");
    eprintln!("{parser}: {cases} cases from seed {seed}, {found:?}");
    found
}

/// The most address space that this process has had, where the system tells.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
