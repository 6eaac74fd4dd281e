//! Standard output for results, standard error for everything else, and how much of either.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::terminal::Global;

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

    /// A console whose output nothing sees, wherever the tests run.
    #[cfg(test)]
    pub(crate) fn unseen(global: &Global) -> Self {
        Self { is_interactive: false, paints_results: false, paints_errors: false, ..Self::new(global) }
    }

    /// Writes a line of the result, unless results are JSON.
    ///
    /// # Errors
    /// Standard output refuses, for instance because the disk is full. A closed pipe is no error.
    pub(crate) fn line(&self, text: impl Display) -> Result<()> {
        if self.is_json {
            Ok(())
        } else {
            self.write(&format!("{}\n", visible(&text.to_string(), self.paints_results)))
        }
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
        if self.is_json { self.write(&format!("{}\n", visible_json(&serde_json::to_string(value)?))) } else { Ok(()) }
    }

    /// Writes text to standard output as it is: none that files or arguments had a part in.
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
        let (title, text) = (paint(self.paints_errors, Colour::Red, "error:"), sentence(error));
        let _ = writeln!(io::stderr(), "{title} {}", visible(&text, false));
    }

    /// Says why the process ends, below whatever stands on the terminal.
    pub(crate) fn farewell(&self) -> impl Fn(&str) + Send + use<> {
        let (is_quiet, start) = (self.is_quiet, if self.is_interactive { "\n" } else { "" });
        move |text| {
            if !is_quiet {
                remark(format_args!("{start}{text}"));
            }
        }
    }

    /// Colours a part of a result, if standard output shows colours.
    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
        paint(self.paints_results, colour, text)
    }
}

/// Writes a line to standard error; nothing is left to tell if that fails.
pub(crate) fn remark(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", visible(&text.to_string(), false));
}

/// Whether a character of a file, a name or an argument could make a terminal do something, or show text in another order.
fn is_command(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with all that a terminal would take for a command written out, as `\u{1b}`; with `keeps_colours`, all but colours of our
/// own.
fn visible(text: &str, keeps_colours: bool) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_command) {
        let (plain, tail) = rest.split_at(at);
        shown.push_str(plain);
        let colour = COLOURS.into_iter().find(|colour| keeps_colours && tail.starts_with(colour));
        let mut after = tail.chars();
        match (colour, after.next()) {
            (Some(colour), _) => {
                shown.push_str(colour);
                rest = &tail[colour.len()..];
                continue;
            }
            // The end of a line as some systems write it.
            (None, Some('\r')) if after.as_str().starts_with('\n') => {}
            (None, first) => shown.extend(first.into_iter().flat_map(char::escape_unicode)),
        }
        rest = after.as_str();
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The same for JSON, in which such characters stand within strings only.
fn visible_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_command(c) { shown.push_str(&format!("\\u{:04x}", u32::from(c))) } else { shown.push(c) }
    }
    shown
}

const RESET: &str = "\x1b[0m";
const COLOURS: [&str; 4] = [RESET, Colour::Green.code(), Colour::Yellow.code(), Colour::Red.code()];

impl Colour {
    const fn code(self) -> &'static str {
        match self {
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

fn paint(is_on: bool, colour: Colour, text: &str) -> String {
    if is_on { format!("{}{text}{RESET}", colour.code()) } else { text.to_owned() }
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
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(visible("plain, \u{e9}\ttab\nline", false), "plain, \u{e9}\ttab\nline");
        assert_eq!(visible("a\x1b[2Jb\x07\u{9b}31m\x7f", false), r"a\u{1b}[2Jb\u{7}\u{9b}31m\u{7f}");
        assert_eq!(visible("over\rwritten\r\nnext\r", false), "over\\u{d}written\nnext\\u{d}");
        assert_eq!(visible("\u{202e}gpj.exe\u{2069}", false), r"\u{202e}gpj.exe\u{2069}");
        let green = paint(true, Colour::Green, "agrees");
        assert_eq!(visible(&green, true), green);
        assert_eq!(visible(&green, false), r"\u{1b}[32magrees\u{1b}[0m");
        assert_eq!(visible("\x1b[35mpink\x1b[0", true), r"\u{1b}[35mpink\u{1b}[0");
        let json = serde_json::to_string("\x1b]0;\u{9d}x\u{85}").unwrap();
        let shown = visible_json(&json);
        assert!(!shown.contains(is_command), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), "\x1b]0;\u{9d}x\u{85}");
    }

    #[test]
    fn colours_are_off_where_nobody_sees_them() {
        assert_eq!(paint(false, Colour::Red, "error:"), "error:");
        assert_eq!(paint(true, Colour::Red, "error:"), "\x1b[31merror:\x1b[0m");
    }
}
