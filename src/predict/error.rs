//! Why a prediction is not made.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use widthwise_theory::TheoryError;
use widthwise_theory::regression::{RegressionError, StopReason};

use super::question::Time;
use crate::entries::UnfitKernel;
use crate::examples::ExamplesError;
use crate::kernels::{BudgetError, KernelError};
use crate::record::place::PlaceError;

/// Why a prediction is not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PredictError {
    /// A network for which theory has no prediction, or one that does not fit its inputs.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// A system that cannot be solved.
    #[error(transparent)]
    Regression(#[from] RegressionError),
    /// Entries of a kernel that are lost.
    #[error(transparent)]
    Unfit(#[from] UnfitKernel),
    /// More memory than may be taken.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Examples that cannot be read or do not fit.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// A kernel that cannot be computed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A place that cannot be written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A summary that cannot be written down.
    #[error(transparent)]
    Summary(#[from] serde_json::Error),
    /// Training where the method has none.
    #[error("--method {method} knows no training; leave --times and --loss out, or use --method nngp, ntk or ntkgp")]
    NoTraining {
        /// The method.
        method: &'static str,
    },
    /// Numbers on the diagonal of a system that there is not.
    #[error("--method {method} solves no system; leave --noise, --ridge and --jitter out")]
    NoSystem {
        /// The method.
        method: &'static str,
    },
    /// A penalty without training.
    #[error(
        "--ridge belongs to training; a posterior has --noise (a variance of the targets), which enters in the same place"
    )]
    RidgeOfPosterior,
    /// An optimizer without training.
    #[error(
        "--method {method} without --times is a posterior and has no optimizer; add --times, for instance --times 10,inf"
    )]
    OptimizerOfPosterior {
        /// The method.
        method: &'static str,
    },
    /// Steps without a size.
    #[error("--optimizer {optimizer} needs --learning-rate; `--optimizer flow` prints the largest stable one")]
    NoLearningRate {
        /// The optimizer.
        optimizer: &'static str,
    },
    /// A part of a step.
    #[error("--times {time}: times of --optimizer {optimizer} are whole numbers of steps")]
    BrokenSteps {
        /// The time.
        time: Time,
        /// The optimizer.
        optimizer: &'static str,
    },
    /// Batches where theory does not know them.
    #[error(
        "--batch-size is known for --loss mse, a discrete --optimizer, finite --times and no --noise, for instance --optimizer \
         gradient-descent --learning-rate 1e-3 --times 100"
    )]
    UnknownBatches,
    /// A batch larger than the training set.
    #[error("--batch-size {size}, but there are {examples} training examples; take at most as many")]
    LargeBatch {
        /// Examples of a batch.
        size: usize,
        /// Training examples.
        examples: usize,
    },
    /// The end of training under a loss that is integrated.
    #[error("--loss {loss} has no closed form at infinite time; give finite --times, for instance --times 10,100")]
    NoLimit {
        /// The loss.
        loss: &'static str,
    },
    /// A penalty or noise under another loss.
    #[error("--ridge and --noise are known for --loss mse only; leave them out")]
    SquaredLossAlone,
    /// Too few members for an error of their variance.
    #[error(
        "--members {members}: variances and their errors need at least 4 members, or 0 for one network that starts at zero"
    )]
    FewMembers {
        /// How many.
        members: usize,
    },
    /// A random function of networks that start at zero.
    #[error(
        "{what}, but network.centred = true: outputs f - f_0 are zero before training; use --method ntk without --members, or \
         --set network.centred=false"
    )]
    Centred {
        /// What needs a random function, as a clause.
        what: String,
    },
    /// More than means of the solver of large systems.
    #[error(
        "--solver cg knows means only: of --method nngp and ntkgp, and of training with --loss mse by the flow at --times inf"
    )]
    MeansAlone,
    /// A kernel that is singular.
    #[error(
        "the kernel is not positive definite: repeated examples, or too many for its rank; give a --noise, or a --jitter such as \
         1e-10 of its mean diagonal"
    )]
    NotPositiveDefinite(#[source] TheoryError),
    /// A Student-t posterior of too few targets.
    #[error("the variance is infinite: too few targets; give a larger --prior-shape")]
    InfiniteVariance,
    /// A solution that is not good enough.
    #[error(
        "conjugate gradients ended with a residual of {residual:.1e} after {iterations} iterations ({end:?}), but --tolerance is \
         {tolerance:e}; give a larger --noise or --ridge, or a larger --tolerance"
    )]
    Unsolved {
        /// What is left, relative to the targets.
        residual: f64,
        /// How many.
        iterations: usize,
        /// Why they ended.
        end: StopReason,
        /// What may be left.
        tolerance: f64,
    },
    /// Means that overflow.
    #[error(
        "the prediction{at} for {split} example {example} is {value}: numbers overflow; take a smaller --learning-rate if one is \
         given, or shorter times, or scale inputs and targets"
    )]
    NotFinite {
        /// When, as a clause.
        at: String,
        /// Which half.
        split: &'static str,
        /// Counted from 1.
        example: usize,
        /// What it is.
        value: f64,
    },
    /// Infinite depth of a network with more than dense layers.
    #[error("--method infinite-depth knows networks with network.family = \"mlp\", not \"{family}\"")]
    InfiniteDepthOfFamily {
        /// The family.
        family: &'static str,
    },
    /// An input that is zero.
    #[error("example {example} has only zeros; --method infinite-depth needs a direction")]
    NoDirection {
        /// Counted from 1.
        example: usize,
    },
    /// Training examples alone.
    #[error("{name} has no targets; give them with --targets FILE, one row an example")]
    NoTargets {
        /// Where the examples are from.
        name: String,
    },
    /// Test targets of another size.
    #[error("test targets have {found} columns, training targets {outputs}; give as many")]
    OtherOutputs {
        /// Numbers of a test target.
        found: usize,
        /// Numbers of a training target.
        outputs: usize,
    },
    /// More or fewer targets than examples.
    #[error("{path} has {found} targets for the {expected} examples of {name}; give one row for each{hint}")]
    NotOneRowEach {
        /// The file of targets.
        path: PathBuf,
        /// Its rows.
        found: usize,
        /// Examples.
        expected: usize,
        /// Where they are from.
        name: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// Classes in several columns.
    #[error("{path} has {columns} columns, but --classes says that each row is one class")]
    NotOneColumn {
        /// The file of targets.
        path: PathBuf,
        /// Its columns.
        columns: usize,
    },
    /// A number that is no class.
    #[error("{path}: row {row} is {value}, but a class from 0 to {last} is expected")]
    NoClass {
        /// The file of targets.
        path: PathBuf,
        /// Counted from 1.
        row: usize,
        /// What stands there.
        value: f64,
        /// The last class.
        last: usize,
    },
    /// Probabilities of a single class.
    #[error(
        "--loss cross-entropy needs at least 2 outputs, but targets have 1; use --loss logistic, or --classes N for a file of \
         classes"
    )]
    OneOutput,
    /// A target that the loss does not know.
    #[error("a target is {found}, but --loss {loss} wants {range}")]
    UnfitTarget {
        /// The target.
        found: f64,
        /// The loss.
        loss: &'static str,
        /// What it may be.
        range: &'static str,
    },
}
