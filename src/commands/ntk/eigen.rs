//! The largest eigenvalues with their vectors, by products of the kernel with vectors.

use std::path::Path;

use anyhow::{Result, anyhow};
use burn::tensor::DType;
use faer::Mat;
use rand::RngExt;
use serde::Serialize;
use widthwise::entries::Entries;
use widthwise::memory::Bytes;
use widthwise::record::{atomic, npy};
use widthwise::signals::StopFlag;
use widthwise_probes::ntk::BlockPlan;
use widthwise_statistics::lanczos::{Eigenpair, LanczosResult, Search, largest_eigenpairs};
use widthwise_tensors::Number;

use super::source::BlockSource;
use crate::cli::NtkArguments;
use crate::commands::Exit;
use crate::commands::budget::Budget;
use crate::commands::kernel::print_memory;
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;
use crate::terminal::progress::JobMonitor;
use widthwise::monitor::{Monitor, Stage};
use widthwise::record::place::{try_out, with_ending};

/// Vectors that are kept at most, where more are not asked for.
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
    let search = search(&plan, count);
    // The products themselves are no better than this.
    let tolerance = if T::DTYPE == DType::F64 { 1e-10 } else { 1e-5 };
    let search = Search { tolerance, ..search };
    let size = search.size;
    let held = Bytes(0);
    let [block, work] = blocks.bytes_per_example();
    let basis = basis_bytes(&plan, count) + blocks.gradient_bytes() as u64;
    let fits = |examples: &usize| basis + ((2 * block + work) * examples) as u64 <= budget.left(held);
    let sizes = [BLOCK, 256, 128, 64, 32, 16, 8, 4, 2, 1];
    let examples = sizes.into_iter().find(fits).unwrap_or(1).min(plan.rows);
    budget.expect(basis + ((2 * block + work) * examples) as u64, held, "products with vectors")?;
    let room = budget.left(held).saturating_sub(basis + (work * examples) as u64);
    blocks.keep(usize::try_from(room / (block * examples).max(1) as u64).unwrap_or(usize::MAX));

    let mut random = widthwise_datasets::stream(0, "ntk.lanczos");
    let start = || (0..size).map(|_| random.random_range(-1.0..1.0)).collect();
    let progress = JobMonitor::new(console);
    progress.stage(&Stage { name: "products", what: "products", all: search.room(), done: 0, steps: None });
    let per_example = plan.output.per_example(plan.outputs);
    let multiply = |vector: &[f64]| -> Result<Vec<f64>, Halt> {
        if stop.is_raised() {
            return Err(Halt::Stopped);
        }
        let image = blocks.multiply(vector, examples).map_err(Halt::Failed)?;
        if let Some(row) = image.iter().position(|value| !value.is_finite()) {
            return Err(Halt::Failed(anyhow!(
                "the tangent kernel has entries that are not finite: its product with a vector is {} at example {}; numbers \
                 overflow, or a norm divides 0 by 0",
                image[row],
                row / per_example + 1
            )));
        }
        progress.advanced(0);
        Ok(image)
    };
    let found = largest_eigenpairs(&search, start, multiply);
    drop(progress);
    let LanczosResult { mut pairs, products, is_complete } = match found {
        Ok(found) => found,
        Err(Halt::Failed(error)) => return Err(error),
        Err(Halt::Stopped) => {
            console.line("stopped; nothing is written")?;
            return Ok(Exit::Interrupted);
        }
    };
    let mut entries = Entries::default();
    for pair in &mut pairs {
        // The residual of the vector as it is, round-off of the products included.
        let image = blocks.multiply(&pair.vector, examples)?;
        let defect = image.iter().zip(&pair.vector).map(|(image, v)| (image - pair.value * v).powi(2));
        pair.residual = defect.sum::<f64>().sqrt();
        entries.add(0, 0, pair.value);
    }
    entries.expect_kernel("the tangent kernel", blocks.rows())?;
    write_values(&csv, &pairs)?;
    npy::write(&vectors, &Mat::from_fn(size, pairs.len(), |i, k| pairs[k].vector[i]))?;
    print(&pairs, products, console)?;
    console.line(format_args!("written: {}, {}", csv.display(), vectors.display()))?;
    print_memory(arguments.memory, console)?;
    if !is_complete {
        let what = "residuals are not small, or larger eigenvalues may be missing";
        console.line(format_args!("undecided: the search gave up after {products} products; {what}"))?;
        return Ok(Exit::Undecided);
    }
    Ok(Exit::Done)
}

/// Why the products end.
enum Halt {
    Stopped,
    Failed(anyhow::Error),
}

/// What is searched for; tolerances depend on the precision.
fn search(plan: &BlockPlan, count: usize) -> Search {
    let size = plan.rows * plan.output.per_example(plan.outputs);
    Search { size, count, tolerance: 0.0, vectors: STEPS }
}

/// Bytes of the vectors that are held: the basis and the result, and that again as it is written.
pub(super) fn basis_bytes(plan: &BlockPlan, count: usize) -> u64 {
    let search = search(plan, count);
    let vectors = (search.room() + 2 * search.count()) as u64;
    (8 * search.size as u64).saturating_mul(vectors)
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

fn print(pairs: &[Eigenpair], products: usize, console: &Console) -> Result<()> {
    let mut rows = vec![["index", "eigenvalue", "residual"].map(str::to_owned)];
    for (index, pair) in pairs.iter().enumerate() {
        let (eigenvalue, residual) = (pair.value, pair.residual);
        console.json(&EigenpairLine { event: "eigenpair", index: index + 1, eigenvalue, residual })?;
        rows.push([(index + 1).to_string(), number(eigenvalue, 8), number(residual, 2)]);
    }
    for line in columns([Align::Right, Align::Right, Align::Right], &rows) {
        console.detail(line)?;
    }
    console.detail(format_args!("{products} products with vectors; the residual is |Theta v - eigenvalue v|"))
}
