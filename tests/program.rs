//! The real program, started by the tests as a user would start it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program in an environment without data sets or colours of the user's: MNIST is the bundled subset.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_widthwise"));
    for variable in ["WIDTHWISE_DATA", "WIDTHWISE_KILL_AT", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.env("XDG_DATA_HOME", "/nonexistent").env("HOME", "/nonexistent").current_dir(std::env::temp_dir());
    command
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` for one that a signal killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Ended {
    /// Asserts that the process refused in one sentence, with exit code 2 and without a panic, and that the sentence has these
    /// words.
    #[track_caller]
    pub(crate) fn refused_with(&self, words: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(!self.err.contains("panicked") && !self.err.contains("RUST_BACKTRACE"), "{self:?}");
        assert!(self.err.contains("error: "), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "no \"{word}\" in {}", self.err);
        }
    }

    /// Asserts that a run has ended well, whether it is decided or not.
    #[track_caller]
    pub(crate) fn ran(self) -> Self {
        assert!(matches!(self.code, Some(0 | 3)), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// Runs `command` to its end.
pub(crate) fn end(command: &mut Command) -> Ended {
    command.output().unwrap().into()
}

/// Runs the program with these arguments.
pub(crate) fn widthwise<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Ended {
    end(program().args(arguments))
}

/// Runs the program with the words of `line` as arguments.
pub(crate) fn type_in(line: &str) -> Ended {
    widthwise(line.split_whitespace())
}

/// Every file below `folder` by its relative path.
pub(crate) fn all_files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Whether a file is a lock, which tells nothing of what was done.
fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".lock"))
}

/// The files of a run that two equal runs share: all but wall-clock times and locks.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = all_files(folder);
    files.retain(|path, _| path.file_name() != Some("times.csv".as_ref()) && !is_lock(path));
    files
}

/// Asserts that two folders hold the same files with the same bytes.
#[track_caller]
pub(crate) fn assert_equal_files(
    found: &BTreeMap<PathBuf, Vec<u8>>,
    expected: &BTreeMap<PathBuf, Vec<u8>>,
    what: &str,
) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}: other files");
    for (path, bytes) in expected {
        if &found[path] != bytes {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (found, expected) = (text(&found[path]), text(bytes));
            let mut lines = found.lines().zip(expected.lines()).enumerate();
            let first = lines.find(|(_, (found, expected))| found != expected);
            panic!("{what}: {} differs, first at {first:?}", path.display());
        }
    }
}
