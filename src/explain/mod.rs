//! Why a finite network and its infinite-width limit differ: the gap as a chain of trajectories, each one change away from the next.
//!
//! ```text
//! infinite_mean_flow   infinite-width kernel, gradient flow, mean over initializations
//!   seed                 | this member's own initial outputs
//! infinite_flow
//!   time_discretization  | steps of gradient descent instead of flow
//! infinite_descent
//!   initial_kernel       | the member's own tangent kernel at initialization
//! linearized_descent
//!   optimizer            | the run's own optimizer, batches and penalty instead of gradient descent on all examples
//! linearized
//!   linearization        | the network instead of its first-order Taylor model, in f64
//! network_f64
//!   arithmetic           | the run's own precision and device
//! network
//! ```
//!
//! Every part is the difference of the two trajectories next to it and none is computed as a remainder, so that their sum is the gap
//! `network - infinite_mean_flow` by construction and each can be examined on its own. Trajectories are compared after the same
//! flow time, learning rate times steps (divided by `1 - beta` with momentum); Adam has no flow time, and is compared with the
//! gradient descent that has the same training loss.

mod budget;
mod forecast;
mod infinite;
mod paths;
mod points;
mod record;
mod reference;
mod tangent;
mod taylor;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device};

use crate::config::{Loss, Precision};
use crate::ensemble::{Ended, Job, Study, Unit, UnitEnd};
use crate::error::{Result, ensure};
use crate::memory::Bytes;
use crate::monitor::Stage;
use crate::need;
use crate::network::TaylorOrder;
use crate::record::budget::{ForecastRow, Trajectory};
use crate::record::lock::Lock;
use crate::session::Session;
use crate::signals::StopFlag;

use infinite::Infinite;
use paths::Common;
pub use points::Outputs;
use points::Points;
pub use record::FOLDER;
pub(crate) use record::{PointRow, is_own, read_points};
use reference::Reference;
use tangent::Tangent;

/// Largest number of training examples times outputs: kernels of this side are decomposed.
pub const MAX_SIDE: usize = 4096;

/// All trajectories of one member, by step.
#[derive(Debug, Clone, Default)]
pub struct Trajectories {
    /// Outputs at each step; a trajectory that diverged ends early.
    pub by_step: BTreeMap<u64, BTreeMap<Trajectory, Outputs>>,
    /// Forecasts from the kernel of each snapshot.
    pub forecasts: Vec<ForecastRow>,
}

/// Why the gap of a run cannot be split, if it cannot.
///
/// # Errors
/// The reason.
pub(crate) fn expect_explainable(session: &Session<'_>) -> Result<()> {
    let experiment = session.experiment;
    if experiment.explain.members == 0 {
        return Ok(());
    }
    let side = session.prepared.train.n * session.prepared.outputs;
    ensure!(
        experiment.training.loss != Loss::CrossEntropy,
        "explain.members: training.loss = \"cross_entropy\" has no infinite-width mean in closed form; use half_sum or half_mean, or set explain.members = 0"
    );
    ensure!(
        session.architecture.without_dropout() == session.architecture,
        "explain.members: dropout draws new masks every step, which no Taylor model follows; leave it out, or set explain.members = 0"
    );
    ensure!(
        side <= MAX_SIDE,
        "explain.members: kernels of {} examples x {} outputs = {side} rows are decomposed, at most {MAX_SIDE} are allowed; lower dataset.preprocessing.train, or set explain.members = 0",
        session.prepared.train.n,
        session.prepared.outputs
    );
    Ok(())
}

/// Explains the first `explain.members` members of a run and writes what was found into its folder; members that were explained
/// before are not explained again.
///
/// # Errors
/// A run that cannot be explained, or a failure to write.
pub(crate) fn explain_members(
    session: &Session<'_>,
    folder: &Path,
    learning_rate: f64,
    job: &Job<'_>,
) -> Result<Ended> {
    let settings = &session.experiment.explain;
    if settings.members == 0 {
        return Ok(Ended::Complete);
    }
    {
        let _turn = Lock::turn(folder)?;
        record::begin(folder, settings)?;
    }
    let explained = Explained {
        session,
        folder,
        learning_rate,
        members: settings.members.min(session.experiment.run.members),
        points: Points::new(session, &Device::flex(), DType::F64),
        stop: job.stop,
    };
    let ended = job.run(&explained, Stage::networks("explaining", None))?;
    if ended == Ended::Complete {
        let _turn = Lock::turn(folder)?;
        let members = || 0..explained.members;
        let all = members().map(|member| record::read_member(folder, member)).collect::<Result<Vec<_>>>()?;
        record::write_budget(folder, &budget::rows(&all))?;
        let forecasts = members().map(|member| record::read_member_forecasts(folder, member));
        record::write_forecasts(folder, &forecasts.collect::<Result<Vec<_>>>()?.concat())?;
    }
    Ok(ended)
}

