//! A computed kernel against one from elsewhere, and the likely difference of conventions.

use std::io;
use std::path::Path;

use faer::Mat;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::conventions::{Difference, Explanation, KernelKind, KernelQuestion, explain};
use widthwise_theory::kernel::TrainedLayers;

use super::precision::{spread, subset};
use super::rows::{self, Signature};
use super::{KernelError, KernelInputs, kind_name};
use crate::record::tiles::MatrixFile;

/// Examples on which hypotheses are tried: enough that chance explains nothing.
const EXAMPLES: usize = 200;
/// The same where a pair of examples is expensive: images, of whose pixels there may be this many pairs.
const FEWEST: usize = 12;
/// Kernels of these examples that are in memory at once, one a hypothesis.
const HYPOTHESES: usize = 64;
/// Bytes of rows read at once.
const READ: usize = 4 << 20;

/// The other kernel.
#[derive(Debug)]
pub struct OtherKernel {
    file: MatrixFile,
    kernel: KernelKind,
}

/// What was computed here.
#[derive(Debug, Clone, Copy)]
pub struct ComparedWith<'a> {
    /// The network.
    pub architecture: &'a Architecture,
    /// What the tangent kernel is of.
    pub trained: TrainedLayers,
    /// Its examples.
    pub inputs: KernelInputs<'a>,
    /// Bytes that may be taken.
    pub room: u64,
}

/// How far the two kernels are apart.
#[derive(Debug)]
pub struct KernelDifference {
    /// Over all entries.
    pub difference: Difference,
    /// Largest difference at which they are equal.
    pub tolerance: f64,
    /// Whether they are.
    pub agrees: bool,
    is_transposed: bool,
    signatures: [Signature; 2],
}

/// Why two kernels may differ.
#[derive(Debug, Default)]
pub struct LikelyReasons {
    /// The simplest that leave no difference above the tolerance; they cannot be told apart on these examples.
    pub likely: Vec<Explanation>,
    /// If there is none, what comes nearest.
    pub nearest: Option<Explanation>,
}

impl LikelyReasons {
    fn of(explanations: Vec<Explanation>, tolerance: f64) -> Self {
        let explains = |explanation: &&Explanation| explanation.remains.max <= tolerance;
        let simplest = explanations.iter().filter(explains).map(|explanation| explanation.complexity).min();
        let is_simplest = |explanation: &&Explanation| Some(explanation.complexity) == simplest;
        let likely: Vec<_> = explanations.iter().filter(explains).filter(is_simplest).cloned().collect();
        let nearest = explanations.into_iter().min_by(|a, b| a.remains.max.total_cmp(&b.remains.max));
        Self { nearest: nearest.filter(|_| likely.is_empty()), likely }
    }
}

impl OtherKernel {
    /// Opens the file before anything is computed. It is said to hold `kernel`, or else the one that is computed alone, or the tangent
    /// kernel.
    ///
    /// # Errors
    /// No matrix there, or a kernel that is not computed.
    pub fn open(path: &Path, kernel: Option<KernelKind>, only: Option<KernelKind>) -> Result<Self, KernelError> {
        let kernel = kernel.or(only).unwrap_or(KernelKind::Ntk);
        if let Some(only) = only.filter(|only| *only != kernel) {
            return Err(KernelError::LeftOut { kernel: kind_name(kernel), only: kind_name(only) });
        }
        Ok(Self { file: MatrixFile::open(path, false)?, kernel })
    }

    /// Which of the computed kernels it is held against.
    pub fn name(&self) -> &'static str {
        kind_name(self.kernel)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Compares all entries with those of the kernel `here`; they are equal to within `tolerance`, in units of the largest entry.
    ///
    /// # Errors
    /// A kernel of another size or with entries that are no numbers; a failure to read.
    pub fn compare(&self, here: &MatrixFile, tolerance: f64) -> Result<KernelDifference, KernelError> {
        let (size, found) = ((here.rows(), here.columns()), (self.file.rows(), self.file.columns()));
        let is_transposed = size != found && size == (found.1, found.0);
        if size != found && !is_transposed {
            let per_output = found.0.is_multiple_of(size.0) && found.0 / size.0 == found.1 / size.1;
            let hint = if per_output { "; does it have one row for each example and output?" } else { "" };
            let path = self.path().to_owned();
            return Err(KernelError::OtherSize { path, found, kernel: self.name(), size, hint });
        }
        let (difference, signatures) = difference(here, &self.file, is_transposed)?;
        let agrees = difference.max <= tolerance && !is_transposed;
        Ok(KernelDifference { difference, tolerance, agrees, is_transposed, signatures })
    }

