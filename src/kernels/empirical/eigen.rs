//! The largest eigenvalues with their vectors, by products of the kernel with vectors.

use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::DType;
use faer::Mat;
use rand::RngExt;
use widthwise_probes::ntk::BlockPlan;
use widthwise_statistics::lanczos::{Eigenpair, LanczosResult, Search, largest_eigenpairs};
use widthwise_tensors::Number;

use super::super::{Budget, KernelError};
use super::source::BlockSource;
use crate::entries::Entries;
use crate::monitor::{Monitor, Stage};
use crate::record::place::{try_out, with_ending};
use crate::record::{atomic, npy};
use crate::signals::StopFlag;

/// Vectors that are kept at most, where more are not asked for.
const STEPS: usize = 400;
/// Examples of a block.
const BLOCK: usize = 512;

/// The ends of the spectrum that were found, with their files.
#[derive(Debug)]
pub struct FoundEigenpairs {
    /// Largest first; a residual is `|Theta v - eigenvalue v|`, round-off of the products included.
    pub pairs: Vec<Eigenpair>,
    /// Products of the kernel with vectors.
    pub products: usize,
    /// Whether all residuals are small and no larger eigenvalue is missing.
    pub is_complete: bool,
    /// Eigenvalues as text.
    pub csv: PathBuf,
    /// Eigenvectors, one a column.
    pub vectors: PathBuf,
}

/// Iterates and writes; nothing where it is stopped.
///
/// # Errors
/// A place that cannot be written, or a budget that is too small.
pub(super) fn eigenpairs<T: Number>(
    mut blocks: BlockSource<'_, T>,
    count: usize,
    prefix: &Path,
    budget: Budget,
    (stop, monitor): (&StopFlag, &dyn Monitor),
) -> Result<Option<FoundEigenpairs>, KernelError> {
    let csv = with_ending(prefix, ".eigenvalues.csv");
    let vectors = with_ending(prefix, ".eigenvectors.npy");
    try_out(&csv)?;
    try_out(&vectors)?;
    let plan = *blocks.plan();
    // The products themselves are no better than this.
    let tolerance = if T::DTYPE == DType::F64 { 1e-10 } else { 1e-5 };
    let search = Search { tolerance, ..search(&plan, count) };
    let size = search.size;
    let [block, work] = blocks.bytes_per_example();
    let basis = basis_bytes(&plan, count) + blocks.gradient_bytes() as u64;
    let fits = |examples: &usize| basis + ((2 * block + work) * examples) as u64 <= budget.left();
    let sizes = [BLOCK, 256, 128, 64, 32, 16, 8, 4, 2, 1];
    let examples = sizes.into_iter().find(fits).unwrap_or(1).min(plan.rows);
    budget.require(basis + ((2 * block + work) * examples) as u64, "products with vectors")?;
    let room = budget.left().saturating_sub(basis + (work * examples) as u64);
    blocks.keep(usize::try_from(room / (block * examples).max(1) as u64).unwrap_or(usize::MAX));

    let mut random = widthwise_datasets::stream(0, "ntk.lanczos");
    let start = || (0..size).map(|_| random.random_range(-1.0..1.0)).collect();
    monitor.stage(&Stage { name: "products", what: "products", all: search.room(), done: 0, steps: None });
    let per_example = plan.output.per_example(plan.outputs);
    let multiply = |vector: &[f64]| -> Result<Vec<f64>, Halt> {
        if stop.is_raised() {
            return Err(Halt::Stopped);
        }
        let image = blocks.multiply(vector, examples);
        if let Some(row) = image.iter().position(|value| !value.is_finite()) {
            return Err(Halt::NotFinite { value: image[row], example: row / per_example + 1 });
        }
        monitor.advanced(0);
        Ok(image)
    };
    let found = largest_eigenpairs(&search, start, multiply);
    monitor.finished();
    let LanczosResult { mut pairs, products, is_complete } = match found {
        Ok(found) => found,
        Err(Halt::NotFinite { value, example }) => return Err(KernelError::ProductNotFinite { value, example }),
        Err(Halt::Stopped) => return Ok(None),
    };
    let mut entries = Entries::default();
    for pair in &mut pairs {
        // The residual of the vector as it is, round-off of the products included.
        let image = blocks.multiply(&pair.vector, examples);
        let defect = image.iter().zip(&pair.vector).map(|(image, v)| (image - pair.value * v).powi(2));
        pair.residual = defect.sum::<f64>().sqrt();
        entries.add(0, 0, pair.value);
    }
    entries.expect_kernel("the tangent kernel", blocks.rows())?;
    write_values(&csv, &pairs)?;
    npy::write(&vectors, &Mat::from_fn(size, pairs.len(), |i, k| pairs[k].vector[i]))?;
    Ok(Some(FoundEigenpairs { pairs, products, is_complete, csv, vectors }))
}

/// Why the products end.
enum Halt {
    Stopped,
    NotFinite { value: f64, example: usize },
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

fn write_values(path: &Path, pairs: &[Eigenpair]) -> io::Result<()> {
    atomic::write_with(path, |out| {
        writeln!(out, "index,eigenvalue,residual")?;
        for (index, pair) in pairs.iter().enumerate() {
            writeln!(out, "{},{:.16e},{:.3e}", index + 1, pair.value, pair.residual)?;
        }
        Ok(())
    })
}
