//! Blocks of the two kernels of an architecture, computed on all threads with bounded memory.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use faer::MatMut;
use rayon::prelude::*;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::conventions::KernelKind;
use widthwise_theory::kernel::{
    Inputs, InputsView, KernelEngine, KernelTile, PreparedInputs, TileScratch, TrainedLayers,
};

/// Rows that a thread takes at once, at most.
const STRIP: usize = 64;

/// Examples from which the memory of all is estimated.
const SAMPLE: usize = 4;

/// Which of the kernels are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedKernels {
    /// The covariance of outputs before training.
    pub nngp: bool,
    /// The tangent kernel.
    pub ntk: bool,
}

impl WantedKernels {
    /// Both.
    pub const BOTH: Self = Self { nngp: true, ntk: true };

    /// One of them, or both.
    pub fn only(kernel: Option<KernelKind>) -> Self {
        Self { nngp: kernel != Some(KernelKind::Ntk), ntk: kernel != Some(KernelKind::Nngp) }
    }

    /// How many.
    pub fn count(self) -> usize {
        usize::from(self.nngp) + usize::from(self.ntk)
    }

    /// Their names, in the order in which they are computed.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [("nngp", self.nngp), ("ntk", self.ntk)].into_iter().filter_map(|(name, is_wanted)| is_wanted.then_some(name))
    }
}

/// The engine with its examples.
#[derive(Debug)]
pub struct Blocks<'a> {
    engine: KernelEngine,
    left: PreparedInputs<'a>,
    /// `None` where columns are the examples of the rows.
    right: Option<PreparedInputs<'a>>,
    scratch: Mutex<Vec<TileScratch>>,
    is_image: bool,
}

impl<'a> Blocks<'a> {
    /// Prepares the examples.
    ///
    /// # Errors
    /// An architecture without a limit, or inputs that do not fit it.
    pub fn new(
        architecture: &Architecture,
        trained: TrainedLayers,
        left: &'a Inputs,
        right: Option<&'a Inputs>,
    ) -> Result<Self, TheoryError> {
        let engine = KernelEngine::new(architecture, trained)?;
        let left = engine.prepare(left)?;
        let right = right.map(|inputs| engine.prepare(inputs)).transpose()?;
        let is_image = architecture.weight_layers()?.iter().any(|layer| layer.positions > 1);
        Ok(Self { engine, left, right, scratch: Mutex::default(), is_image })
    }

    /// Bytes that preparing `examples` examples like these takes, judged by the first few.
    ///
    /// # Errors
    /// As [`Blocks::new`].
    pub fn expected_bytes(
        architecture: &Architecture,
        trained: TrainedLayers,
        inputs: &Inputs,
        examples: usize,
    ) -> Result<usize, TheoryError> {
        let engine = KernelEngine::new(architecture, trained)?;
        let count = inputs.examples().clamp(1, SAMPLE);
        // While they are made, they are there twice.
        let sample = &inputs.values[..inputs.values.len().min(count * inputs.shape.features())];
        let prepared = engine.prepare(InputsView::from_f64(sample, inputs.shape)?)?;
        Ok((2 * prepared.bytes() / count).saturating_mul(examples))
    }

    /// Whether layers act on many positions, which makes pairs of examples expensive.
    pub fn is_image(&self) -> bool {
        self.is_image
    }

    /// Whether columns are the examples of the rows.
    pub fn is_symmetric(&self) -> bool {
        self.right.is_none()
    }

    /// Rows and columns of the whole kernels.
    pub fn size(&self) -> (usize, usize) {
        (self.left.examples(), self.right.as_ref().unwrap_or(&self.left).examples())
    }

    /// Bytes that the threads need besides the result.
    pub fn scratch_bytes(&self) -> usize {
        rayon::current_num_threads() * self.engine.scratch_bytes()
    }

