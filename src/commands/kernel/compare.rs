//! `--compare`: a computed kernel against one from elsewhere, and the likely difference of conventions.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use faer::Mat;
use serde::Serialize;
use widthwise::record::tiles::MatrixFile;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::conventions::{Difference, Explanation, KernelKind, KernelQuestion, explain};
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::precision::{spread, subset};
use super::rows::{self, Signature};
use crate::cli::{Compared, KernelName};
use crate::terminal::columns::number;
use crate::terminal::console::Console;

/// Examples on which hypotheses are tried: enough that chance explains nothing.
const EXAMPLES: usize = 200;
/// The same where a pair of examples is expensive: images, of whose pixels there may be this many pairs.
const FEWEST: usize = 12;
/// Kernels of these examples that are in memory at once, one a hypothesis.
const HYPOTHESES: usize = 64;
/// Bytes of rows read at once.
const READ: usize = 4 << 20;

/// The other kernel.
pub(super) struct Other {
    file: MatrixFile,
    kernel: KernelName,
}

impl Other {
    /// Which of the computed kernels it is held against.
    pub(super) fn name(&self) -> &'static str {
        self.kernel.name()
    }
}

/// Opens the file before anything is computed.
///
/// # Errors
/// No matrix there, or a kernel that is not computed.
pub(super) fn open(asked: &Compared, only: Option<KernelName>) -> Result<Other> {
    let kernel = asked.kernel.or(only).unwrap_or(KernelName::Ntk);
    if let Some(only) = only.filter(|only| *only != kernel) {
        let (only, kernel) = (only.name(), kernel.name());
        bail!(
            "--compare {kernel}=... asks for the {kernel}, but --only {only} leaves it out; leave one of the two away"
        );
    }
    Ok(Other { file: MatrixFile::open(&asked.file, false)?, kernel })
}

/// What was computed here.
pub(super) struct ComputedKernels<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) trained: TrainedLayers,
    pub(super) left: &'a Inputs,
    pub(super) right: Option<&'a Inputs>,
    /// Bytes that may be taken.
    pub(super) room: u64,
}

#[derive(Serialize)]
struct ComparisonLine<'a> {
    event: &'static str,
    kernel: &'a str,
    file: &'a Path,
    max_relative_difference: f64,
    rms_relative_difference: f64,
    tolerance: f64,
    agrees: bool,
}

#[derive(Serialize)]
struct ExplanationLine<'a> {
    event: &'static str,
    id: &'a str,
    text: &'a str,
    max_relative_difference: f64,
    rms_relative_difference: f64,
    explains: bool,
}

/// Compares, prints, and says whether the kernels are equal to within `tolerance`.
///
/// # Errors
/// A kernel of another size or with entries that are no numbers; a failure to read.
pub(super) fn report(
    question: &ComputedKernels<'_>,
    here: &MatrixFile,
    other: &Other,
    tolerance: f64,
    console: &Console,
) -> Result<bool> {
    let path = other.file.path();
    let name = other.name();
    let (size, found) = ((here.rows(), here.columns()), (other.file.rows(), other.file.columns()));
    let is_transposed = size != found && size == (found.1, found.0);
    if size != found && !is_transposed {
        let per_output = found.0.is_multiple_of(size.0) && found.0 / size.0 == found.1 / size.1;
        let hint = if per_output { "; does it have one row for each example and output?" } else { "" };
        bail!("{} is {} x {}, but the {name} here is {} x {}{hint}", path.display(), found.0, found.1, size.0, size.1);
    }
    let (mut difference, signatures) = difference(here, &other.file, is_transposed)?;
    let agrees = difference.max <= tolerance && !is_transposed;
    console.json(&ComparisonLine {
        event: "comparison",
        kernel: name,
        file: path,
        max_relative_difference: difference.max,
        rms_relative_difference: difference.rms,
        tolerance,
        agrees,
    })?;
    let verdict = if agrees { "equals" } else { "differs from" };
    console.line(format_args!("the {name} {verdict} {}: {}", path.display(), words(&difference)))?;
    if agrees {
        return Ok(true);
    }
    let mut explanations = Vec::new();
    if is_transposed {
        explanations.push(rows::transposed(difference));
        if difference.max <= tolerance {
            print(&explanations, tolerance, console)?;
            return Ok(false);
        }
        difference = Difference { max: f64::INFINITY, rms: f64::INFINITY };
    }
    explanations.extend(rows::explain(here, &other.file, is_transposed, question.right.is_none(), &signatures)?);
    let known = conventions(question, other, is_transposed, tolerance)?;
    explanations.extend(known.into_iter().filter(|known| known.remains.max < difference.max));
    print(&explanations, tolerance, console)?;
    Ok(false)
}