/// An explanation as a study: one point, the experiment, and its first members.
struct Explained<'a> {
    session: &'a Session<'a>,
    /// Of the run.
    folder: &'a Path,
    learning_rate: f64,
    members: usize,
    points: Points,
    stop: &'a StopFlag,
}

impl Study for Explained<'_> {
    type Point = Option<Infinite>;

    fn members(&self) -> usize {
        self.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        record::has_member(self.folder, unit.member)
    }

    fn point(&self, _: usize) -> Result<Option<Infinite>> {
        Infinite::new(self.session, &self.points)
    }

    fn need(&self, _: usize) -> Result<Option<Bytes>> {
        // The twin in f64, its start and its gradient, and its tangent kernel, decomposed.
        let weights = 3 * need::network(&self.session.architecture, size_of::<f64>())?.0;
        need::expect_network(&self.session.architecture, Bytes(weights), "explaining a network")?;
        let rows = self.points.targets.nrows() * self.points.targets.ncols();
        let bytes = Bytes(weights.saturating_add(need::theory(rows, 0).0));
        Ok((*self.session.placement().0 == Device::flex()).then_some(bytes))
    }

    fn train(&self, infinite: &Option<Infinite>, Unit { member, .. }: Unit) -> Result<UnitEnd> {
        let Self { session, points, learning_rate, .. } = self;
        match trajectories(session, points, infinite.as_ref(), member, *learning_rate, self.stop)? {
            Some(found) => {
                record::write_member(self.folder, member, &found, points)?;
                Ok(UnitEnd::Done)
            }
            None => Ok(UnitEnd::Stopped),
        }
    }
}

/// Trains the member, its twin in f64 and its Taylor models side by side, on the very same batches. `None` when stopped.
fn trajectories(
    session: &Session<'_>,
    points: &Points,
    infinite: Option<&Infinite>,
    member: usize,
    learning_rate: f64,
    stop: &StopFlag,
) -> Result<Option<Trajectories>> {
    let experiment = session.experiment;
    let settings = &experiment.explain;
    let common = Common::new(session, member, learning_rate)?;
    let mut found = Trajectories::default();
    let mut note = |name: Trajectory, path: BTreeMap<u64, Outputs>| {
        for (step, outputs) in path.into_iter().filter(|(_, outputs)| outputs.is_finite()) {
            found.by_step.entry(step).or_default().insert(name, outputs);
        }
    };

    let double = session.network_on(member, &Device::flex(), DType::F64)?;
    let tangent = Tangent::new(&double, points);
    let start = common.trainee(double);
    let linearized = taylor::path(&start, TaylorOrder::First, &common, points, Some(&tangent), stop)?;
    let Some(linearized) = linearized else { return Ok(None) };
    let descent = Reference::new(&tangent, &common, points)?;
    let clock = descent.clock(&linearized, points)?;
    if settings.quadratic {
        let Some(path) = taylor::path(&start, TaylorOrder::Second, &common, points, None, stop)? else {
            return Ok(None);
        };
        note(Trajectory::Quadratic, path);
    }

    // The f64 twin, and from each of its snapshots a forecast.
    let mut snapshots = Vec::new();
    let exact = common.path(start, points, stop, |twin| {
        let step = twin.step;
        let is_last = step == session.last_step;
        if settings.forecast && !is_last {
            // The first forecast is the linearized network itself.
            let path = match step {
                0 => Some(linearized.clone()),
                _ => {
                    let tangent = taylor::follows_outputs(&common).then(|| Tangent::new(&twin.model, points));
                    taylor::path(twin, TaylorOrder::First, &common, points, tangent.as_ref(), stop)?
                }
            };
            snapshots.extend(path.map(|path| (step, path)));
        }
        Ok(())
    })?;
    let Some(exact) = exact else { return Ok(None) };
    let forecasts = forecast::rows(member, &snapshots, &exact, points, settings.forecast_tolerance);
    let run = match experiment.run.precision {
        Precision::F64 if common.is_on_flex() => Some(exact.clone()),
        _ => {
            let own = Points::new(session, session.placement().0, session.placement().1);
            common.path(common.trainee(session.network(member)?), &own, stop, |_| Ok(()))?
        }
    };
    let Some(run) = run else { return Ok(None) };
    note(Trajectory::NetworkF64, exact);
    note(Trajectory::Network, run);
    note(Trajectory::LinearizedDescent, descent.path(&clock)?);
    if let Some(infinite) = infinite {
        for (name, path) in infinite.paths(&tangent.outputs, &descent, &clock)? {
            note(name, path);
        }
    }
    note(Trajectory::Linearized, linearized);
    found.forecasts = forecasts;
    Ok(Some(found))
}
