//! What the user sees of a run: a bar on a terminal, nothing or plain lines elsewhere, JSON on request.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};
use serde::Serialize;
use widthwise::monitor::{Monitor, Silent, Stage};

use crate::terminal::console::{Console, remark};

/// Time between two JSON lines about steps.
pub(super) const JSON_PAUSE: Duration = Duration::from_secs(1);

/// Time between two turns of what turns.
pub(super) const TICK: Duration = Duration::from_millis(120);

/// The monitor that suits the console.
pub(crate) fn monitor(console: &Console) -> Box<dyn Monitor + '_> {
    if console.is_quiet {
        Box::new(Silent)
    } else if console.is_json {
        Box::new(Events { console, state: Mutex::default() })
    } else if console.is_interactive {
        Box::new(Bar::new(ProgressDrawTarget::stderr()))
    } else {
        Box::new(StepLines { with_steps: console.is_verbose, state: Mutex::default() })
    }
}

/// Where a stage is.
#[derive(Debug, Default)]
struct StageProgress {
    what: &'static str,
    all: usize,
    done: usize,
    /// Of a unit, where steps are told.
    steps: Option<u64>,
    /// Steps of the units at work.
    at: BTreeMap<usize, u64>,
    loss: Option<f64>,
    last_event: Option<Instant>,
}

impl StageProgress {
    fn begin(&mut self, stage: &Stage<'_>) {
        *self = Self { what: stage.what, all: stage.all, done: stage.done, steps: stage.steps, ..Self::default() };
    }

    fn advance(&mut self, member: usize) {
        self.done += 1;
        self.at.remove(&member);
    }

    fn step(&mut self, member: usize, step: u64, loss: Option<f64>) {
        self.at.insert(member, step);
        self.loss = loss.or(self.loss);
    }

    /// Steps of all units so far.
    fn steps_done(&self) -> u64 {
        let whole = (self.done as u64).saturating_mul(self.steps.unwrap_or_default());
        self.at.values().fold(whole, |sum, step| sum.saturating_add(*step))
    }

    /// Where a network is, in words.
    fn place(&self, member: usize, step: u64) -> String {
        let loss = self.loss.map_or_else(String::new, |loss| format!(", loss {loss:.4e}"));
        format!("network {} of {}, step {step}{loss}", member + 1, self.all)
    }

    /// Whether it is time for another line of progress.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.last_event.is_none_or(|last| now.duration_since(last) >= JSON_PAUSE);
        if is_due {
            self.last_event = Some(now);
        }
        is_due
    }
}

fn lock(state: &Mutex<StageProgress>) -> MutexGuard<'_, StageProgress> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar, and a line below it that says which network is at what.
struct Bar {
    bar: ProgressBar,
    state: Mutex<StageProgress>,
}

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
        bar.set_style(style("{spinner} {msg}"));
        bar.set_message("reading the data, computing the theory");
        bar.enable_steady_tick(TICK);
        Self { bar, state: Mutex::default() }
    }
}

impl Monitor for Bar {
    fn note(&self, line: &str) {
        self.bar.suspend(|| remark(line));
    }

    fn stage(&self, stage: &Stage<'_>) {
        let mut state = lock(&self.state);
        state.begin(stage);
        self.bar.set_message(stage.name.to_owned());
        match (stage.steps, stage.steps.and_then(|steps| total(stage.all, steps))) {
            (None, _) => {
                self.bar.set_length(stage.all as u64);
                self.bar.set_position(stage.done as u64);
                self.bar.set_style(style(&format!("{{wide_bar}} {{pos}}/{{len}} {}  {{left}}\n{{msg}}", stage.what)));
            }
            (_, Some(all)) => {
                self.bar.set_length(all);
                self.bar.set_position(state.steps_done());
                self.bar.set_style(style("{wide_bar} {pos}/{len} steps  {rate}  {left}\n{msg}"));
            }
            (_, None) => self.bar.set_style(style("{spinner} {rate}  {elapsed}\n{msg}")),
        }
        // What was done before a resume says nothing about the time that is left.
        self.bar.reset_eta();
    }

