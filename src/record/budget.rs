//! `error_budget.csv` and `forecast.csv`: why a run differs from theory, in parts, and how far ahead its kernels forecast it.

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{OrDamaged, Result};

/// Parts of the gap.
pub const BUDGET_FILE: &str = "error_budget.csv";

/// Forecast horizons.
pub const FORECAST_FILE: &str = "forecast.csv";

/// One way of getting outputs at a step, from the theory's to the run's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trajectory {
    /// Infinite-width kernel, gradient flow, mean over initializations.
    InfiniteMeanFlow,
    /// The same from the member's own initial outputs.
    InfiniteFlow,
    /// The same by steps of gradient descent.
    InfiniteDescent,
    /// Gradient descent under the member's own tangent kernel at initialization.
    LinearizedDescent,
    /// The linearized network under the run's own optimizer, batches and penalty.
    Linearized,
    /// The network, in f64.
    NetworkF64,
    /// The network as the run trains it.
    Network,
    /// The second-order Taylor model, next to the chain.
    Quadratic,
}

impl Trajectory {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 8] = [
        Self::InfiniteMeanFlow,
        Self::InfiniteFlow,
        Self::InfiniteDescent,
        Self::LinearizedDescent,
        Self::Linearized,
        Self::NetworkF64,
        Self::Network,
        Self::Quadratic,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::InfiniteMeanFlow => "infinite_mean_flow",
            Self::InfiniteFlow => "infinite_flow",
            Self::InfiniteDescent => "infinite_descent",
            Self::LinearizedDescent => "linearized_descent",
            Self::Linearized => "linearized",
            Self::NetworkF64 => "network_f64",
            Self::Network => "network",
            Self::Quadratic => "quadratic",
        }
    }
}

/// One part of the gap: what changes between two neighbours of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The member's own initial function.
    Seed,
    /// Steps instead of flow.
    TimeDiscretization,
    /// The member's own kernel at initialization.
    InitialKernel,
    /// Momentum, batches, penalty, Adam.
    Optimizer,
    /// The network instead of its Taylor model.
    Linearization,
    /// Single precision, or another device.
    Arithmetic,
}

impl Part {
    /// All parts, from theory to the run.
    pub const ALL: [Self; 6] = [
        Self::Seed,
        Self::TimeDiscretization,
        Self::InitialKernel,
        Self::Optimizer,
        Self::Linearization,
        Self::Arithmetic,
    ];

    /// The part is the second trajectory minus the first.
    pub fn between(self) -> (Trajectory, Trajectory) {
        use Trajectory::*;
        match self {
            Self::Seed => (InfiniteMeanFlow, InfiniteFlow),
            Self::TimeDiscretization => (InfiniteFlow, InfiniteDescent),
            Self::InitialKernel => (InfiniteDescent, LinearizedDescent),
            Self::Optimizer => (LinearizedDescent, Linearized),
            Self::Linearization => (Linearized, NetworkF64),
            Self::Arithmetic => (NetworkF64, Network),
        }
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::TimeDiscretization => "time_discretization",
            Self::InitialKernel => "initial_kernel",
            Self::Optimizer => "optimizer",
            Self::Linearization => "linearization",
            Self::Arithmetic => "arithmetic",
        }
    }

    /// The cause, as the end of a sentence.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Seed => {
                "the initial outputs of these members, which theory averages over: train more members, or centre the network"
            }
            Self::TimeDiscretization => {
                "steps of gradient descent instead of gradient flow: take a smaller learning rate"
            }
            Self::InitialKernel => {
                "the tangent kernel at initialization, which fluctuates at finite width: widen the network"
            }
            Self::Optimizer => "the optimizer, its batches or its penalty instead of gradient descent on all examples",
            Self::Linearization => {
                "the network leaving its linearization, which is feature learning: widen the network, or expect it"
            }
            Self::Arithmetic => "rounding in single precision: set run.precision = \"f64\"",
        }
    }
}

/// Training or test examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Examples that the network is trained on.
    Train,
    /// Others.
    Test,
}

