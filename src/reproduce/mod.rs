//! Recipes: figures of papers made again, each from one name to a table of what the paper says, what theory says and what was found.
//!
//! A recipe is a `Recipe`: configurations, numbers, a figure and a table. It trains through the program's own loop, ladder and
//! Taylor models and writes nothing itself; its folder is written here.

mod circle;
mod figure;
mod finite_vs_infinite;
mod folder;
mod jacot2018_circle;
mod jacot2018_mnist_pc;
mod jacot2018_percentiles;
mod lee2019_ensemble;
mod lee2019_linearization;
mod lee2019_widths;
mod numbers;
mod problem;
mod table;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Checked;
use crate::ensemble::{Ended, Shard};
use crate::error::{Error, OrRefused, Result};
use crate::monitor::{Monitor, Stage};
use crate::record::lock::Lock;
use crate::signals::StopFlag;
use crate::verdict::Verdict;
use folder::WORK;

pub use numbers::NumberRow;
pub use table::TableRow;

/// How much work a recipe takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Seconds: everything is there and nothing is decided.
    Tiny,
    /// At most a few minutes on two cores.
    Default,
    /// The size of the paper.
    Full,
}

impl Size {
    /// The entry for this size of `[tiny, default, full]`.
    fn of<T>(self, [tiny, default, full]: [T; 3]) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Default => default,
            Self::Full => full,
        }
    }
}

/// What the command line says about a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct ReproduceOptions {
    /// Folder of the results.
    pub folder: PathBuf,
    /// Folder of the data sets.
    pub data_dir: Option<PathBuf>,
    /// How much work.
    pub size: Size,
    /// Replace earlier results of the same recipe.
    pub force: bool,
    /// Which part of its networks is trained here.
    pub shard: Shard,
}

/// Why a recipe has no findings.
#[derive(Debug)]
enum NoFindings {
    /// A stop was asked for, or networks of other shards are missing. What was trained is kept.
    Paused(Ended),
    /// It failed.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for NoFindings {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Where a recipe works.
struct Workplace<'a> {
    size: Size,
    folder: &'a Path,
    data_dir: Option<&'a Path>,
    shard: Shard,
    stop: &'a StopFlag,
    monitor: &'a dyn Monitor,
}

impl Workplace<'_> {
    /// Folder of what the recipe trains at this size.
    fn work(&self) -> PathBuf {
        self.folder.join(WORK).join(format!("{:?}", self.size).to_lowercase())
    }
}

/// Hears of the stages of a run that is part of a recipe, and of none of its remarks.
struct Stages<'a>(&'a dyn Monitor);

impl Monitor for Stages<'_> {
    fn stage(&self, stage: &Stage<'_>) {
        self.0.stage(&Stage { steps: None, ..*stage });
    }

    fn advanced(&self, member: usize) {
        self.0.advanced(member);
    }
}

/// What a recipe found.
#[derive(Default)]
struct Findings {
    /// Configurations that were trained, each with the name of its file.
    configs: Vec<(String, Checked)>,
    /// Rows of `numbers.csv`.
    numbers: Vec<NumberRow>,
    /// Rows of the table.
    table: Vec<TableRow>,
    /// The figure.
    figure: Option<String>,
    /// What a reader of the table has to know.
    remarks: Vec<String>,
}

/// A figure or table of a paper.
struct Recipe {
    /// Its name on the command line.
    name: &'static str,
    /// What it shows, in a line.
    about: &'static str,
    /// The paper.
    paper: &'static str,
    /// Works.
    reproduce: fn(&Workplace<'_>) -> Result<Findings, NoFindings>,
}

const LEE_2019: &str = "Lee, Xiao et al., Wide Neural Networks of Any Depth Evolve as Linear Models, 2019 (1902.06720)";
const JACOT_2018: &str = "Jacot, Gabriel, Hongler, Neural Tangent Kernel, 2018 (1806.07572)";
const LEE_2020: &str = "Lee, Schoenholz et al., Finite Versus Infinite Neural Networks, 2020 (2007.15801)";

const RECIPES: [Recipe; 7] = [
    lee2019_linearization::RECIPE,
    lee2019_widths::RECIPE,
    lee2019_ensemble::RECIPE,
    jacot2018_circle::RECIPE,
    jacot2018_percentiles::RECIPE,
    jacot2018_mnist_pc::RECIPE,
    finite_vs_infinite::RECIPE,
];

/// A recipe as `--list` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipeEntry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// The paper.
    pub paper: &'static str,
}

/// All recipes.
pub fn recipes() -> impl Iterator<Item = RecipeEntry> {
    RECIPES.iter().map(|&Recipe { name, about, paper, .. }| RecipeEntry { name, about, paper })
}

/// What a recipe came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reproduced {
    /// Rows of the table.
    pub table: Vec<TableRow>,
    /// What a reader of the table has to know.
    pub remarks: Vec<String>,
    /// The verdict of all rows.
    pub verdict: Verdict,
}

/// What became of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub enum Reproduction {
    /// Its results are written.
    Done(Reproduced),
    /// It pauses, earlier results are as they were, and the same command goes on.
    Paused(Ended),
}

/// Works through the recipe of this name and writes its folder.
///
/// # Errors
/// An unknown name, a folder that holds something else, data that cannot be read, a network that diverged where none should.
pub fn reproduce(
    name: &str,
    options: &ReproduceOptions,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<Reproduction> {
    let recipe = RECIPES.iter().find(|recipe| recipe.name == name);
    let names = || RECIPES.map(|recipe| recipe.name).join(", ");
    let recipe =
        recipe.or_refused(|| format!("there is no recipe \"{name}\"; the recipes are {}; see --list", names()))?;
    let folder = &options.folder;
    let ReproduceOptions { size, shard, .. } = *options;
    let _lock = folder::open(folder, name, options)?;
    let place = Workplace { size, folder, data_dir: options.data_dir.as_deref(), shard, stop, monitor };
    let findings = match (recipe.reproduce)(&place) {
        Err(NoFindings::Paused(ended)) => return Ok(Reproduction::Paused(ended)),
        Err(NoFindings::Failed(error)) => return Err(error),
        Ok(findings) => findings,
    };
    let _turn = Lock::turn(folder)?;
    folder::write(folder, recipe, options.size, &findings)?;
    let verdict = Verdict::of_all(findings.table.iter().filter_map(|row| row.verdict));
    Ok(Reproduction::Done(Reproduced { table: findings.table, remarks: findings.remarks, verdict }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_can_be_typed() {
        let mut names: Vec<_> = recipes().map(|recipe| recipe.name).collect();
        assert!(
            names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RECIPES.len());
    }
}
