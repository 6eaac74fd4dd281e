//! Standard output for results, standard error for everything else, and how much of either.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cli::Global;

/// Where a command writes.
#[derive(Debug)]
pub(crate) struct Console {
    /// No progress, no remarks.
    pub(crate) is_quiet: bool,
    /// More detail.
    pub(crate) is_verbose: bool,
    /// JSON lines instead of text on standard output.
    pub(crate) is_json: bool,
    /// Whether standard error is a terminal, which can show progress.
    pub(crate) is_interactive: bool,
    paints_results: bool,
    paints_errors: bool,
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Good.
    Green,
    /// Not sure.
    Yellow,
    /// Bad.
    Red,
}

impl Console {
    /// The console of the options given and the terminal found.
    pub(crate) fn new(global: &Global) -> Self {
        // https://no-color.org: set and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let allowed = !refused && !dumb;
        Self {
            is_quiet: global.quiet,
            is_verbose: global.verbose,
            is_json: global.json,
            is_interactive: io::stderr().is_terminal() && !dumb,
            paints_results: allowed && io::stdout().is_terminal(),
            paints_errors: allowed && io::stderr().is_terminal(),
        }
    }

    /// A console whose output nobody sees, wherever the tests run.
    #[cfg(test)]
    pub(crate) fn unseen(global: &Global) -> Self {
        Self { is_interactive: false, paints_results: false, paints_errors: false, ..Self::new(global) }
    }

    /// Writes a line of the result, unless results are JSON.
    ///
    /// # Errors
    /// Standard output refuses, for instance because the disk is full. A closed pipe is no error.
    pub(crate) fn line(&self, text: impl Display) -> Result<()> {
        if self.is_json { Ok(()) } else { self.write(&format!("{text}\n")) }
    }

    /// As [`Console::line`], also not when quiet.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub(crate) fn detail(&self, text: impl Display) -> Result<()> {
        if self.is_quiet { Ok(()) } else { self.line(text) }
    }

    /// Writes an object on a line of its own, if results are JSON.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        if self.is_json { self.write(&format!("{}\n", serde_json::to_string(value)?)) } else { Ok(()) }
    }

    /// Writes text to standard output as it is.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        send(&mut io::stdout().lock(), text).context("cannot write to standard output")
    }

    /// Writes a remark to standard error, unless quiet.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.is_quiet {
            remark(text);
        }
    }

    /// Writes an error with its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        remark(format_args!("{} {}", paint(self.paints_errors, Colour::Red, "error:"), sentence(error)));
    }

    /// Colours a part of a result, if standard output shows colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        paint(self.paints_results, colour, text)
    }
}

/// Writes a line to standard error; nobody is left to tell if that fails.
pub(crate) fn remark(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn paint(is_on: bool, colour: Colour, text: &str) -> String {
    let code = match colour {
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Red => 31,
    };
    if is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The error and its causes in one sentence; a cause that is told already is not told again.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Writes all of `text`; a reader that has had enough, such as `head`, is no error.
fn send(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    /// Fails every write in one way.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_forgiven_and_a_full_disk_is_not() {
        send(&mut Failing(ErrorKind::BrokenPipe), "row\n").unwrap();
        let full = send(&mut Failing(ErrorKind::StorageFull), "row\n").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("no space").context("cannot write a.csv: no space").context("the run stopped");
        assert_eq!(sentence(&error), "the run stopped: cannot write a.csv: no space");
    }

    #[test]
    fn colours_are_off_where_nobody_sees_them() {
        assert_eq!(paint(false, Colour::Red, "error:"), "error:");
        assert_eq!(paint(true, Colour::Red, "error:"), "\x1b[31merror:\x1b[0m");
    }
}
