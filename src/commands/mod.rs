//! One file a command; each takes its arguments and says how it ended.

pub(crate) mod bench;
pub(crate) mod bundle;
pub(crate) mod check;
pub(crate) mod claims;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod data;
mod download;
pub(crate) mod explain;
pub(crate) mod kernel;
pub(crate) mod ladder;
pub(crate) mod monte_carlo;
pub(crate) mod ntk;
pub(crate) mod overrides;
pub(crate) mod plan;
mod power;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod run;
pub(crate) mod table;
pub(crate) mod trial;
pub(crate) mod weights;

use std::process::ExitCode;

use widthwise::signals::STOPPED;
use widthwise::verdict::Verdict;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or theory and experiment agree.
    Done,
    /// They disagree, or a network diverged.
    Disagrees,
    /// An error, which has been printed or is about to be.
    Failed,
    /// Done, but a data set is still incomplete.
    Incomplete,
    /// Not enough evidence.
    Undecided,
    /// Stopped by a signal.
    Interrupted,
}

impl Exit {
    /// The number.
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Disagrees | Self::Incomplete => 1,
            Self::Failed => 2,
            Self::Undecided => 3,
            Self::Interrupted => STOPPED,
        }
    }

    /// The answer of `check`, and of `run`, `ladder` and `reproduce`.
    fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Agrees => Self::Done,
            Verdict::Disagrees => Self::Disagrees,
            Verdict::Undecided | Verdict::NoPrediction => Self::Undecided,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_documented() {
        let verdicts = [Verdict::Agrees, Verdict::Disagrees, Verdict::Undecided, Verdict::NoPrediction];
        assert_eq!(verdicts.map(|verdict| Exit::of_verdict(verdict).code()), [0, 1, 3, 3]);
        assert_eq!([Exit::Incomplete, Exit::Failed, Exit::Interrupted].map(Exit::code), [1, 2, 130]);
    }
}
