//! What the user sees of a job of equal parts, such as the tiles of a kernel.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish};
use serde::Serialize;
use widthwise::monitor::{Monitor, Stage};

use super::progress::{JSON_PAUSE, TICK, style};
use crate::terminal::console::Console;

/// Shows a job of equal parts: what it tells as remarks, and how far it has come as a bar with an estimate on a terminal, as JSON on request.
pub(crate) struct JobMonitor<'a> {
    console: &'a Console,
    parts: Mutex<Option<Parts>>,
}

/// Parts of a stage at work.
struct Parts {
    bar: Option<ProgressBar>,
    what: &'static str,
    done: usize,
    all: usize,
    last: Option<Instant>,
}

#[derive(Serialize)]
struct PartEvent<'a> {
    event: &'static str,
    what: &'a str,
    done: usize,
    all: usize,
}

impl<'a> JobMonitor<'a> {
    /// Nothing is at work yet.
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, parts: Mutex::default() }
    }

    fn parts(&self) -> MutexGuard<'_, Option<Parts>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for JobMonitor<'_> {
    fn note(&self, line: &str) {
        self.console.note(line);
    }

    fn stage(&self, &Stage { what, done, all, .. }: &Stage<'_>) {
        let is_shown = self.console.is_interactive && !self.console.is_quiet && !self.console.is_json;
        let bar = is_shown.then(|| {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(Some(all as u64), target).with_finish(ProgressFinish::AndClear);
            bar.set_style(style("{wide_bar} {pos}/{len} {msg}  {left}"));
            bar.set_message(what);
            bar.set_position(done as u64);
            bar.reset_eta();
            bar.enable_steady_tick(TICK);
            bar
        });
        *self.parts() = Some(Parts { bar, what, done, all, last: None });
    }

    fn advanced(&self, _member: usize) {
        let mut parts = self.parts();
        let Some(Parts { bar, what, done, all, last }) = parts.as_mut() else { return };
        *done += 1;
        if let Some(bar) = bar {
            bar.inc(1);
        }
        let now = Instant::now();
        if self.console.is_json && last.is_none_or(|last| now.duration_since(last) >= JSON_PAUSE) {
            *last = Some(now);
            // As for a run: a listener that is gone does not end the work.
            let _ = self.console.json(&PartEvent { event: "progress", what, done: *done, all: *all });
        }
    }

    fn finished(&self) {
        *self.parts() = None;
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
