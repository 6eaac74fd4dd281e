//! The choice of preprocessing as it stands in a configuration.
//!
//! The steps are applied in this order: choice of classes and subset, colour, scale, ZCA, normalization, label noise,
//! targets, permuted tasks. Statistics (means, deviations, covariances) come from the training subset alone and are applied
//! to both splits.

use serde::{Deserialize, Serialize};

/// What is done to a data set before training. The default keeps all examples, maps pixels to [0, 1] and gives centred
/// one-hot targets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Number of training examples; all of them if absent. A smaller subset of the same seed is the start of a larger one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Number of test examples; all of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<usize>,
    /// Labels to keep, in the order in which they become classes 0, 1, ...; all of them if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<u8>>,
    /// Colour or grey.
    pub colour: ColourMode,
    /// Scale of the inputs.
    pub scale: InputScale,
    /// ZCA whitening with this regularization epsilon > 0, relative to the mean eigenvalue of the covariance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zca: Option<f64>,
    /// Norm of each input.
    pub normalize: Normalize,
    /// Fraction of the training labels, in 0..=1, replaced by a random other class. Test labels stay.
    pub label_noise: f64,
    /// Form of the targets.
    pub targets: TargetForm,
    /// With `targets = "binary"`: the labels whose target is +1, all others being -1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<Vec<u8>>,
    /// Number of permuted copies of the data set, each a task of its own; none if absent.
    ///
    /// Task 0 keeps the order of the features, every other task has a fixed random order. A one-hot task code is appended, so
    /// inputs become flat with features + tasks columns. Examples stand task by task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permuted_tasks: Option<usize>,
}

/// Scale of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputScale {
    /// Pixels to [0, 1]; synthetic inputs as generated.
    #[default]
    Native,
    /// As stored: pixels 0 to 255.
    None,
    /// Pixels divided by 255; refused for synthetic inputs, which have no fixed range.
    UnitInterval,
    /// Mean 0 and variance 1 of each channel, taken over all training examples and positions.
    Standardize,
}

/// Norm of each input after scaling and whitening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// As it is.
    #[default]
    None,
    /// |x| = 1.
    UnitNorm,
    /// |x|^2 = d, the number of features.
    SqrtDim,
}

/// Colour or grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColourMode {
    /// As it is.
    #[default]
    Keep,
    /// One channel 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601); grey inputs stay as they are.
    Grey,
}

/// Form of the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetForm {
    /// Centred one-hot targets for classes; the targets of regression data as they are.
    #[default]
    Native,
    /// 1 - 1/C at the class and -1/C elsewhere, for C classes.
    OneHotCentred,
    /// 1 at the class and 0 elsewhere.
    OneHot,
    /// One output: -1 for class 0 and +1 for class 1, or as [`Preprocessing::positive`] says.
    Binary,
}
