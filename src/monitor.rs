//! What work tells while it goes on. The library knows no terminal; the terminal knows no study.

/// A part of the work in which units of one kind are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage<'a> {
    /// What it is, in a few words.
    pub name: &'a str,
    /// What is counted, in the plural: `networks`.
    pub what: &'static str,
    /// Units to be there in the end.
    pub all: usize,
    /// Units that are there already.
    pub done: usize,
    /// Steps of a unit at most, where they are told one by one.
    pub steps: Option<u64>,
}

impl<'a> Stage<'a> {
    /// Networks are trained, of up to `steps` steps each if these are told.
    pub fn networks(name: &'a str, steps: Option<u64>) -> Self {
        Self { name, what: "networks", all: 0, done: 0, steps }
    }
}

/// Hears of progress, from several threads at a time.
pub trait Monitor: Sync {
    /// A line worth reading: where the data came from, what theory cannot say.
    fn note(&self, _line: &str) {}

    /// A stage begins.
    fn stage(&self, _stage: &Stage<'_>) {}

    /// `member` has taken `step` steps; `loss` is the last one that was read.
    fn stepped(&self, _member: usize, _step: u64, _loss: Option<f64>) {}

    /// The probes measure `member` at `step`.
    fn probing(&self, _member: usize, _step: u64) {}

    /// One more unit is done.
    fn advanced(&self, _member: usize) {}

    /// All units are done.
    fn finished(&self) {}
}

/// Hears nothing.
pub struct Silent;

impl Monitor for Silent {}
