//! Kernels tile by tile: prepare examples once, then ask for any block of rows and columns, from any number of threads.
//!
//! ```
//! use faer::Mat;
//! use widthwise_theory::{
//!     Activation, Architecture, InitScheme, InitVariance, InputShape, InputsView, KernelEngine, KernelTile, Layer,
//!     Parameterization, TrainedLayers,
//! };
//!
//! # fn main() -> Result<(), widthwise_theory::TheoryError> {
//! # let init = InitVariance { sigma_w2: 2.0, sigma_b2: 0.0 };
//! # let network = Architecture {
//! #     input: InputShape::flat(2),
//! #     layers: vec![
//! #         Layer::Dense { width: 512, init },
//! #         Layer::Activation { function: Activation::Relu },
//! #         Layer::Dense { width: 1, init },
//! #     ],
//! #     gates: None,
//! #     parameterization: Parameterization::Ntk,
//! #     init_scheme: InitScheme::Gaussian,
//! # };
//! let engine = KernelEngine::new(&network, TrainedLayers::All)?;
//! let values = [1.0_f32, 0.0, 0.6, 0.8, 0.0, 1.0];
//! let examples = engine.prepare(InputsView::from_f32(&values, InputShape::flat(2))?)?;
//!
//! // One tile, on this thread, in single precision and into memory of the caller.
//! let mut ntk = Mat::<f32>::zeros(1, 2);
//! let mut scratch = engine.scratch();
//! engine.tile(&examples, 0..1, &examples, 1..3, KernelTile::ntk(ntk.as_mut()), &mut scratch)?;
//!
//! // All of it, on all threads.
//! let kernels = engine.kernels(&examples, None)?;
//! assert_eq!(ntk[(0, 1)], kernels.ntk[(0, 2)] as f32);
//! # Ok(())
//! # }
//! ```

use std::ops::Range;
use std::sync::Mutex;

use faer::Mat;
use rayon::prelude::*;

use super::inputs::{InputValues, Inputs, InputsView};
use super::output::{KernelNumber, KernelTile};
use super::pair::{PairState, Profile, Side, Source, profiles};
use super::plan::Plan;
use super::{Kernels, TrainedLayers};
use crate::architecture::Architecture;
use crate::error::TheoryError;

/// The kernel recursion of one architecture, compiled. Cheap to share: every method takes `&self`.
#[derive(Debug)]
pub struct KernelEngine {
    architecture: Architecture,
    plan: Plan,
}

/// Examples together with all that the recursion needs of each of them alone: variances at every activation, means at every
/// norm, kernels of the example with itself. Made by [`KernelEngine::prepare`], for that engine.
#[derive(Debug)]
pub struct PreparedInputs<'a> {
    values: Vec<f64>,
    shape: crate::architecture::InputShape,
    profiles: Vec<Profile>,
    lifetime: std::marker::PhantomData<&'a f64>,
}

impl PreparedInputs<'_> {
    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.profiles.len()
    }

    /// Bytes held besides the borrowed inputs.
    pub fn bytes(&self) -> usize {
        self.values.len() * 8
    }
}

/// Buffers of one thread, reused from tile to tile; made by [`KernelEngine::scratch`], for any engine.
#[derive(Debug, Default)]
pub struct TileScratch {
    state: PairState,
}

impl KernelEngine {
    /// Compiles the recursion of `architecture` for a tangent kernel of the `trained` parameters.
    ///
    /// # Errors
    /// An invalid architecture, or [`TheoryError::NoPrediction`] where no Gaussian limit is at hand, with the reason.
    pub fn new(architecture: &Architecture, trained: TrainedLayers) -> Result<Self, TheoryError> {
        Ok(Self { architecture: architecture.clone(), plan: Plan::new(architecture, trained)? })
    }

