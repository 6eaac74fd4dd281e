//! How training ends.

use serde::{Deserialize, Serialize};

/// How a run, or one member of it, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not yet.
    Running,
    /// All steps or epochs were taken.
    Finished,
    /// The loss that was asked for was reached.
    LossReached,
    /// The time that was allowed ran out.
    WallTime,
    /// The loss stopped being a number.
    Diverged,
    /// A signal; continue with `--resume`.
    Interrupted,
}
