//! The journal of a tiled job: what is computed, and which tiles are done with which checksums.
//!
//! ```text
//! widthwise tiles 1
//! architecture 6b86b273ff34fce1
//! storage f64
//! tile 512
//! begin
//! done 0 9f86d081884c7d65 60303ae22b998861
//! ```
//!
//! A last line without its end is what a kill left of a write, and is not there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use widthwise_datasets::part::open_own;

use super::super::kill_point::kill_point_after;

const TITLE: &str = "widthwise tiles 1";

/// What a job computes, as named values; two jobs are the same if all of them are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fingerprint(Vec<(&'static str, String)>);

impl Fingerprint {
    /// Adds a value that is shown as it is; it must be one line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, value.replace(['\n', '\r'], " ")));
        self
    }

    /// Adds what stands behind these bytes.
    #[must_use]
    pub fn with_hash<'a>(self, name: &'static str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.with(name, &checksum(parts))
    }

    /// Adds numbers, by their bits.
    #[must_use]
    pub fn with_numbers(self, name: &'static str, numbers: &[f64]) -> Self {
        self.with_parts(name, [numbers])
    }

    /// Adds numbers that come in parts, so that not all need be there at once.
    #[must_use]
    pub fn with_parts<P: AsRef<[f64]>>(self, name: &'static str, parts: impl IntoIterator<Item = P>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: P| part.as_ref().iter().for_each(|number| hash.update(number.to_le_bytes()));
        parts.into_iter().for_each(&mut add);
        self.with(name, &short(hash))
    }
}

/// 128 bits of SHA-256 in hexadecimal.
pub(super) fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| hash.update(part));
    short(hash)
}

fn short(hash: Sha256) -> String {
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checksums of finished tiles by their numbers, one for each matrix.
pub(super) type Finished = BTreeMap<usize, Vec<String>>;

/// An open journal, which no other process can open.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

/// What was found in a journal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JournalContents {
    /// Names and values of the fingerprint.
    pub(super) values: Vec<(String, String)>,
    /// Rows of a tile.
    pub(super) tile: usize,
    /// Tiles done.
    pub(super) finished: Finished,
}

impl JournalContents {
    /// Names of values that differ from those of `fingerprint`.
    pub(super) fn differences(&self, fingerprint: &Fingerprint) -> Vec<String> {
        let ours = |name: &str| fingerprint.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let theirs = |name: &str| self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let names = fingerprint.0.iter().map(|(name, _)| *name);
        let unknown = self.values.iter().map(|(name, _)| name.as_str()).filter(|name| ours(name).is_none());
        names.chain(unknown).filter(|name| ours(name) != theirs(name)).map(str::to_owned).collect()
    }
}

impl Journal {
    /// Opens or makes a journal and locks it; `None` stands for a job that had not begun.
    ///
    /// # Errors
    /// Another process holds it, it cannot be read, or it is no journal.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<JournalContents>)> {
        let file = open_own(OpenOptions::new().read(true).write(true).create(true).truncate(false), path);
        let mut file = file.map_err(|error| at(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("another process is writing {}; wait for it or give another --out", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::Error(error)) => return Err(at(path, &error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| at(path, &error))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines = String::from_utf8_lossy(&text[..whole]).into_owned();
        let found = read(&lines).ok_or_else(|| {
            let message = format!(
                "{} is no journal of an unfinished kernel, or damaged; remove it or give another --out",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        let mut journal = Self { file, path: path.to_owned() };
        if found.is_some() {
            journal.cut(whole as u64)?;
        }
        Ok((journal, found))
    }

    /// Begins a new job, forgetting the old one.
    ///
    /// # Errors
    /// A failure to write.
    pub(super) fn begin(&mut self, fingerprint: &Fingerprint, tile: usize) -> io::Result<()> {
        self.cut(0)?;
        let mut text = format!("{TITLE}\n");
        for (name, value) in &fingerprint.0 {
            text.push_str(&format!("{name} {value}\n"));
        }
        text.push_str(&format!("tile {tile}\nbegin\n"));
        self.write(&text)
    }

    /// Notes a tile as done.
    ///
    /// # Errors
    /// A failure to write.
    pub(super) fn record(&mut self, tile: usize, checksums: &[String]) -> io::Result<()> {
        let line = format!("done {tile} {}\n", checksums.join(" "));
        kill_point_after("journal.in_line", || {
            let _ = self.file.write_all(&line.as_bytes()[..line.len() / 2]);
        });
        self.write(&line)
    }

    /// Removes the journal: the job is done.
    ///
    /// # Errors
    /// A failure to remove the file.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| at(&self.path, &error))
    }

    /// Where the journal is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let result = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        result.map(drop).map_err(|error| at(&self.path, &error))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|error| at(&self.path, &error))
    }
}

/// A journal as read; the inner `None` is one without its beginning, the outer one is no journal.
fn read(text: &str) -> Option<Option<JournalContents>> {
    let mut lines = text.lines();
    match lines.next() {
        None => return Some(None),
        Some(TITLE) => {}
        Some(_) => return None,
    }
    let mut found = JournalContents { values: Vec::new(), tile: 0, finished: Finished::new() };
    loop {
        match lines.next() {
            // Killed within the beginning, before any tile.
            None => return Some(None),
            Some("begin") => break,
            Some(line) => {
                let (name, value) = line.split_once(' ')?;
                match name {
                    "tile" => found.tile = value.parse().ok()?,
                    _ => found.values.push((name.to_owned(), value.to_owned())),
                }
            }
        }
    }
    for line in lines {
        let mut words = line.split(' ');
        let (Some("done"), Some(tile)) = (words.next(), words.next()) else { return None };
        found.finished.insert(tile.parse().ok()?, words.map(str::to_owned).collect());
    }
    (found.tile > 0).then_some(Some(found))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write the journal {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_remembers_up_to_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.journal");
        let job = Fingerprint::default().with("storage", "f64").with_numbers("inputs", &[1.0, 2.0]);
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, None);
        journal.begin(&job, 64).unwrap();
        journal.record(0, &["aa".to_owned(), "bb".to_owned()]).unwrap();
        journal.write("done 1 cc").unwrap();
        let held = Journal::open(&path).unwrap_err().to_string();
        assert!(held.contains("another process is writing"), "{held}");
        drop(journal);
        let (mut journal, found) = Journal::open(&path).unwrap();
        let found = found.unwrap();
        assert_eq!(found.finished, Finished::from([(0, vec!["aa".to_owned(), "bb".to_owned()])]));
        assert_eq!((found.tile, found.differences(&job)), (64, Vec::new()));
        let other = Fingerprint::default().with("storage", "f32").with_numbers("inputs", &[1.0, 2.0]);
        assert_eq!(found.differences(&other), ["storage"]);
        assert_eq!(found.differences(&Fingerprint::default()), ["storage", "inputs"]);
        // The torn line is gone.
        journal.record(1, &["dd".to_owned()]).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("bb\ndone 1 dd\n"));
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn only_journals_are_taken_for_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.journal");
        for (text, is_new) in [("", true), ("widthwise ti", true), ("widthwise tiles 1\nstorage f64\n", true)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.is_none(), is_new, "{text}");
        }
        for text in ["my notes\n", "widthwise tiles 1\ntile 3\nbegin\nnotes\n", "widthwise tiles 1\nbegin\n"] {
            std::fs::write(&path, text).unwrap();
            let message = Journal::open(&path).unwrap_err().to_string();
            assert!(message.contains("is no journal"), "{message}");
        }
    }
}
