//! What a run tells while it goes on. The run knows no terminal; the terminal knows no run.

/// Hears of progress. All steps count from the start of the whole run: `members * steps`.
pub trait Monitor {
    /// A line worth reading: where the data came from, what theory cannot say.
    fn note(&self, _line: &str) {}

    /// The run has `members` networks of up to `steps` steps each, `done` of all steps taken before a resume.
    fn started(&self, _members: usize, _steps: u64, _done: u64) {}

    /// `member` has taken `step` steps; `loss` is the last one that was read.
    fn stepped(&self, _member: usize, _step: u64, _loss: Option<f64>) {}

    /// The probes look at `member` at `step`.
    fn probing(&self, _member: usize, _step: u64) {}

    /// All members are done.
    fn finished(&self) {}
}

/// Hears nothing.
pub struct Silent;

impl Monitor for Silent {}
