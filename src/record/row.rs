//! The tidy long table `results.csv`: one row a measured or predicted number.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::quantity::{Flag, Kind, Trust};
use crate::verdict::Verdict;

/// Version of the columns below; written into every row.
pub const SCHEMA_VERSION: u32 = 2;

/// The versions whose rows are read. In the first no row said how far its number is to be trusted.
pub const READABLE: RangeInclusive<u32> = 1..=SCHEMA_VERSION;

/// Columns of [`Row`] that rows of the first version lack.
pub const SINCE_VERSION_2: [&str; 4] = ["kind", "method", "ceiling", "flag"];

/// Columns that are the same in every row of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunColumns {
    /// Name of the run.
    pub run: String,
    /// Seed of the run.
    pub seed: u64,
    /// Data set, for instance `mnist`.
    pub dataset: String,
    /// Network family: `mlp`, `cnn`, `deep_linear` or `gated_deep_linear`.
    pub family: String,
    /// `standard`, `ntk`, `mean-field` or `mup`.
    pub parameterization: String,
    /// Width of the last hidden layer.
    pub width: usize,
    /// Number of hidden layers.
    pub depth: usize,
}

/// One row of `results.csv`; an undefined number is an empty cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Seed of the run.
    pub seed: u64,
    /// One member (`3`) or the range over which a mean was taken (`0..16`).
    pub members: String,
    /// Data set.
    pub dataset: String,
    /// Network family.
    pub family: String,
    /// Parameterization.
    pub parameterization: String,
    /// Width of the last hidden layer.
    pub width: usize,
    /// Number of hidden layers.
    pub depth: usize,
    /// Training steps taken.
    pub step: u64,
    /// Base learning rate times steps, in the units of the loss `1/2 sum`.
    pub flow_time: Option<f64>,
    /// Name of the number, for instance `ntk_trace`.
    pub quantity: String,
    /// Its unit; empty for a pure number.
    pub unit: String,
    /// Earlier layer of a pair, 0 = input.
    pub layer_from: Option<usize>,
    /// Layer, `1..=depth + 1`.
    pub layer: Option<usize>,
    /// The measured number.
    pub measured: Option<f64>,
    /// Standard error of `measured` (or of `measured - predicted` where the two are paired).
    pub std_error: Option<f64>,
    /// How it was obtained: `members`, `paired_members`, ...
    pub se_method: String,
    /// What `measured` says about the number that it stands for; empty in rows of the first version.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// How `measured` was found.
    #[serde(default)]
    pub method: String,
    /// Largest value that `measured` could have on these examples.
    #[serde(default)]
    pub ceiling: Option<f64>,
    /// Why `measured` is to be read with care.
    #[serde(default)]
    pub flag: Option<Flag>,
    /// The predicted number.
    pub predicted: Option<f64>,
    /// `(measured - predicted) / std_error`.
    pub z: Option<f64>,
    /// The verdict of an ensemble row; empty for a single member.
    pub verdict: Option<Verdict>,
}

impl Row {
    /// How far its number is to be trusted, where that was written.
    pub fn trust(&self) -> Option<Trust> {
        let method = Cow::Owned(self.method.clone());
        Some(Trust { kind: self.kind?, method, ceiling: self.ceiling, flag: self.flag })
    }

    /// The row with this in place of it.
    pub fn trusted(self, trust: Option<Trust>) -> Self {
        let Some(Trust { kind, method, ceiling, flag }) = trust else {
            return Self { kind: None, method: String::new(), ceiling: None, flag: None, ..self };
        };
        Self { kind: Some(kind), method: method.into_owned(), ceiling, flag, ..self }
    }
}

impl RunColumns {
    /// A row of this run without numbers. `members` is one member or a range of them.
    pub fn row(
        &self,
        members: String,
        (step, flow_time): (u64, Option<f64>),
        (quantity, unit): (&str, &str),
        (layer_from, layer): (Option<usize>, Option<usize>),
    ) -> Row {
        Row {
            schema_version: SCHEMA_VERSION,
            run: self.run.clone(),
            seed: self.seed,
            members,
            dataset: self.dataset.clone(),
            family: self.family.clone(),
            parameterization: self.parameterization.clone(),
            width: self.width,
            depth: self.depth,
            step,
            flow_time,
            quantity: quantity.to_owned(),
            unit: unit.to_owned(),
            layer_from,
            layer,
            measured: None,
            std_error: None,
            se_method: String::new(),
            kind: None,
            method: String::new(),
            ceiling: None,
            flag: None,
            predicted: None,
            z: None,
            verdict: None,
        }
    }
}

/// One row of `training.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRow {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Member of the ensemble, from 0.
    pub member: usize,
    /// Training steps taken.
    pub step: u64,
    /// Passes over the training set.
    pub epoch: f64,
    /// Base learning rate times steps, in the units of the loss `1/2 sum`.
    pub flow_time: Option<f64>,
    /// Loss on the whole training set (in the normalization of the run), only at evaluated steps.
    pub train_loss: Option<f64>,
    /// Loss on the test set.
    pub test_loss: Option<f64>,
    /// Fraction of training examples classified correctly.
    pub train_accuracy: Option<f64>,
    /// Fraction of test examples classified correctly.
    pub test_accuracy: Option<f64>,
    /// Loss of the batch of this step before its update.
    pub batch_loss: Option<f64>,
}
