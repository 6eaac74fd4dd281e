//! Why a kernel from elsewhere differs: known differences of convention, each tried and scored.
//!
//! A hypothesis is an alternative question (another variance, other trained layers, one layer less) or a transformation of the
//! answer (a factor, a constant). Each makes a matrix, and its score is what remains of the difference. Nothing is fitted
//! but the factor and the constant, so that on more than a few examples chance does not explain anything.

mod alternatives;
mod fit;

use faer::{Mat, MatRef};

use crate::architecture::Architecture;
use crate::dynamics::expect_shape;
use crate::error::TheoryError;
use crate::kernel::{Inputs, TrainedLayers, kernels_when_training};

/// One of the two kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelKind {
    /// `K`.
    Nngp,
    /// `Theta`.
    Ntk,
}

/// What was computed here.
#[derive(Debug, Clone)]
pub struct KernelQuestion {
    /// The network.
    pub architecture: Architecture,
    /// Examples of the rows.
    pub left: Inputs,
    /// Examples of the columns, if they are others.
    pub right: Option<Inputs>,
    /// What the tangent kernel is of.
    pub trained: TrainedLayers,
    /// Which kernel.
    pub kind: KernelKind,
}

impl KernelQuestion {
    /// The kernel.
    ///
    /// # Errors
    /// As [`kernels`](crate::kernel::kernels).
    pub fn answer(&self) -> Result<Mat<f64>, TheoryError> {
        let kernels = kernels_when_training(&self.architecture, &self.left, self.right.as_ref(), self.trained)?;
        Ok(match self.kind {
            KernelKind::Nngp => kernels.nngp,
            KernelKind::Ntk => kernels.ntk,
        })
    }
}

/// How far two kernels are apart, relative to the second one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Largest difference of an entry, in units of the largest entry.
    pub max: f64,
    /// Frobenius norm of the difference, in units of that of the kernel.
    pub rms: f64,
}

impl Difference {
    /// Of `found` from `expected`.
    pub fn between(found: MatRef<'_, f64>, expected: MatRef<'_, f64>) -> Self {
        let difference = found - expected;
        let relative = |difference: f64, scale: f64| if difference == 0.0 { 0.0 } else { difference / scale };
        Self {
            max: relative(difference.norm_max(), expected.norm_max()),
            rms: relative(difference.norm_l2(), expected.norm_l2()),
        }
    }
}

/// One hypothesis about the other kernel, tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// A short name.
    pub id: String,
    /// What the other kernel then is, as a clause.
    pub text: String,
    /// What remains of the difference.
    pub remains: Difference,
    /// Numbers fitted plus changes made; fewer are likelier.
    pub complexity: usize,
}

/// Tries all hypotheses on `other`, likeliest first: those that leave at most `tolerance` (as [`Difference::max`]) by their
/// complexity, then the others by what they leave. Two mistakes at once are only searched for if no single one explains it.
///
/// # Shapes
/// `other`: examples of `left` in rows, of `right` in columns.
///
/// # Errors
/// A shape mismatch, or no kernel of the question itself; hypotheses without a kernel are passed over.
pub fn explain(
    question: &KernelQuestion,
    other: MatRef<'_, f64>,
    tolerance: f64,
) -> Result<Vec<Explanation>, TheoryError> {
    let columns = question.right.as_ref().unwrap_or(&question.left).examples();
    expect_shape("other kernel (rows)", question.left.examples(), other.nrows())?;
    expect_shape("other kernel (columns)", columns, other.ncols())?;
    let here = question.answer()?;
    let known = fit::Known::new(question)?;
    let mut found = fit::all(&known, here.as_ref(), other);
    let mut others = Vec::new();
    for alternative in alternatives::all(question)? {
        // An alternative that has no kernel, or the same one, explains nothing.
        let Ok(kernel) = alternative.question.answer() else { continue };
        if Difference::between(kernel.as_ref(), here.as_ref()).max <= 1e-12 {
            continue;
        }
        let remains = Difference::between(kernel.as_ref(), other);
        let (id, text, complexity) = (alternative.id.to_owned(), alternative.text.clone(), alternative.changes);
        found.push(Explanation { id, text, remains, complexity });
        others.push((alternative, kernel));
    }
    if !found.iter().any(|explanation| explanation.remains.max <= tolerance) {
        for (alternative, kernel) in &others {
            for fitted in fit::all(&known, kernel.as_ref(), other) {
                found.push(Explanation {
                    id: format!("{}+{}", alternative.id, fitted.id),
                    text: format!("{}, and {}", alternative.text, fitted.text),
                    remains: fitted.remains,
                    complexity: alternative.changes + fitted.complexity,
                });
            }
        }
    }
    found.retain(|explanation| explanation.remains.max.is_finite());
    let rank = |e: &Explanation| if e.remains.max <= tolerance { (0, e.complexity) } else { (1, 0) };
    found.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.remains.max.total_cmp(&b.remains.max)));
    Ok(found)
}
