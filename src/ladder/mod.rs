//! Width ladders: one experiment at many widths, and the power of the width that every discrepancy follows.
//!
//! A unit of work is one network: a width and a member. Units know nothing of each other, so that a ladder can be stopped, run again,
//! and shared among processes and machines; what a unit left is a small file. Once all are there, exponents are fitted and held
//! against those that the parameterization declares ([`WidthRates`](widthwise_theory::architecture::WidthRates)), and values at infinite width
//! against theory.

mod context;
mod figure;
mod fit;
mod folder;
mod judge;
mod quantity;
mod unit;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use widthwise_theory::architecture::Parameterization;

pub use fit::{FEWEST_MEMBERS, FEWEST_WIDTHS, Fit, FitForm, FitStatistic, LAZY_CHANGE};
pub use folder::{MeanRow, UnitRow, is_ladder};
pub use judge::growing;
pub use quantity::LadderQuantity;

use crate::config::{Checked, ClaimsConfig, LearningRate, NetworkConfig, Stop};
use crate::ensemble::{Ended, Job, Shard, Study, Unit, UnitEnd, units};
use crate::error::{OrRefused, Result, bail, ensure};
use crate::memory::Bytes;
use crate::monitor::{Monitor, Stage};
use crate::need;
use crate::record::atomic;
use crate::record::csv_file::bytes_of;
use crate::session::{self, DataSource, Session, config_hash, rule};
use crate::signals::StopFlag;
use crate::verdict::Verdict;
use context::{LadderContext, Width, architecture_at, expect_small};
use judge::Rules;

/// Steps of a coordinate check.
pub const COORDINATE_STEPS: u64 = 5;

/// What the command line says about a ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct LadderOptions {
    /// Widths, ascending.
    pub widths: Vec<usize>,
    /// Networks of each width.
    pub members: usize,
    /// Which part of the networks is trained here.
    pub shard: Shard,
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
    /// Rows of `means.csv`.
    pub means: Vec<MeanRow>,
    /// Members that diverged, as width and member.
    pub diverged: Vec<(usize, usize)>,
    /// The worst verdict.
    pub verdict: Verdict,
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
    ensure!(
        !matches!(experiment.training.learning_rate, LearningRate::CriticalEmpirical(_)),
        "a ladder has one learning rate for all widths, but training.learning_rate.critical_empirical is that of one network; give \
         training.learning_rate.critical or training.learning_rate.absolute"
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
    monitor: &dyn Monitor,
) -> Result<LadderOutcome> {
    let device = session::device(experiment)?;
    let session = Session::new(experiment, DataSource::Named(options.data_dir.as_deref()), device)?;
    monitor.note(&format!("data: {}", session.dataset_source));
    ensure!(session.last_step > 0, "a ladder compares networks before and after training; give training.stop.steps");
    if !options.is_coordinate_check {
        expect_small(&session)?;
    }
    let widest = options.widths.last().copied().or_refused(|| "a ladder without widths")?;
    session.expect_training(&architecture_at(&session, widest)?)?;
    let hashes = (shared_hash(experiment)?, session.data_hash.clone());
    let manifest = folder::open(&options.folder, &session.config_text, hashes, options.is_coordinate_check, || {
        session.learning_rate(&architecture_at(&session, widest)?)
    })?;
    monitor.note(&format!("learning rate {:.6e} at every width", manifest.learning_rate));
    let context = LadderContext::new(&session, manifest.learning_rate, !options.is_coordinate_check)?;
    context.remarks.iter().for_each(|remark| monitor.note(remark));
    let ladder = Ladder { context: &context, options, stop, monitor };
    let job = Job { shard: options.shard, stop, monitor };
    Ok(match job.run(&ladder, Stage::networks("ladder", None))? {
        Ended::Complete => LadderOutcome::Judged(report(&ladder)?),
        Ended::Interrupted => LadderOutcome::Interrupted,
        Ended::Unfinished { done, all } => LadderOutcome::Unfinished { done, all },
    })
}