    fn stepped(&self, member: usize, step: u64, loss: Option<f64>) {
        let mut state = lock(&self.state);
        state.step(member, step, loss);
        self.bar.set_position(state.steps_done());
        self.bar.set_message(state.place(member, step));
    }

    fn probing(&self, member: usize, step: u64) {
        self.bar.set_message(lock(&self.state).place(member, step) + ", probing");
    }

    fn advanced(&self, member: usize) {
        let mut state = lock(&self.state);
        state.advance(member);
        self.bar.set_position(if state.steps.is_some() { state.steps_done() } else { state.done as u64 });
    }

    fn finished(&self) {
        self.bar.set_style(style("{spinner} {msg}"));
        self.bar.set_message("comparing with theory, drawing the report");
    }
}

/// Remarks, and with `with_steps` a line at every snapshot.
struct StepLines {
    with_steps: bool,
    state: Mutex<StageProgress>,
}

impl Monitor for StepLines {
    fn note(&self, line: &str) {
        remark(line);
    }

    fn stage(&self, stage: &Stage<'_>) {
        lock(&self.state).begin(stage);
        if stage.done > 0 {
            remark(format_args!("{}: {} of {} {} are there already", stage.name, stage.done, stage.all, stage.what));
        }
    }

    fn stepped(&self, member: usize, step: u64, loss: Option<f64>) {
        lock(&self.state).step(member, step, loss);
    }

    fn probing(&self, member: usize, step: u64) {
        if self.with_steps {
            remark(lock(&self.state).place(member, step));
        }
    }
}

/// JSON lines: every snapshot, and steps now and then.
struct Events<'a> {
    console: &'a Console,
    state: Mutex<StageProgress>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Note { text: &'a str },
    Started { members: usize, steps: Option<u64>, done: u64 },
    Step { member: usize, step: u64, loss: Option<f64> },
    Probe { member: usize, step: u64 },
    Progress { what: &'a str, done: usize, all: usize },
    Trained { members: usize },
}

impl Events<'_> {
    fn send(&self, event: &Event<'_>) {
        // A listener that cannot be reached must not end hours of training; the results that follow report the failure.
        let _ = self.console.json(event);
    }
}

impl Monitor for Events<'_> {
    fn note(&self, text: &str) {
        self.send(&Event::Note { text });
    }

    fn stage(&self, stage: &Stage<'_>) {
        let mut state = lock(&self.state);
        state.begin(stage);
        if let Some(steps) = stage.steps {
            self.send(&Event::Started { members: stage.all, steps: total(1, steps), done: state.steps_done() });
        }
    }

    fn stepped(&self, member: usize, step: u64, loss: Option<f64>) {
        let mut state = lock(&self.state);
        if state.is_due() {
            self.send(&Event::Step { member, step, loss });
        }
    }

    fn probing(&self, member: usize, step: u64) {
        let _one_line_at_a_time = lock(&self.state);
        self.send(&Event::Probe { member, step });
    }

    fn advanced(&self, member: usize) {
        let mut state = lock(&self.state);
        state.advance(member);
        if state.steps.is_none() && state.is_due() {
            self.send(&Event::Progress { what: state.what, done: state.done, all: state.all });
        }
    }

    fn finished(&self) {
        self.send(&Event::Trained { members: lock(&self.state).all });
    }
}

/// All steps of a run, unless a rule without a last step ends it.
fn total(members: usize, steps: u64) -> Option<u64> {
    (members as u64).checked_mul(steps).filter(|_| steps < u64::from(u32::MAX))
}

pub(super) fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| put(out, &rate(state.per_sec())))
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| put(out, &left(state)))
}

/// Writing into the line of a bar does not fail.
fn put(out: &mut dyn fmt::Write, text: &str) {
    let _ = out.write_str(text);
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 { format!("{per_second:.1} steps/s") } else { "... steps/s".to_owned() }
}

fn left(state: &ProgressState) -> String {
    // Without a rate there is no estimate, and zero would be a false one.
    if state.per_sec() > 0.0 { format!("{:#} left", HumanDuration(state.eta())) } else { String::new() }
}

#[cfg(test)]
mod tests;
