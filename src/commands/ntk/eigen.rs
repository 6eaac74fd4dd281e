//! The largest eigenvalues with their vectors, by products of the kernel with vectors.

use std::path::Path;

use anyhow::Result;
use faer::Mat;
use rand::RngExt;
use serde::Serialize;
use widthwise::record::{atomic, npy};
use widthwise::signals::StopFlag;
use widthwise_probes::lanczos::{Eigenpair, Lanczos};
use widthwise_probes::ntk::Number;

use super::source::BlockSource;
use crate::cli::NtkArguments;
use crate::commands::Exit;
use crate::commands::budget::Budget;
use crate::commands::columns::{Align, columns, number};
use crate::commands::console::Console;
use crate::commands::kernel::{print_memory, with_ending};
use crate::commands::outputs::try_out;
use crate::progress::Parts;

/// Steps at most: a basis of them is kept.
const STEPS: usize = 400;
/// Examples of a block.
const BLOCK: usize = 512;

#[derive(Serialize)]
struct EigenpairLine {
    event: &'static str,
    index: usize,
    eigenvalue: f64,
    residual: f64,
}

/// Iterates, writes and prints.
///
/// # Errors
/// A place that cannot be written, or a budget that is too small.
pub(super) fn execute<T: Number>(
    arguments: &NtkArguments,
    mut blocks: BlockSource<'_, T>,
    count: usize,
    budget: Budget,
    stop: &StopFlag,
    console: &Console,
) -> Result<Exit> {
    let csv = with_ending(&arguments.out, ".eigenvalues.csv");
    let vectors = with_ending(&arguments.out, ".eigenvectors.npy");
    try_out(&csv)?;
    try_out(&vectors)?;
    let plan = *blocks.plan();
    let size = plan.rows * plan.output.per_example(plan.outputs);
    let count = count.min(size);
    let held = widthwise::memory::Bytes(0);
    let [block, work] = blocks.bytes_per_example();
    let basis = (8 * size * (STEPS.min(size) + 2 * count)) as u64;
    let fits = |examples: &usize| basis + ((2 * block + work) * examples) as u64 <= budget.left(held);
    let sizes = [BLOCK, 256, 128, 64, 32, 16, 8, 4, 2, 1];
    let examples = sizes.into_iter().find(fits).unwrap_or(1).min(plan.rows);
    budget.expect(basis + ((2 * block + work) * examples) as u64, held, "products with vectors")?;
    let room = budget.left(held).saturating_sub(basis + (work * examples) as u64);
    blocks.keep(usize::try_from(room / (block * examples).max(1) as u64).unwrap_or(usize::MAX));

    let mut random = widthwise_datasets::stream(0, "ntk.lanczos");
    let mut lanczos = Lanczos::new((0..size).map(|_| random.random_range(-1.0..1.0)).collect());
    // The products themselves are no better than this.
    let tolerance = if T::DTYPE == burn::tensor::DType::F64 { 1e-10 } else { 1e-5 };
    let most = STEPS.min(size);
    let progress = Parts::new(console, "steps", 0, most);
    while lanczos.steps() < most && !is_converged(&lanczos, count, tolerance) {
        if stop.is_raised() {
            console.line(format_args!("stopped after {} steps; nothing is written", lanczos.steps()))?;
            return Ok(Exit::Interrupted);
        }
        if !lanczos.step(|vector| blocks.multiply(vector, examples))? {
            break;
        }
        progress.advance();
    }
    drop(progress);
    let mut pairs = lanczos.largest(count);
    for pair in &mut pairs {
        // The residual of the vector as it is, round-off of the products included.
        let image = blocks.multiply(&pair.vector, examples)?;
        let defect = image.iter().zip(&pair.vector).map(|(image, v)| (image - pair.value * v).powi(2));
        pair.residual = defect.sum::<f64>().sqrt();
    }
    write_values(&csv, &pairs)?;
    npy::write(&vectors, &Mat::from_fn(size, pairs.len(), |i, k| pairs[k].vector[i]))?;
    print(&pairs, lanczos.steps(), console)?;
    if pairs.len() < count {
        console.note(format_args!("the iteration found only {} different eigenvalues", pairs.len()));
    }
    console.line(format_args!("written: {}, {}", csv.display(), vectors.display()))?;
    print_memory(arguments.memory, console)?;
    Ok(Exit::Done)
}

fn is_converged(lanczos: &Lanczos, count: usize, tolerance: f64) -> bool {
    // Looking costs a small decomposition: not at every step.
    if lanczos.steps() < count + 2 || !lanczos.steps().is_multiple_of(4) {
        return false;
    }
    let Some([_, largest]) = lanczos.extremes() else { return false };
    lanczos.residuals(count).iter().all(|residual| *residual <= tolerance * largest)
}

fn write_values(path: &Path, pairs: &[Eigenpair]) -> Result<()> {
    Ok(atomic::write_with(path, |out| {
        writeln!(out, "index,eigenvalue,residual")?;
        for (index, pair) in pairs.iter().enumerate() {
            writeln!(out, "{},{:.16e},{:.3e}", index + 1, pair.value, pair.residual)?;
        }
        Ok(())
    })?)
}

fn print(pairs: &[Eigenpair], steps: usize, console: &Console) -> Result<()> {
    let mut rows = vec![["index", "eigenvalue", "residual"].map(str::to_owned)];
    for (index, pair) in pairs.iter().enumerate() {
        let (eigenvalue, residual) = (pair.value, pair.residual);
        console.json(&EigenpairLine { event: "eigenpair", index: index + 1, eigenvalue, residual })?;
        rows.push([(index + 1).to_string(), number(eigenvalue, 8), number(residual, 2)]);
    }
    for line in columns([Align::Right, Align::Right, Align::Right], &rows) {
        console.detail(line)?;
    }
    console.detail(format_args!("{steps} products with vectors; the residual is |Theta v - eigenvalue v|"))
}