    /// Looks for the reason of a difference from the kernel `here`: other orders of examples, and other conventions.
    ///
    /// # Errors
    /// A failure to read.
    pub fn explain(
        &self,
        here: &MatrixFile,
        found: &KernelDifference,
        question: ComparedWith<'_>,
    ) -> Result<LikelyReasons, KernelError> {
        let &KernelDifference { mut difference, tolerance, is_transposed, ref signatures, .. } = found;
        let mut explanations = Vec::new();
        if is_transposed {
            explanations.push(rows::transposed(difference));
            if difference.max <= tolerance {
                return Ok(LikelyReasons::of(explanations, tolerance));
            }
            difference = Difference { max: f64::INFINITY, rms: f64::INFINITY };
        }
        let is_symmetric = question.inputs.right.is_none();
        explanations.extend(rows::explain(here, &self.file, is_transposed, is_symmetric, signatures)?);
        let known = conventions(question, self, is_transposed, tolerance)?;
        explanations.extend(known.into_iter().filter(|known| known.remains.max < difference.max));
        Ok(LikelyReasons::of(explanations, tolerance))
    }
}

/// The difference of all entries, read a few rows at a time.
fn difference(
    here: &MatrixFile,
    other: &MatrixFile,
    is_transposed: bool,
) -> Result<(Difference, [Signature; 2]), KernelError> {
    let (rows, columns) = (here.rows(), here.columns());
    let at_once = (READ / (8 * columns.max(1))).max(1);
    let (mut bytes, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut signatures = [Signature::new(rows, columns), Signature::new(rows, columns)];
    let [mut most, mut scale, mut squares, mut norm] = [0.0_f64; 4];
    for start in (0..rows).step_by(at_once) {
        let part = start..(start + at_once).min(rows);
        here.read_values(part.clone(), 0..columns, &mut bytes, &mut ours)?;
        read(other, part, 0..columns, is_transposed, &mut bytes, &mut theirs)?;
        for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            let (i, j) = (start + at / columns, at % columns);
            if !b.is_finite() {
                let path = other.path().to_owned();
                return Err(KernelError::NotFinite { path, row: i + 1, column: j + 1, value: *b });
            }
            most = most.max((a - b).abs());
            scale = scale.max(b.abs());
            squares += (a - b).powi(2);
            norm += b * b;
            signatures[0].add(i, j, *a);
            signatures[1].add(i, j, *b);
        }
    }
    let relative = |difference: f64, scale: f64| if difference == 0.0 { 0.0 } else { difference / scale };
    Ok((Difference { max: relative(most, scale), rms: relative(squares.sqrt(), norm.sqrt()) }, signatures))
}

/// A block of the other kernel, in the order of the one here.
pub(super) fn read(
    other: &MatrixFile,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    is_transposed: bool,
    bytes: &mut Vec<u8>,
    values: &mut Vec<f64>,
) -> io::Result<()> {
    if !is_transposed {
        return other.read_values(rows, columns, bytes, values);
    }
    let (height, width) = (rows.len(), columns.len());
    let mut stored = Vec::new();
    other.read_values(columns, rows, bytes, &mut stored)?;
    values.clear();
    values.extend((0..height * width).map(|at| stored[(at % width) * height + at / width]));
    Ok(())
}

/// Hypotheses about architecture and convention, on some of the examples.
fn conventions(
    question: ComparedWith<'_>,
    other: &OtherKernel,
    is_transposed: bool,
    tolerance: f64,
) -> Result<Vec<Explanation>, KernelError> {
    let layers = question.architecture.weight_layers()?;
    let positions = layers.iter().map(|layer| layer.positions).max().unwrap_or(1);
    let count = ((EXAMPLES as f64 / (positions as f64).sqrt()) as usize).max(FEWEST);
    let fits = (question.room as f64 / (HYPOTHESES * size_of::<f64>()) as f64).sqrt() as usize;
    let count = count.min(fits.max(FEWEST));
    let KernelInputs { left, right } = question.inputs;
    let rows = spread(left.examples(), count);
    let columns = right.map_or_else(|| rows.clone(), |right| spread(right.examples(), count));
    let mut matrix = Mat::zeros(rows.len(), columns.len());
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for (i, &row) in rows.iter().enumerate() {
        for (j, &column) in columns.iter().enumerate() {
            read(&other.file, row..row + 1, column..column + 1, is_transposed, &mut bytes, &mut values)?;
            matrix[(i, j)] = values[0];
        }
    }
    let question = KernelQuestion {
        architecture: question.architecture.clone(),
        left: subset(left, &rows),
        right: right.map(|right| subset(right, &columns)),
        trained: question.trained,
        kind: other.kernel,
    };
    Ok(explain(&question, matrix.as_ref(), tolerance)?)
}
