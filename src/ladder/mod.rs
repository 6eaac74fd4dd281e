//! Width ladders: one experiment at many widths, and the power of the width that every discrepancy follows.
//!
//! A unit of work is one network: a width and a member. Units know nothing of each other, so that a ladder can be stopped, run again,
//! and shared among processes and machines; what a unit left is a small file. Once all are there, exponents are fitted and held
//! against those that the parameterization declares ([`WidthRates`](widthwise_theory::WidthRates)), and values at infinite width
//! against theory.

mod figure;
mod folder;
mod judge;
mod limit;
mod linear_path;
mod power_law;
mod quantity;
mod setting;
mod unit;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use widthwise_theory::Parameterization;

pub use folder::{MeanRow, UnitRow};
pub use judge::{FEWEST_MEMBERS, FEWEST_WIDTHS, Fit, LAZY_CHANGE, Statistic, growing};
pub use power_law::{COVERAGE, RESAMPLES};
pub use quantity::LadderQuantity;

use crate::config::{Checked, NetworkConfig, Precision, Stop};
use crate::memory;
use crate::record::atomic;
use crate::record::row::Verdict;
use crate::session::{self, Session, config_hash, parameter_count, rule};
use crate::signals::StopFlag;
use crate::training::beside_others;
use judge::Rules;
use setting::{Setting, Width, architecture_at, expect_small, learning_rate};

/// Steps of a coordinate check.
pub const COORDINATE_STEPS: u64 = 5;

/// Bytes that networks in training at the same time may take.
const MEMORY: usize = 2 << 30;

/// What the command line says about a ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct LadderOptions {
    /// Widths, ascending.
    pub widths: Vec<usize>,
    /// Networks of each width.
    pub members: usize,
    /// Which of how many parts of the work is done here, from 1.
    pub shard: (usize, usize),
    /// Folder of the results.
    pub folder: PathBuf,
    /// Folder of the data sets.
    pub data_dir: Option<PathBuf>,
    /// Whether only pre-activations are measured, in [`COORDINATE_STEPS`] steps.
    pub is_coordinate_check: bool,
    /// The parameterization whose rates are expected, instead of the network's own.
    pub rates_of: Option<Parameterization>,
}

/// What became of a ladder.
#[derive(Debug, Clone, PartialEq)]
pub enum LadderOutcome {
    /// A stop was asked for.
    Interrupted,
    /// This shard is done and others are not: networks there, networks wanted.
    Unfinished {
        /// There.
        done: usize,
        /// Wanted.
        all: usize,
    },
    /// All networks are there.
    Judged(LadderReport),
}

/// Exponents, limits and their verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct LadderReport {
    /// Rows of `fits.csv`.
    pub fits: Vec<Fit>,
    /// Members that diverged, as width and member.
    pub diverged: Vec<(usize, usize)>,
    /// The worst verdict.
    pub verdict: Verdict,
}

/// Hears how a ladder comes along.
pub trait LadderMonitor {
    /// A line worth reading.
    fn note(&self, line: &str);

    /// `done` of the `all` networks of this shard were there before.
    fn started(&self, done: usize, all: usize);

    /// One more is there.
    fn advanced(&self);
}

/// The experiment as a ladder runs it: the width is not its own, and a coordinate check takes few steps.
///
/// # Errors
/// A network whose hidden layers do not all have `network.width`, or a rule of stopping that gives networks different lengths.
pub fn ladder_experiment(experiment: &Checked, is_coordinate_check: bool) -> Result<Checked> {
    let network = &experiment.network;
    let widths = |width: usize| NetworkConfig { width, ..network.clone() }.hidden_widths();
    ensure!(
        !widths(1).is_empty() && [1, 2].iter().all(|&width| widths(width).iter().all(|&found| found == width)),
        "a ladder widens all hidden layers together, but not all of this network's have the width network.width; leave out \
         network.widths and the widths of single layers"
    );
    let stop = &experiment.training.stop;
    ensure!(
        stop.loss.is_none() && stop.wall_time_s.is_none(),
        "training.stop.loss and training.stop.wall_time_s would give networks of a ladder different numbers of steps; give \
         training.stop.steps or training.stop.epochs"
    );
    let mut changed = experiment.clone().into_inner();
    changed.run.output = None;
    if is_coordinate_check {
        changed.training.stop = Stop { steps: Some(COORDINATE_STEPS), ..Stop::default() };
    }
    Ok(Checked::new(changed)?)
}

/// Does this shard's part of a ladder, and judges the whole if all of it is there. `experiment` is a [`ladder_experiment`].
///
/// # Errors
/// Data that cannot be read, a folder of another ladder, a full disk.
pub fn run_ladder(
    experiment: &Checked,
    options: &LadderOptions,
    stop: &StopFlag,
    monitor: &dyn LadderMonitor,
) -> Result<LadderOutcome> {
    let device = session::device(experiment)?;
    let session = Session::new(experiment, options.data_dir.as_deref(), device)?;
    monitor.note(&format!("data: {}", session.dataset_source));
    ensure!(session.last_step > 0, "a ladder compares networks before and after training; give training.stop.steps");
    if !options.is_coordinate_check {
        expect_small(&session)?;
    }
    let widest = options.widths.last().copied().context("a ladder without widths")?;
    session.expect_training(&architecture_at(&session, widest)?)?;
    let hashes = (shared_hash(experiment)?, session.data_hash.clone());
    let manifest = folder::open(&options.folder, &session.config_text, hashes, options.is_coordinate_check, || {
        learning_rate(&session, widest)
    })?;
    monitor.note(&format!("learning rate {:.6e} at every width", manifest.learning_rate));
    let setting = Setting::new(&session, manifest.learning_rate, !options.is_coordinate_check)?;
    setting.remarks.iter().for_each(|remark| monitor.note(remark));
    if !train_units(&setting, options, stop, monitor)? {
        return Ok(LadderOutcome::Interrupted);
    }
    let units: Vec<(usize, usize)> = units(options).collect();
    let is_there = |&&(width, member): &&(usize, usize)| folder::unit_path(&options.folder, width, member).is_file();
    let done = units.iter().filter(is_there).count();
    if done < units.len() {
        return Ok(LadderOutcome::Unfinished { done, all: units.len() });
    }
    Ok(LadderOutcome::Judged(report(&setting, options, &units)?))
}

