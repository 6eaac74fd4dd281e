//! Preprocessing that a data set does not allow.

/// Preprocessing that cannot be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// More examples asked for than there are.
    #[error("{asked} {split} examples were asked for but {dataset} has {available}{}; ask for 1 to {available}",
        if *chosen_classes { " of the chosen classes" } else { "" })]
    TooMany {
        /// Data set.
        dataset: String,
        /// "training" or "test".
        split: &'static str,
        /// Examples asked for.
        asked: usize,
        /// Examples there are.
        available: usize,
        /// Whether only some classes are kept.
        chosen_classes: bool,
    },
    /// No examples asked for or none left.
    #[error("no {split} examples are left of {dataset}; ask for at least 1 and check `classes`")]
    NoExamples {
        /// Data set.
        dataset: String,
        /// "training" or "test".
        split: &'static str,
    },
    /// A class list that does not fit the data set.
    #[error("{option} = {found:?} does not fit {dataset}, whose labels run from 0 to {}: {problem}", classes - 1)]
    Classes {
        /// Option of the preprocessing.
        option: &'static str,
        /// Data set.
        dataset: String,
        /// List given.
        found: Vec<u8>,
        /// Number of classes of the data set.
        classes: usize,
        /// What is wrong with the list.
        problem: &'static str,
    },
    /// Binary targets for another number of classes than two.
    #[error(
        "binary targets need exactly two classes but {dataset} has {found}; choose two with `classes` or list the labels of \
         target +1 in `positive`"
    )]
    NotBinary {
        /// Data set.
        dataset: String,
        /// Classes left.
        found: usize,
    },
    /// An option that only makes sense with binary targets.
    #[error("`positive` is given but targets are not binary; set targets = \"binary\" or remove `positive`")]
    PositiveWithoutBinary,
    /// An option for classes with regression data.
    #[error("{option} needs classes, but {dataset} is regression data; remove the option")]
    Regression {
        /// Option of the preprocessing.
        option: &'static str,
        /// Data set.
        dataset: String,
    },
    /// An option for images with synthetic inputs.
    #[error("{option} needs pixels, but {dataset} has real-valued inputs; remove the option")]
    NoPixels {
        /// Option of the preprocessing.
        option: &'static str,
        /// Data set.
        dataset: String,
    },
    /// Grey asked for but the number of channels is neither one nor three.
    #[error("colour = \"grey\" needs 1 or 3 channels but {dataset} has {found}; set colour = \"keep\"")]
    Channels {
        /// Data set.
        dataset: String,
        /// Channels found.
        found: usize,
    },
    /// A number out of range.
    #[error("{option} = {found}, but it must be {allowed}")]
    Range {
        /// Option of the preprocessing.
        option: &'static str,
        /// Value found.
        found: String,
        /// Values allowed.
        allowed: &'static str,
    },
    /// A channel that cannot be standardized.
    #[error(
        "scale = \"standardize\" needs values that differ, but channel {channel} is constant over the {examples} training \
         examples; take more examples or another scale"
    )]
    Constant {
        /// Channel.
        channel: usize,
        /// Training examples.
        examples: usize,
    },
    /// Inputs that cannot be whitened.
    #[error("zca needs examples that differ, but the {examples} training examples are all equal; take more examples")]
    Identical {
        /// Training examples.
        examples: usize,
    },
    /// An input of norm zero cannot be normalized.
    #[error("{split} example {index} of the subset is zero everywhere and has no direction; set normalize = \"none\"")]
    ZeroNorm {
        /// "training" or "test".
        split: &'static str,
        /// Position in the subset.
        index: usize,
    },
    /// The eigenvalues of the covariance were not found.
    #[error(
        "the eigenvalues of the {features} x {features} input covariance did not converge; check the inputs for values that are not finite"
    )]
    Eigenvalues {
        /// Number of features.
        features: usize,
    },
}