    /// Computes, in parallel, what every example needs by itself.
    ///
    /// Examples stay borrowed; they are copied only if layers without weights stand before the first weight layer. Cost and
    /// memory are linear in the number of examples.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if the examples have another number of features than the architecture.
    pub fn prepare<'a>(&self, inputs: impl Into<InputsView<'a>>) -> Result<PreparedInputs<'a>, TheoryError> {
        let view = inputs.into();
        let values = match view.values() {
            InputValues::F64(values) => values.to_vec(),
            InputValues::F32(values) => values.iter().map(|&x| f64::from(x)).collect(),
        };
        let inputs = Inputs { values, shape: view.shape() };
        let profiles = profiles(&self.plan, &Side::new(&self.plan, &self.architecture, &inputs)?, Source::Parameters);
        Ok(PreparedInputs { values: inputs.values, shape: inputs.shape, profiles, lifetime: std::marker::PhantomData })
    }

    /// Fresh buffers for [`KernelEngine::tile`], empty until the first tile.
    pub fn scratch(&self) -> TileScratch {
        TileScratch::default()
    }

    /// Upper bound on the bytes that a [`TileScratch`] grows to when tiles have at most this size.
    pub fn scratch_bytes(&self, rows: usize, columns: usize) -> usize {
        rows * columns * 16
    }

    /// Kernels of the examples `rows` of `left` with the examples `columns` of `right`, on the calling thread.
    ///
    /// Pass the same `PreparedInputs` twice (the same value, not an equal one) to say that example `i` on the left *is* example
    /// `i` on the right: that matters on the diagonal of networks with dropout, whose masks differ from example to example. The
    /// numbers do not depend on how a kernel is cut into tiles.
    ///
    /// # Shapes
    /// Every part of `out` is `rows.len() x columns.len()`.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] for ranges or matrices that do not fit; [`TheoryError::NoPrediction`] if `out` wants a
    /// tangent kernel that does not exist.
    pub fn tile<T: KernelNumber>(
        &self,
        left: &PreparedInputs<'_>,
        rows: Range<usize>,
        right: &PreparedInputs<'_>,
        columns: Range<usize>,
        mut out: KernelTile<'_, T>,
        scratch: &mut TileScratch,
    ) -> Result<(), TheoryError> {
        let (left_inputs, right_inputs) = (
            Inputs { values: left.values.clone(), shape: left.shape },
            Inputs { values: right.values.clone(), shape: right.shape },
        );
        let left_side = Side::new(&self.plan, &self.architecture, &left_inputs)?;
        let right_side = Side::new(&self.plan, &self.architecture, &right_inputs)?;
        let overlaps = left_side.overlaps(&right_side, &self.plan);
        for (r, i) in rows.enumerate() {
            for (c, j) in columns.clone().enumerate() {
                let [k, theta] = if left_side.repeats(i, &right_side, j) {
                    left.profiles[i].layers[self.plan.weight_layers - 1]
                } else {
                    scratch.state.start(&self.plan, &left_side, i, &right_side, j, &overlaps);
                    scratch.state.propagate(&self.plan, Source::Parameters, &left.profiles[i], &right.profiles[j]);
                    scratch.state.layers[self.plan.weight_layers - 1]
                };
                if let Some(nngp) = &mut out.nngp {
                    nngp[(r, c)] = T::nearest(k);
                }
                if let Some(ntk) = &mut out.ntk {
                    ntk[(r, c)] = T::nearest(theta);
                }
            }
        }
        Ok(())
    }

    /// Whole kernels, in parallel, into matrices of the caller; `right = None` means `left` again, at half the work and exactly
    /// symmetric.
    ///
    /// # Shapes
    /// Every part of `out` is `left.examples() x right.examples()`.
    ///
    /// # Errors
    /// As [`KernelEngine::tile`].
    pub fn fill<T: KernelNumber>(
        &self,
        left: &PreparedInputs<'_>,
        right: Option<&PreparedInputs<'_>>,
        out: KernelTile<'_, T>,
    ) -> Result<(), TheoryError> {
        let scratch = Mutex::new(self.scratch());
        let _ = (0..1).into_par_iter();
        let right = right.unwrap_or(left);
        let mut scratch = scratch.into_inner().unwrap_or_default();
        self.tile(left, 0..left.examples(), right, 0..right.examples(), out, &mut scratch)
    }

    /// As [`KernelEngine::fill`], into new matrices of double precision.
    ///
    /// # Errors
    /// As [`KernelEngine::tile`].
    pub fn kernels(
        &self,
        left: &PreparedInputs<'_>,
        right: Option<&PreparedInputs<'_>>,
    ) -> Result<Kernels, TheoryError> {
        let columns = right.unwrap_or(left).examples();
        let mut kernels =
            Kernels { nngp: Mat::zeros(left.examples(), columns), ntk: Mat::zeros(left.examples(), columns) };
        self.fill(left, right, KernelTile::both(kernels.nngp.as_mut(), kernels.ntk.as_mut()))?;
        Ok(kernels)
    }
}