    /// The kernels at `rows` and `columns`, row by row, into as many buffers as are wanted, which are resized.
    ///
    /// A block on the diagonal of a kernel of examples with themselves is symmetric to the last bit.
    ///
    /// # Errors
    /// A tangent kernel that does not exist.
    pub fn compute(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        wanted: WantedKernels,
        out: &mut [Vec<f64>],
    ) -> Result<(), TheoryError> {
        let (height, width) = (rows.len(), columns.len());
        out.iter_mut().for_each(|values| values.resize(height * width, 0.0));
        let is_diagonal = self.right.is_none() && rows == columns;
        let right = self.right.as_ref().unwrap_or(&self.left);
        let strip = strip(height);
        // One row of parts a strip: the strips of the kernels that are wanted.
        let mut strips: Vec<Vec<&mut [f64]>> = (0..height.div_ceil(strip)).map(|_| Vec::new()).collect();
        for values in out.iter_mut() {
            strips.iter_mut().zip(values.chunks_mut(strip * width)).for_each(|(strip, part)| strip.push(part));
        }
        strips.into_par_iter().enumerate().with_max_len(1).try_for_each(|(index, parts)| {
            let (start, end) = (index * strip, ((index + 1) * strip).min(height));
            let skipped = if is_diagonal { start } else { 0 };
            let mut views = parts.into_iter().map(|values| {
                MatMut::from_row_major_slice_mut(values, end - start, width).subcols_mut(skipped, width - skipped)
            });
            let nngp = if wanted.nngp { views.next() } else { None };
            let tile = KernelTile { nngp, ntk: if wanted.ntk { views.next() } else { None } };
            let (rows, columns) = (rows.start + start..rows.start + end, columns.start + skipped..columns.end);
            let mut scratch = self.borrow_scratch();
            let result = self.engine.tile(&self.left, rows, right, columns, tile, &mut scratch);
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
            result
        })?;
        if is_diagonal {
            for values in out {
                for i in 0..height {
                    (0..i).for_each(|j| values[i * width + j] = values[j * width + i]);
                }
            }
        }
        Ok(())
    }

    /// One kernel at `rows` and `columns` on the calling thread, for callers with threads of their own.
    ///
    /// # Errors
    /// As [`Blocks::compute`].
    pub fn tile(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        name: &str,
        out: MatMut<'_, f64>,
    ) -> Result<(), TheoryError> {
        let right = self.right.as_ref().unwrap_or(&self.left);
        let tile = if name == "nngp" { KernelTile::nngp(out) } else { KernelTile::ntk(out) };
        let mut scratch = self.borrow_scratch();
        let result = self.engine.tile(&self.left, rows, right, columns, tile, &mut scratch);
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }

    /// Bytes that the threads need besides the result for tiles of this size, one a thread.
    pub fn tile_bytes(&self, rows: usize, columns: usize) -> usize {
        self.scratch_bytes() + rayon::current_num_threads() * rows * columns * size_of::<f64>()
    }

    fn borrow_scratch(&self) -> TileScratch {
        let free = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| self.engine.scratch())
    }
}

/// Rows of a strip: some for every thread, so that none waits long for the last.
fn strip(rows: usize) -> usize {
    rows.div_ceil(4 * rayon::current_num_threads()).clamp(1, STRIP)
}

#[cfg(test)]
mod tests {
    use widthwise_theory::architecture::InputShape;
    use widthwise_theory::kernel::kernels;

    use super::*;
    use crate::config::NetworkConfig;
    use crate::network::build_architecture;

    #[test]
    fn blocks_are_those_of_the_whole_kernels() {
        let shape = InputShape::flat(3);
        let values = |n: usize| (0..3 * n).map(|i| ((7 * i) as f64).sin() + 0.1).collect::<Vec<_>>();
        let (left, right) = (Inputs::new(values(9), shape).unwrap(), Inputs::new(values(4), shape).unwrap());
        let network = NetworkConfig { depth: 2, ..NetworkConfig::default() };
        let architecture = build_architecture(&network, shape, 1, None).unwrap();
        for right in [None, Some(&right)] {
            let whole = kernels(&architecture, &left, right).unwrap();
            let blocks = Blocks::new(&architecture, TrainedLayers::All, &left, right).unwrap();
            for (rows, columns) in [(0..9, 0..blocks.size().1), (2..5, 2..4), (1..4, 1..4), (6..9, 3..4)] {
                let mut out = [Vec::new(), Vec::new()];
                blocks.compute(rows.clone(), columns.clone(), WantedKernels::BOTH, &mut out).unwrap();
                let mut ntk = [Vec::new()];
                let only = WantedKernels { nngp: false, ntk: true };
                blocks.compute(rows.clone(), columns.clone(), only, &mut ntk).unwrap();
                assert_eq!(ntk[0], out[1]);
                for (i, row) in rows.clone().enumerate() {
                    for (j, column) in columns.clone().enumerate() {
                        let at = i * columns.len() + j;
                        let near = |found: f64, expected: f64| {
                            let bound = 100.0 * f64::EPSILON * expected.abs();
                            assert!((found - expected).abs() <= bound, "({row}, {column}): {found} against {expected}");
                        };
                        near(out[0][at], whole.nngp[(row, column)]);
                        near(out[1][at], whole.ntk[(row, column)]);
                    }
                }
            }
        }
        let expected = Blocks::expected_bytes(&architecture, TrainedLayers::All, &left, 9).unwrap();
        let prepared = Blocks::new(&architecture, TrainedLayers::All, &left, None).unwrap().left.bytes();
        assert!(expected >= prepared && expected <= prepared * 4, "{expected} against {prepared}");
    }
}