/// A part at one step, over all points of a split and all members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// Step of the run.
    pub step: u64,
    /// Which examples.
    pub split: Split,
    /// The name of a [`Part`], or `gap` for their sum.
    pub part: String,
    /// The trajectory that is subtracted.
    pub from: String,
    /// The trajectory that it is subtracted from.
    pub to: String,
    /// Members.
    pub members: usize,
    /// Root mean square over points of the mean over members.
    pub root_mean_square: f64,
    /// The same of its standard error; empty with one member.
    pub std_error: Option<f64>,
    /// Its sum of absolute values over points in that of all parts; empty for the gap, and where all parts are 0.
    pub absolute_share: Option<f64>,
    /// Its projection on the gap over that of the gap, so that parts add up to 1 with their signs; empty where the gap is 0.
    pub signed_share: Option<f64>,
}

/// How long the forecast from one snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastRow {
    /// The member.
    pub member: usize,
    /// Step of the snapshot.
    pub step: u64,
    /// Largest error that was allowed: root mean square over training and test outputs, in units of that of the training residual
    /// at the snapshot.
    pub tolerance: f64,
    /// Steps from the snapshot to the last probe step up to which the error stayed below `tolerance`.
    pub horizon_steps: u64,
    /// Whether it did to the end, so that the horizon is at least this long.
    pub is_censored: bool,
    /// `log10` of the training loss at the snapshot over that at the horizon; empty where one of them is 0.
    pub loss_decades: Option<f64>,
    /// The error at the end of training.
    pub final_error: Option<f64>,
}

/// The budget of a run; nothing if it has none.
///
/// # Errors
/// A damaged file.
pub fn read_budget(folder: &Path) -> Result<Vec<BudgetRow>> {
    read_if_there(&folder.join(BUDGET_FILE))
}

/// The forecast horizons of a run; nothing if it has none.
///
/// # Errors
/// A damaged file.
pub fn read_forecasts(folder: &Path) -> Result<Vec<ForecastRow>> {
    read_if_there(&folder.join(FORECAST_FILE))
}

fn read_if_there<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    if path.is_file() { read(path) } else { Ok(Vec::new()) }
}

/// Rows of a file of an explanation.
///
/// # Errors
/// A damaged file.
pub(crate) fn read<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>> {
    let damaged = || format!("{} is damaged; remove it and explain the run again", path.display());
    let rows = csv::Reader::from_path(path).or_damaged(damaged)?.into_deserialize();
    rows.collect::<Result<_, _>>().or_damaged(damaged)
}

/// Share below which a part is not worth a sentence.
const SMALLEST_SHARE: f64 = 0.01;

/// The largest part at the last step, a sentence for the training and one for the test examples. A part that is lost in its standard
/// error over members is named as such, and the largest that is not next to it.
pub fn largest_parts(rows: &[BudgetRow]) -> Vec<String> {
    [(Split::Train, "training examples"), (Split::Test, "test examples")]
        .into_iter()
        .filter_map(|(split, examples)| {
            let last = rows.iter().filter(|row| row.split == split).map(|row| row.step).max()?;
            let mut parts: Vec<NamedRow<'_>> =
                rows.iter().filter(|row| row.split == split && row.step == last).filter_map(NamedRow::new).collect();
            parts.sort_by(|a, b| b.share.total_cmp(&a.share));
            let first = parts.first()?;
            let mut sentence = format!("{examples}, step {last}: {first}");
            if first.is_lost() {
                sentence.push_str(", which is within its standard error of 0");
                if let Some(clear) = parts.iter().find(|part| !part.is_lost() && part.share >= SMALLEST_SHARE) {
                    sentence.push_str(&format!("; the largest that is not: {clear}"));
                }
            }
            Some(sentence)
        })
        .collect()
}

/// A row with its part and share.
struct NamedRow<'a> {
    row: &'a BudgetRow,
    part: Part,
    share: f64,
}

impl<'a> NamedRow<'a> {
    fn new(row: &'a BudgetRow) -> Option<Self> {
        let part = Part::ALL.into_iter().find(|part| part.name() == row.part)?;
        Some(Self { row, part, share: row.absolute_share? })
    }

    /// A mean without a signal has about its standard error as its root mean square.
    fn is_lost(&self) -> bool {
        self.row.std_error.is_some_and(|error| self.row.root_mean_square < 2.0 * error)
    }
}

impl fmt::Display for NamedRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.row.std_error.map_or_else(String::new, |error| format!(" ± {error:.1e}"));
        write!(
            f,
            "{:.0} % of what separates theory from the run is {} ({:.1e}{error} an output)",
            100.0 * self.share,
            self.part.cause(),
            self.row.root_mean_square
        )
    }
}
