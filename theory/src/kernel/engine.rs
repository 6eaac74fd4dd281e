//! Kernels tile by tile: prepare examples once, then ask for any block of rows and columns, from any number of threads.
//!
//! ```
//! use faer::Mat;
//! use widthwise_theory::{activation::Activation, architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization}, kernel::{InputsView, KernelEngine, KernelTile, TrainedLayers}};
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
use std::sync::atomic::{AtomicU64, Ordering};

use faer::Mat;
use rayon::prelude::*;

use super::deterministic;
use super::inputs::InputsView;
use super::law::no_prediction;
use super::near;
use super::output::{KernelNumber, KernelTile};
use super::pairs::{self, PairExamples, PairScratch};
use super::panel::{PanelScratch, Recursion, Region};
use super::prepared::{PreparedInputs, Rows, fingerprint};
use super::profile::{ExampleProfile, Profiles};
use super::program::Program;
use super::stages::Method;
use super::{Kernels, TangentSource, TrainedLayers};
use crate::architecture::{Architecture, Gates};
use crate::error::TheoryError;

/// The kernel recursion of one architecture, compiled. Cheap to share: every method takes `&self`.
#[derive(Debug)]
pub struct KernelEngine {
    /// Tells engines apart.
    number: u64,
    features: usize,
    gates: Option<Gates>,
    program: Program,
    method: Method,
}

/// Buffers of one thread, reused from tile to tile; made by [`KernelEngine::scratch`], for any engine.
#[derive(Debug, Default)]
pub struct TileScratch {
    panel: PanelScratch,
}

impl TileScratch {
    /// Bytes of memory held now.
    pub fn bytes(&self) -> usize {
        self.panel.bytes()
    }
}

/// Profile, fingerprint and order, values at the sources that are not the input, and gates of one example.
type AloneExample = (ExampleProfile, [u64; 2], Vec<Vec<f64>>, Vec<f64>);

static ENGINES: AtomicU64 = AtomicU64::new(0);

impl KernelEngine {
    /// Compiles the recursion of `architecture` for a tangent kernel of the `trained` parameters.
    ///
    /// # Errors
    /// An invalid architecture, or [`TheoryError::NoPrediction`] where no Gaussian limit is at hand, with the reason.
    pub fn new(architecture: &Architecture, trained: TrainedLayers) -> Result<Self, TheoryError> {
        let program = Program::new(architecture, trained)?;
        let method = Method::new(&program);
        Ok(Self {
            number: ENGINES.fetch_add(1, Ordering::Relaxed),
            features: architecture.input.features(),
            gates: architecture.gates.clone().filter(|_| program.gated),
            program,
            method,
        })
    }

    /// As [`KernelEngine::new`], by whole tensors over all pairs of positions and one pair at a time: slow, without any
    /// shortcut, and the reference for the others.
    ///
    /// # Errors
    /// As [`KernelEngine::new`].
    pub fn reference(architecture: &Architecture, trained: TrainedLayers) -> Result<Self, TheoryError> {
        Ok(Self { method: Method::Tensors, ..Self::new(architecture, trained)? })
    }

    /// Whether pairs of positions are all carried at once: so for graphs that pool inside a branch, and images that repeat where
    /// sizes change by no whole factor. The other methods are far faster.
    pub fn carries_whole_tensors(&self) -> bool {
        matches!(self.method, Method::Tensors)
    }