/// The difference of all entries, read a few rows at a time.
fn difference(here: &MatrixFile, other: &MatrixFile, is_transposed: bool) -> Result<(Difference, [Signature; 2])> {
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
            let path = other.path().display();
            ensure!(b.is_finite(), "{path}: row {}, column {} is {b}; kernels are finite", i + 1, j + 1);
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
) -> Result<()> {
    if !is_transposed {
        return Ok(other.read_values(rows, columns, bytes, values)?);
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
    question: &ComputedKernels<'_>,
    other: &Other,
    is_transposed: bool,
    tolerance: f64,
) -> Result<Vec<Explanation>> {
    let layers = question.architecture.weight_layers()?;
    let positions = layers.iter().map(|layer| layer.positions).max().unwrap_or(1);
    let count = ((EXAMPLES as f64 / (positions as f64).sqrt()) as usize).max(FEWEST);
    let fits = (question.room as f64 / (HYPOTHESES * size_of::<f64>()) as f64).sqrt() as usize;
    let count = count.min(fits.max(FEWEST));
    let rows = spread(question.left.examples(), count);
    let columns = question.right.map_or_else(|| rows.clone(), |right| spread(right.examples(), count));
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
        left: subset(question.left, &rows),
        right: question.right.map(|right| subset(right, &columns)),
        trained: question.trained,
        kind: if other.kernel == KernelName::Nngp { KernelKind::Nngp } else { KernelKind::Ntk },
    };
    Ok(explain(&question, matrix.as_ref(), tolerance)?)
}

/// Prints what explains the difference, the simplest of it only, or what comes nearest.
fn print(explanations: &[Explanation], tolerance: f64, console: &Console) -> Result<()> {
    let explains = |explanation: &&Explanation| explanation.remains.max <= tolerance;
    let simplest = explanations.iter().filter(explains).map(|explanation| explanation.complexity).min();
    let likely: Vec<_> = explanations.iter().filter(explains).filter(|e| Some(e.complexity) == simplest).collect();
    let nearest = explanations.iter().min_by(|a, b| a.remains.max.total_cmp(&b.remains.max));
    for explanation in if likely.is_empty() { nearest.into_iter().collect() } else { likely.clone() } {
        console.json(&ExplanationLine {
            event: "explanation",
            id: &explanation.id,
            text: &explanation.text,
            max_relative_difference: explanation.remains.max,
            rms_relative_difference: explanation.remains.rms,
            explains: explanation.remains.max <= tolerance,
        })?;
    }
    for (index, explanation) in likely.iter().enumerate() {
        let lead = if index == 0 { "likely because" } else { "or because" };
        console.line(format_args!("{lead} {} (what remains: {})", explanation.text, words(&explanation.remains)))?;
    }
    if likely.is_empty() {
        console.line("no known difference of conventions explains it")?;
        if let Some(nearest) = nearest {
            let remains = words(&nearest.remains);
            console.line(format_args!("nearest: {} (what remains: {remains})", nearest.text))?;
        }
    } else if likely.len() > 1 {
        console.note("these make the same kernel on these examples and cannot be told apart");
    }
    Ok(())
}

fn words(difference: &Difference) -> String {
    let Difference { max, rms } = difference;
    format!("largest difference {} of the largest entry, rms {}", number(*max, 3), number(*rms, 3))
}
