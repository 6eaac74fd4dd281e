//! What can be wrong with a configuration, one sentence a problem.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A configuration that was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(
        "the configuration {} cannot be read: {source}; name an existing file, or write one with `widthwise config init`",
        path.display()
    )]
    Read {
        /// File asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is not the text of a configuration.
    #[error("the configuration {} is {found}; save it as UTF-8 text", path.display())]
    Encoding {
        /// File asked for.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// The text is not TOML.
    #[error("{origin}, line {line}: not valid TOML: {}", one_line(message))]
    Syntax {
        /// File name, or what stands for one.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// An override that is not `key=value`.
    #[error(
        "--set {}: {}; write --set KEY=VALUE, for instance --set network.width=2048",
        one_line(text),
        one_line(reason)
    )]
    Override {
        /// The override as given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys or values that are not allowed; never empty.
    #[error("{}", list(.0))]
    Invalid(Vec<ConfigProblem>),
}

/// The text with what would break a line, or be taken for a command of the terminal, as it is escaped in TOML and Rust.
fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
        line
    })
}

fn list(problems: &[ConfigProblem]) -> String {
    match problems {
        [problem] => problem.to_string(),
        _ => {
            let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
            format!("{} problems in the configuration:{lines}", problems.len())
        }
    }
}

/// One key that is unknown, absent or has a value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Dotted key, for instance `network.width`.
    pub key: String,
    /// The value as TOML; `None` where the key has none.
    pub found: Option<String>,
    /// Where the value was written.
    pub place: ValueOrigin,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// Nothing wrote it.
    Default,
    /// A line of the configuration.
    Line {
        /// File name, or what stands for one.
        origin: String,
        /// Line, from 1.
        line: usize,
    },
    /// A `--set` on the command line.
    Override,
    /// A program that put the experiment together.
    Program,
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No such key.
    Unknown {
        /// The most similar key, if any is similar.
        nearest: Option<String>,
        /// The table that the key stands in; empty for the whole configuration.
        table: String,
        /// All keys of that table.
        known: Vec<&'static str>,
    },
    /// A value outside of what is allowed.
    NotAllowed {
        /// What is allowed, to follow "must be".
        allowed: String,
    },
    /// A value that another key forbids.
    Conflict {
        /// Why, and what to do.
        reason: String,
    },
}

impl ConfigProblem {
    pub(super) fn not_allowed(key: &str, found: Option<String>, allowed: impl Into<String>) -> Self {
        let fault = Fault::NotAllowed { allowed: allowed.into() };
        Self { key: key.to_owned(), found, place: ValueOrigin::Default, fault }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, found, place, fault } = self;
        let key = one_line(key);
        match (found, place) {
            (Some(found), _) => write!(f, "{key} = {found} ({place})")?,
            (None, ValueOrigin::Default | ValueOrigin::Program) => write!(f, "{key} is not set")?,
            (None, _) => write!(f, "{key} ({place}) is not set")?,
        }
        match fault {
            Fault::Unknown { nearest, table, known } => {
                f.write_str(" is not a known key; ")?;
                if let Some(nearest) = nearest {
                    write!(f, "did you mean {nearest}? ")?;
                }
                match one_line(table).as_str() {
                    "" => write!(f, "the tables are {}", known.join(", ")),
                    table if known.is_empty() => write!(f, "{table} has no keys"),
                    table => write!(f, "the keys of {table} are {}", known.join(", ")),
                }
            }
            Fault::NotAllowed { allowed } => write!(f, ", but it must be {allowed}"),
            Fault::Conflict { reason } => write!(f, ", but {reason}"),
        }?;
        // Layers are counted from 1 everywhere else.
        if key.contains('[') { f.write_str(" (in a key, [0] is the first of a list)") } else { Ok(()) }
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::Line { origin, line } => write!(f, "{origin}, line {line}"),
            Self::Override => f.write_str("--set"),
            Self::Program => f.write_str("as given"),
        }
    }
}