    /// Computes, in parallel, what every example needs by itself.
    ///
    /// Examples stay borrowed; they are copied only if layers without weights stand before the first weight layer. Cost and
    /// memory are linear in the number of examples.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if the examples have another number of features than the architecture.
    pub fn prepare<'a>(&self, inputs: impl Into<InputsView<'a>>) -> Result<PreparedInputs<'a>, TheoryError> {
        self.prepare_from(inputs.into(), TangentSource::Parameters)
    }

    pub(super) fn prepare_from<'a>(
        &self,
        view: InputsView<'a>,
        source: TangentSource,
    ) -> Result<PreparedInputs<'a>, TheoryError> {
        if view.shape().features() != self.features {
            return Err(TheoryError::ShapeMismatch {
                what: "features of an example",
                expected: self.features,
                found: view.shape().features(),
            });
        }
        // A tangent kernel that does not exist is not tried; tiles that want it are refused.
        let source = if self.program.tangent_obstacle(source).is_some() { TangentSource::Nothing } else { source };
        let examples = view.examples();
        let borrowed = Rows::borrowed(view);
        let is_parallel = examples < 4 * rayon::current_num_threads();
        let alone = (0..examples).into_par_iter().map_init(PairScratch::default, |scratch, i| {
            let (states, gates) = self.states_of(&borrowed, i)?;
            let rows: Vec<&[f64]> = self.program.sources.iter().map(|s| states[s.state].as_slice()).collect();
            let gate = gates.iter().map(|g| g * g).sum::<f64>() / gates.len().max(1) as f64;
            let gate = if gates.is_empty() { 1.0 } else { gate };
            let profile = pairs::alone(&self.program, &self.method, &rows, gate, source, scratch, is_parallel);
            let all = || rows.iter().copied().chain([gates.as_slice()]);
            let found = fingerprint(all(), 1.0);
            let mirrors = self.program.mirror.is_some();
            let hash = [found, if mirrors { found.min(fingerprint(all(), -1.0)) } else { found }];
            let own =
                self.program.sources.iter().map(|s| if s.state == 0 { Vec::new() } else { states[s.state].clone() });
            Ok((profile, hash, own.collect(), gates))
        });
        let alone: Vec<AloneExample> = alone.collect::<Result<_, TheoryError>>()?;
        let sources = self.program.sources.iter().enumerate().map(|(index, source)| match source.state {
            0 => Rows::borrowed(view),
            _ => Rows::owned(alone.iter().flat_map(|e| e.2[index].iter().copied()).collect(), source.shape.features()),
        });
        let gates = self.gates.as_ref().map(|gates| {
            Rows::owned(alone.iter().flat_map(|example| example.3.iter().copied()).collect(), gates.count())
        });
        let (sources, fingerprints) = (sources.collect(), alone.iter().map(|example| example.1[0]).collect());
        let orders = alone.iter().map(|example| example.1[1]).collect();
        let is_extreme = |example: &AloneExample| example.0.variances.iter().flatten().any(|q| near::is_extreme(*q));
        let extreme = match self.program.watch {
            Some(_) => alone.iter().map(is_extreme).collect(),
            None => Vec::new(),
        };
        let profiles: Vec<ExampleProfile> = alone.into_iter().map(|example| example.0).collect();
        let profiles = Profiles::new(&self.program, &profiles);
        Ok(PreparedInputs { engine: self.number, examples, sources, gates, profiles, fingerprints, orders, extreme })
    }

    /// Values of example `i` at all deterministic states that matter, and its gates.
    fn states_of(&self, inputs: &Rows<'_>, i: usize) -> Result<(Vec<Vec<f64>>, Vec<f64>), TheoryError> {
        let mut states = vec![Vec::new(); self.program.sizes.len()];
        let mut buffer = Vec::new();
        states[0] = inputs.rows(i..i + 1, &mut buffer).to_vec();
        let gates = self.gates.as_ref().map(|gates| gates.evaluate(&states[0], self.features)).unwrap_or_default();
        deterministic::evaluate(&self.program.recipe, &mut states)?;
        Ok((states, gates))
    }

    /// Fresh buffers for [`KernelEngine::tile`], empty until the first tile.
    pub fn scratch(&self) -> TileScratch {
        TileScratch::default()
    }

    /// Upper bound on the bytes that a [`TileScratch`] grows to, whatever the tile: the memory of a thread besides prepared
    /// examples and output. [`KernelEngine::fill`] holds one a thread, and one more where it splits single pairs.
    pub fn scratch_bytes(&self) -> usize {
        self.recursion(true, false).scratch_bytes(self.features)
    }

    fn recursion(&self, tangent: bool, parallel: bool) -> Recursion<'_> {
        let source = if tangent { TangentSource::Parameters } else { TangentSource::Nothing };
        Recursion { program: &self.program, method: &self.method, source, parallel }
    }

    /// Kernels of the examples `rows` of `left` with the examples `columns` of `right`, on the calling thread.
    ///
    /// Pass the same `PreparedInputs` twice (the same value, not an equal one) to say that example `i` on the left *is* example
    /// `i` on the right: that matters on the diagonal of networks with dropout, whose masks differ from example to example.
    ///
    /// The numbers do not depend on how a kernel is cut into tiles, on threads, nor on which side an example stands, to the last
    /// bit; those of activations without a closed form, whose series end where their terms stop to count, to rounding.
    ///
    /// # Shapes
    /// Every part of `out` is `rows.len() x columns.len()`.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] for ranges or matrices that do not fit, or examples prepared by another engine;
    /// [`TheoryError::NoPrediction`] if `out` wants a tangent kernel that does not exist.
    pub fn tile<T: KernelNumber>(
        &self,
        left: &PreparedInputs<'_>,
        rows: Range<usize>,
        right: &PreparedInputs<'_>,
        columns: Range<usize>,
        mut out: KernelTile<'_, T>,
        scratch: &mut TileScratch,
    ) -> Result<(), TheoryError> {
        self.check(left, &rows, right, &columns, &out)?;
        let recursion = self.recursion(out.ntk.is_some(), false);
        let [height, width] = recursion.panel_size();
        for r in rows.clone().step_by(height) {
            for c in columns.clone().step_by(width) {
                let (r, c) = (r..(r + height).min(rows.end), c..(c + width).min(columns.end));
                let region = Region { left, rows: r.clone(), right, columns: c.clone(), upper: false };
                recursion.compute(&region, &mut scratch.panel);
                out.part(r.start - rows.start..r.end - rows.start, c.start - columns.start..c.end - columns.start)
                    .write(&scratch.panel, false);
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
        let columns = right.unwrap_or(left);
        self.check(left, &(0..left.examples()), columns, &(0..columns.examples()), &out)?;
        super::fill::fill(self.recursion(out.ntk.is_some(), true), left, right, out);
        Ok(())
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
        let (rows, columns) = (left.examples(), right.unwrap_or(left).examples());
        let mut kernels = Kernels { nngp: Mat::zeros(rows, columns), ntk: Mat::zeros(rows, columns) };
        self.fill(left, right, KernelTile::both(kernels.nngp.as_mut(), kernels.ntk.as_mut()))?;
        Ok(kernels)
    }

    /// `K(x, x)` and `Theta(x, x)` at the readout of every example, known since they were prepared.
    pub fn diagonal(&self, examples: &PreparedInputs<'_>) -> Vec<[f64; 2]> {
        (0..examples.examples()).map(|i| examples.profiles.layers(i)[self.program.weight_layers - 1]).collect()
    }

    /// `K` and `Theta` of every pair after every weight layer, `left x right x layers` row-major; with `right = None` only columns
    /// from the row's own on.
    pub(super) fn by_layer(
        &self,
        left: &PreparedInputs<'_>,
        right: Option<&PreparedInputs<'_>>,
    ) -> Result<Vec<Vec<[f64; 2]>>, TheoryError> {
        self.expect_tangent()?;
        let columns = right.unwrap_or(left);
        let recursion = self.recursion(true, false);
        let row = |scratch: &mut PairScratch, i: usize| {
            let mut row = Vec::new();
            for j in (if right.is_none() { i } else { 0 })..columns.examples() {
                let region = Region { left, rows: i..i + 1, right: columns, columns: j..j + 1, upper: false };
                if let Some(signs) = recursion.repetition(&region, i, j) {
                    let layers = left.profiles.layers(i).iter().enumerate();
                    row.extend(layers.map(|(layer, kernels)| kernels.map(|x| signs.map_or(x, |s| s[layer] * x))));
                    continue;
                }
                let examples = PairExamples { left: (left, i), right: (columns, j) };
                pairs::pair(
                    &self.program,
                    &self.method,
                    examples,
                    TangentSource::Parameters,
                    Some(&mut row),
                    scratch,
                    false,
                );
            }
            row
        };
        Ok((0..left.examples()).into_par_iter().map_init(PairScratch::default, row).collect())
    }

    /// `K` and `Theta` of every example with itself after every weight layer.
    pub(super) fn layers_alone(&self, examples: &PreparedInputs<'_>) -> Vec<Vec<[f64; 2]>> {
        (0..examples.examples()).map(|i| examples.profiles.layers(i).to_vec()).collect()
    }

    pub(super) fn expect_tangent(&self) -> Result<(), TheoryError> {
        self.expect_tangent_of(TangentSource::Parameters)
    }

    pub(super) fn expect_tangent_of(&self, source: TangentSource) -> Result<(), TheoryError> {
        self.program.tangent_obstacle(source).map_or(Ok(()), |reason| Err(no_prediction(reason)))
    }

    /// Weight layers of the architecture.
    pub(super) fn weight_layers(&self) -> usize {
        self.program.weight_layers
    }

    fn check<T>(
        &self,
        left: &PreparedInputs<'_>,
        rows: &Range<usize>,
        right: &PreparedInputs<'_>,
        columns: &Range<usize>,
        out: &KernelTile<'_, T>,
    ) -> Result<(), TheoryError> {
        let expect = |what: &'static str, expected: usize, found: usize, fits: bool| match fits {
            true => Ok(()),
            false => Err(TheoryError::ShapeMismatch { what, expected, found }),
        };
        for (side, range) in [(left, rows), (right, columns)] {
            let (number, engine) = (self.number as usize, side.engine as usize);
            expect("number of the engine that prepared the examples", number, engine, number == engine)?;
            expect("examples (at least)", range.end, side.examples(), range.end <= side.examples())?;
        }
        for matrix in [&out.nngp, &out.ntk].into_iter().flatten() {
            expect("rows of a tile", rows.len(), matrix.nrows(), rows.len() == matrix.nrows())?;
            expect("columns of a tile", columns.len(), matrix.ncols(), columns.len() == matrix.ncols())?;
        }
        if out.ntk.is_some() { self.expect_tangent() } else { Ok(()) }
    }
}