/// Hash of what a folder's networks share: all of the configuration but the width and the number of members.
fn shared_hash(experiment: &Checked) -> Result<String> {
    let mut shared = experiment.clone().into_inner();
    shared.network.width = 1;
    shared.run.members = 2;
    Ok(config_hash(&shared.resolved_toml()))
}

/// All networks of a ladder as width and member, narrow ones first.
fn units(options: &LadderOptions) -> impl Iterator<Item = (usize, usize)> + '_ {
    options.widths.iter().flat_map(|&width| (0..options.members).map(move |member| (width, member)))
}

/// Trains what is missing of this shard; false if a stop was asked for.
fn train_units(
    setting: &Setting<'_>,
    options: &LadderOptions,
    stop: &StopFlag,
    monitor: &dyn LadderMonitor,
) -> Result<bool> {
    let (index, count) = options.shard;
    let mine: Vec<_> =
        units(options).enumerate().filter(|(unit, _)| unit % count == index - 1).map(|(_, u)| u).collect();
    let is_missing = |&&(width, member): &&(usize, usize)| !folder::unit_path(&options.folder, width, member).is_file();
    let missing: Vec<_> = mine.iter().filter(is_missing).copied().collect();
    monitor.started(mine.len() - missing.len(), mine.len());
    for same_width in missing.chunk_by(|a, b| a.0 == b.0) {
        let width = Width::new(setting, same_width[0].0)?;
        if let Some(remark) = &width.remark {
            monitor.note(remark);
        }
        for group in same_width.chunks(at_once(setting, &width)) {
            let ended: Vec<Result<bool>> = group
                .par_iter()
                .map(|&(_, member)| {
                    let measured = beside_others(group.len(), || unit::measure(setting, &width, member, stop))?;
                    let Some(measured) = measured else { return Ok(false) };
                    folder::write_unit(&options.folder, width.width, member, &measured)?;
                    Ok(true)
                })
                .collect();
            for ended in ended {
                if !ended? {
                    return Ok(false);
                }
                monitor.advanced();
            }
            if stop.is_raised() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Networks of a width to train side by side: one a thread, as far as memory goes.
fn at_once(setting: &Setting<'_>, width: &Width) -> usize {
    let bytes: usize = match setting.session.experiment.run.precision {
        Precision::F32 => 4,
        Precision::F64 => 8,
    };
    // Weights, the initial ones, gradients, two moments and what a step makes besides.
    let network = (8 * bytes).saturating_mul(parameter_count(&width.architecture).max(1));
    let room = memory::free().map_or(usize::MAX, |free| usize::try_from(free.bytes.0).unwrap_or(usize::MAX));
    (MEMORY.min(room) / network).clamp(1, rayon::current_num_threads())
}

/// Reads all units, fits, judges and writes the tables.
fn report(setting: &Setting<'_>, options: &LadderOptions, units: &[(usize, usize)]) -> Result<LadderReport> {
    let mut rows = Vec::new();
    for &(width, member) in units {
        rows.extend(folder::read_unit(&options.folder, width, member)?);
    }
    let is_diverged = |row: &&UnitRow| row.quantity == LadderQuantity::Diverged;
    let diverged: Vec<_> = rows.iter().filter(is_diverged).map(|row| (row.width, row.member)).collect();
    let session = setting.session;
    let Some(&widest) = options.widths.last() else { bail!("a ladder without widths") };
    let mut architecture = architecture_at(session, widest)?;
    architecture.parameterization = options.rates_of.unwrap_or(architecture.parameterization);
    let rates = architecture.width_rates(rule(session.experiment))?;
    let rules = Rules { rates: &rates, seed: session.experiment.run.seed };
    let theory = Width::new(setting, widest)?;
    let values = folder::by_quantity(&rows);
    let fits = judge::judge(&values, &rules, |quantity| theory.limit(setting, quantity))?;
    let report = LadderReport { verdict: judge::overall(&fits, !diverged.is_empty()), fits, diverged };
    write(&options.folder, &rows, &folder::means(&values), &report)?;
    Ok(report)
}

fn write(folder: &Path, rows: &[UnitRow], means: &[MeanRow], report: &LadderReport) -> Result<()> {
    atomic::write(&folder.join("ladder.csv"), &folder::csv_of(rows)?)?;
    atomic::write(&folder.join("means.csv"), &folder::csv_of(means)?)?;
    atomic::write(&folder.join("fits.csv"), &folder::csv_of(&report.fits)?)?;
    if let Some(svg) = figure::draw(means, &report.fits) {
        atomic::write(&folder.join("ladder.svg"), svg.as_bytes())?;
    }
    Ok(())
}
