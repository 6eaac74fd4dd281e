//! What an explanation leaves in the folder of its run:
//!
//! | file | what |
//! |---|---|
//! | `explain/settings.json` | what the members' files were made with |
//! | `explain/member_NNN.csv` | outputs of every trajectory at the kept examples |
//! | `explain/member_NNN.forecast.csv` | forecast horizons of one member |
//! | `error_budget.csv` | parts of the gap over members |
//! | `forecast.csv` | forecast horizons of all members |

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Trajectories;
use super::budget::MemberOutputs;
use super::points::Points;
use crate::config::ExplainConfig;
use crate::error::{At, Result};
use crate::record::atomic;
use crate::record::budget::{BUDGET_FILE, BudgetRow, FORECAST_FILE, ForecastRow, Split, Trajectory, read};
use crate::record::csv_file::bytes_of;
use crate::record::folder::{remove_file, remove_own};

/// Folder of the members' files in that of the run.
pub const FOLDER: &str = "explain";

/// What the members' files were made with.
const SETTINGS: &str = "settings.json";

/// Outputs at one point and step; empty where a trajectory diverged or theory has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointRow {
    pub(crate) step: u64,
    pub(crate) split: Split,
    pub(crate) example: usize,
    pub(crate) output: usize,
    pub(crate) target: f64,
    pub(crate) infinite_mean_flow: Option<f64>,
    pub(crate) infinite_flow: Option<f64>,
    pub(crate) infinite_descent: Option<f64>,
    pub(crate) linearized_descent: Option<f64>,
    pub(crate) linearized: Option<f64>,
    pub(crate) network_f64: Option<f64>,
    pub(crate) network: Option<f64>,
    pub(crate) quadratic: Option<f64>,
}

impl PointRow {
    /// With these outputs.
    pub(crate) fn new(
        (step, split): (u64, Split),
        [example, output]: [usize; 2],
        target: f64,
        of: impl Fn(Trajectory) -> Option<f64>,
    ) -> Self {
        Self {
            step,
            split,
            example,
            output,
            target,
            infinite_mean_flow: of(Trajectory::InfiniteMeanFlow),
            infinite_flow: of(Trajectory::InfiniteFlow),
            infinite_descent: of(Trajectory::InfiniteDescent),
            linearized_descent: of(Trajectory::LinearizedDescent),
            linearized: of(Trajectory::Linearized),
            network_f64: of(Trajectory::NetworkF64),
            network: of(Trajectory::Network),
            quadratic: of(Trajectory::Quadratic),
        }
    }

    fn value(&self, trajectory: Trajectory) -> Option<f64> {
        match trajectory {
            Trajectory::InfiniteMeanFlow => self.infinite_mean_flow,
            Trajectory::InfiniteFlow => self.infinite_flow,
            Trajectory::InfiniteDescent => self.infinite_descent,
            Trajectory::LinearizedDescent => self.linearized_descent,
            Trajectory::Linearized => self.linearized,
            Trajectory::NetworkF64 => self.network_f64,
            Trajectory::Network => self.network,
            Trajectory::Quadratic => self.quadratic,
        }
    }
}

/// Whether a file of this name in the folder [`FOLDER`] is part of an explanation.
pub(crate) fn is_own(name: &str) -> bool {
    let member = name.strip_prefix("member_").and_then(|rest| rest.strip_suffix(".csv"));
    let number = member.map(|member| member.strip_suffix(".forecast").unwrap_or(member));
    name == SETTINGS || number.is_some_and(|number| number.parse::<usize>().is_ok())
}

fn member_file(folder: &Path, member: usize) -> PathBuf {
    folder.join(FOLDER).join(format!("member_{member:03}.csv"))
}

fn forecast_file(folder: &Path, member: usize) -> PathBuf {
    folder.join(FOLDER).join(format!("member_{member:03}.forecast.csv"))
}

/// Forgets members that were explained with other settings.
pub(super) fn begin(folder: &Path, settings: &ExplainConfig) -> Result<()> {
    let (own, path) = (folder.join(FOLDER), folder.join(FOLDER).join(SETTINGS));
    // How many members are explained is no setting of one of them.
    let text = serde_json::to_string(&ExplainConfig { members: 0, ..settings.clone() })? + "\n";
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    // The settings go first: without them nothing that is left counts.
    remove_file(&path)?;
    remove_own(&own, &is_own).at("clear", &own)?;
    std::fs::create_dir_all(&own).at("make", &own)?;
    Ok(atomic::write(&path, text.as_bytes())?)
}

/// Whether the member was explained before: its outputs are written last.
pub(super) fn has_member(folder: &Path, member: usize) -> bool {
    member_file(folder, member).is_file()
}

/// Writes the files of one member.
pub(super) fn write_member(folder: &Path, member: usize, found: &Trajectories, points: &Points) -> Result<()> {
    write(&forecast_file(folder, member), &found.forecasts)?;
    let mut rows = Vec::new();
    for (&step, outputs) in &found.by_step {
        for split in [Split::Train, Split::Test] {
            let (count, offset) = match split {
                Split::Train => (points.kept, 0),
                Split::Test => (points.targets.nrows() - points.n, points.n),
            };
            for (example, output) in (0..count).flat_map(|i| (0..points.targets.ncols()).map(move |o| (i, o))) {
                let at = |trajectory: Trajectory| {
                    let outputs = outputs.get(&trajectory)?;
                    let matrix = if split == Split::Train { &outputs.train } else { &outputs.test };
                    Some(matrix[(example, output)])
                };
                let target = points.targets[(offset + example, output)];
                rows.push(PointRow::new((step, split), [example, output], target, at));
            }
        }
    }
    write(&member_file(folder, member), &rows)
}

/// Rows of the file of one member.
pub(crate) fn read_points(folder: &Path, member: usize) -> Result<Vec<PointRow>> {
    read(&member_file(folder, member))
}

/// Outputs of one member, from its file.
pub(super) fn read_member(folder: &Path, member: usize) -> Result<MemberOutputs> {
    let mut found = MemberOutputs::new();
    for row in read_points(folder, member)? {
        let here = found.entry((row.step, row.split)).or_default();
        for trajectory in Trajectory::ALL {
            if let Some(value) = row.value(trajectory) {
                here.entry(trajectory).or_default().push(value);
            }
        }
    }
    Ok(found)
}

pub(super) fn read_member_forecasts(folder: &Path, member: usize) -> Result<Vec<ForecastRow>> {
    read(&forecast_file(folder, member))
}

pub(super) fn write_budget(folder: &Path, rows: &[BudgetRow]) -> Result<()> {
    write(&folder.join(BUDGET_FILE), rows)
}

pub(super) fn write_forecasts(folder: &Path, rows: &[ForecastRow]) -> Result<()> {
    write(&folder.join(FORECAST_FILE), rows)
}

fn write<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    Ok(atomic::write(path, &bytes_of(rows)?)?)
}
