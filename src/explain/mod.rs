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
//! Every part is the difference of the two trajectories beside it and none is computed as a remainder, so that their sum is the gap
//! `network - infinite_mean_flow` by construction and each can be looked at on its own. Trajectories are compared after the same
//! flow time, learning rate times steps (divided by `1 - beta` with momentum); Adam has no flow time, and is compared with the
//! gradient descent that has the same training loss.

mod budget;
mod forecast;
mod infinite;
mod points;
mod record;
mod reference;
mod tangent;
mod taylor;
mod twin;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::{DType, Device};

use crate::config::{Loss, Precision};
use crate::memory::Bytes;
use crate::monitor::Monitor;
use crate::need;
use crate::network::Order;
use crate::session::Session;
use crate::signals::StopFlag;

pub use budget::{BudgetRow, Part, Split, Trajectory, largest_parts};
pub use forecast::ForecastRow;
use infinite::Infinite;
pub use points::Outputs;
use points::Points;
pub(crate) use record::is_own;
pub use record::{BUDGET_FILE, FOLDER, FORECAST_FILE, read_budget, read_forecasts};
use reference::Reference;
use tangent::Tangent;
use twin::{Setting, Twin};

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
/// before are not explained again. `false` when a stop was asked for.
///
/// # Errors
/// A run that cannot be explained, or a failure to write.
pub(crate) fn explain_members(
    session: &Session<'_>,
    folder: &Path,
    learning_rate: f64,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<bool> {
    let settings = &session.experiment.explain;
    let members = settings.members.min(session.experiment.run.members);
    if members == 0 {
        return Ok(true);
    }
    // The twin in f64, its start and its gradient.
    let twins = 3 * need::network(&session.architecture, size_of::<f64>())?.0;
    need::expect_network(&session.architecture, Bytes(twins), "explaining a network")?;
    record::begin(folder, settings)?;
    let points = Points::new(session, &Device::flex(), DType::F64);
    let infinite = Infinite::new(session, &points)?;
    for member in 0..members {
        if record::has_member(folder, member) {
            continue;
        }
        monitor.note(&format!("explaining the gap of member {member} of {members}"));
        let Some(found) = trajectories(session, &points, infinite.as_ref(), member, learning_rate, stop)? else {
            return Ok(false);
        };
        record::write_member(folder, member, &found, &points)?;
    }
    let all = (0..members).map(|member| record::read_member(folder, member)).collect::<Result<Vec<_>>>()?;
    record::write_budget(folder, &budget::rows(&all))?;
    let forecasts = (0..members).map(|member| record::read_member_forecasts(folder, member));
    record::write_forecasts(folder, &forecasts.collect::<Result<Vec<_>>>()?.concat())?;
    Ok(true)
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
    let setting = Setting::new(session, member, learning_rate)?;
    let mut found = Trajectories::default();
    let mut note = |name: Trajectory, path: BTreeMap<u64, Outputs>| {
        for (step, outputs) in path.into_iter().filter(|(_, outputs)| outputs.is_finite()) {
            found.by_step.entry(step).or_default().insert(name, outputs);
        }
    };

    let double = session.network_on(member, &Device::flex(), DType::F64)?;
    let tangent = Tangent::new(&double, points);
    let start = Twin::new(double, &setting);
    let linearized = taylor::path(&start, Order::First, &setting, points, Some(&tangent), stop)?;
    let Some(linearized) = linearized else { return Ok(None) };
    let descent = Reference::new(&tangent, &setting, points)?;
    let clock = descent.clock(&linearized, points)?;
    if settings.quadratic {
        let Some(path) = taylor::path(&start, Order::Second, &setting, points, None, stop)? else { return Ok(None) };
        note(Trajectory::Quadratic, path);
    }

    // The f64 twin, and from each of its snapshots a forecast.
    let mut snapshots = Vec::new();
    let exact = start.path(&setting, points, stop, |twin| {
        let step = twin.step;
        let is_last = step == session.last_step;
        if settings.forecast && !is_last {
            // The first forecast is the linearized network itself.
            let path = match step {
                0 => Some(linearized.clone()),
                _ => {
                    let tangent = taylor::follows_outputs(&setting).then(|| Tangent::new(&twin.network, points));
                    taylor::path(twin, Order::First, &setting, points, tangent.as_ref(), stop)?
                }
            };
            snapshots.extend(path.map(|path| (step, path)));
        }
        Ok(())
    })?;
    let Some(exact) = exact else { return Ok(None) };
    let forecasts = forecast::rows(member, &snapshots, &exact, points, settings.forecast_tolerance);
    let run = match experiment.run.precision {
        Precision::F64 if setting.is_on_flex() => Some(exact.clone()),
        _ => {
            let own = Points::new(session, session.placement().0, session.placement().1);
            Twin::new(session.network(member)?, &setting).path(&setting, &own, stop, |_| Ok(()))?
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