/// Hash of what a folder's networks share: all of the configuration but the width, the number of members and what verdicts are made by.
fn shared_hash(experiment: &Checked) -> Result<String> {
    let mut shared = experiment.clone().into_inner();
    shared.network.width = 1;
    shared.run.members = 2;
    shared.claims.significance = ClaimsConfig::default().significance;
    Ok(config_hash(&shared.resolved_toml()))
}

/// A ladder as a study: its points are widths.
struct Ladder<'a> {
    context: &'a LadderContext<'a>,
    options: &'a LadderOptions,
    stop: &'a StopFlag,
    monitor: &'a dyn Monitor,
}

impl Ladder<'_> {
    fn path(&self, Unit { point, member }: Unit) -> PathBuf {
        folder::unit_path(&self.options.folder, self.options.widths[point], member)
    }
}

impl Study for Ladder<'_> {
    type Point = Width;

    fn points(&self) -> usize {
        self.options.widths.len()
    }

    fn members(&self) -> usize {
        self.options.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        self.path(unit).is_file()
    }

    fn point(&self, point: usize) -> Result<Width> {
        let width = Width::new(self.context, self.options.widths[point])?;
        if let Some(remark) = &width.remark {
            self.monitor.note(remark);
        }
        Ok(width)
    }

    fn need(&self, point: usize) -> Result<Option<Bytes>> {
        let session = self.context.session;
        let architecture = architecture_at(session, self.options.widths[point])?;
        let (examples, outputs) = (session.prepared.train.n + session.prepared.test.n, session.prepared.outputs);
        let kernels = if self.context.has_kernels { need::theory(examples * outputs, 0).0 } else { 0 };
        let training = session.training_need(&architecture)?.0;
        Ok((session.device == Device::flex()).then_some(Bytes(training.saturating_add(kernels))))
    }

    fn train(&self, width: &Width, unit: Unit) -> Result<UnitEnd> {
        let Some(measured) = unit::measure(self.context, width, unit.member, self.stop)? else {
            return Ok(UnitEnd::Stopped);
        };
        folder::write_unit(&self.options.folder, width.width, unit.member, &measured)?;
        Ok(UnitEnd::Done)
    }
}

/// Reads all units, fits, judges and writes the tables.
fn report(ladder: &Ladder<'_>) -> Result<LadderReport> {
    let Ladder { context, options, .. } = *ladder;
    let mut rows = Vec::new();
    for Unit { point, member } in units(ladder) {
        rows.extend(folder::read_unit(&options.folder, options.widths[point], member)?);
    }
    let is_diverged = |row: &&UnitRow| row.quantity == LadderQuantity::Diverged;
    let diverged: Vec<_> = rows.iter().filter(is_diverged).map(|row| (row.width, row.member)).collect();
    let session = context.session;
    let Some(&widest) = options.widths.last() else { bail!("a ladder without widths") };
    let mut architecture = architecture_at(session, widest)?;
    architecture.parameterization = options.rates_of.unwrap_or(architecture.parameterization);
    let rates = architecture.width_rates(rule(session.experiment))?;
    let experiment = session.experiment;
    let rules = Rules { rates: &rates, seed: experiment.run.seed, significance: experiment.claims.significance };
    let theory = Width::new(context, widest)?;
    let values = folder::by_quantity(&rows);
    let fits = judge::judge(&values, &rules, |quantity| theory.limit(context, quantity))?;
    let verdict = judge::overall(&fits, !diverged.is_empty());
    let report = LadderReport { verdict, fits, diverged, means: folder::means(&values) };
    write(&options.folder, &rows, &report)?;
    Ok(report)
}

fn write(folder: &Path, rows: &[UnitRow], report: &LadderReport) -> Result<()> {
    atomic::write(&folder.join("ladder.csv"), &bytes_of(rows)?)?;
    atomic::write(&folder.join("means.csv"), &bytes_of(&report.means)?)?;
    atomic::write(&folder.join("fits.csv"), &bytes_of(&report.fits)?)?;
    if let Some(svg) = figure::draw(&report.means, &report.fits) {
        atomic::write(&folder.join("ladder.svg"), svg.as_bytes())?;
    }
    Ok(())
}
