//! What can be wrong with a theoretical question. Messages count layers from 1, indices from 0.

use thiserror::Error;

/// Errors of this crate; every message says what was asked, what was found and what is allowed.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TheoryError {
    /// A window larger than its image, or a zero size.
    #[error(
        "layer {}: a window of {window:?} does not fit an image of {image:?}; use a smaller window, a positive stride, fewer cells of padding than the window has, or padding \"same\"",
        .index + 1
    )]
    WindowDoesNotFit {
        /// Index in the layer list.
        index: usize,
        /// Height and width of the window.
        window: [usize; 2],
        /// Height and width of the image.
        image: [usize; 2],
    },
    /// A gated layer in an architecture without gates.
    #[error("layer {} is gated but the architecture has no gates; add a [network.gates] table", .index + 1)]
    MissingGates {
        /// Index in the layer list.
        index: usize,
    },
    /// Branches that cannot be added.
    #[error(
        "node {}: branches end in shapes {left:?} and {right:?} (channels, height, width); make them equal",
        .index + 1
    )]
    BranchShapes {
        /// Index of the sum among the nodes.
        index: usize,
        /// Shape of the first branch.
        left: [usize; 3],
        /// Shape of a branch that differs.
        right: [usize; 3],
    },
    /// A sum of nothing.
    #[error("node {}: a sum of branches needs at least one branch", .index + 1)]
    NoBranches {
        /// Index of the sum among the nodes.
        index: usize,
    },
    /// A number of a layer out of its range.
    #[error("node {}: {what} = {found}, but {allowed} is allowed", .index + 1)]
    OutOfRange {
        /// Index of the node.
        index: usize,
        /// Name of the number.
        what: &'static str,
        /// What was given.
        found: f64,
        /// The range.
        allowed: &'static str,
    },
    /// The last layer is not a dense weight layer.
    #[error("the last layer must be a dense readout")]
    NoReadout,
    /// There is no infinite-width prediction for this request.
    #[error("no prediction: {reason}")]
    NoPrediction {
        /// Why, as a clause.
        reason: String,
    },
    /// Two arrays do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    ShapeMismatch {
        /// Which quantity.
        what: &'static str,
        /// Expected size.
        expected: usize,
        /// Found size.
        found: usize,
    },
    /// A matrix decomposition did not converge, or a matrix is not positive definite.
    #[error(
        "{operation} failed on a {size} x {size} matrix (smallest eigenvalue {smallest:e}, largest {largest:e}); add a ridge or use distinct inputs"
    )]
    Solve {
        /// What was tried.
        operation: &'static str,
        /// Rows of the matrix.
        size: usize,
        /// Smallest eigenvalue.
        smallest: f64,
        /// Largest eigenvalue.
        largest: f64,
    },
}
