//! `widthwise kernel`: infinite-width kernels on inputs of the user's, tile by tile within a memory budget.

mod compare;
pub(super) mod job;
mod lanczos;
pub(super) mod need;
pub(super) mod outputs;
mod precision;
mod rows;
pub(super) mod summary;
mod tiling;

use anyhow::{Result, ensure};
use faer::Mat;
use serde::Serialize;
use widthwise::entries::has_nonzero;
use widthwise::memory::{Bytes, peak_resident};
use widthwise::record::tiles::{Continued, MatrixFile, StoredNumber};
use widthwise::signals::StopFlag;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::Exit;
use super::blocks::{Blocks, WantedKernels};
use super::budget::Budget;
use super::overrides::{ConfigCommand, of_data};
use crate::cli::{KernelArguments, KernelName, StoragePrecision, Trained};
use crate::terminal::console::Console;
use crate::terminal::progress::JobMonitor;
use job::{Job, JobEnd};
use need::KernelRequest;
use outputs::{CSV_ENTRIES, KernelFiles};
use summary::{KernelStatistics, Made};
use tiling::KernelTiling;
use widthwise::examples::Source;
use widthwise::examples::{architecture, shape_of, width_dependence};
use widthwise::examples::{expected_bytes, read};

/// Reads, computes, writes and prints what the kernels are like.
///
/// # Errors
/// An architecture, inputs or outputs that are refused, a budget that is too small, or a network for which theory has no
/// kernel.
pub(crate) fn execute(arguments: &KernelArguments, console: &Console) -> Result<Exit> {
    let wanted = wanted(arguments.only);
    let files = KernelFiles::new(&arguments.out, wanted.names())?;
    let compared = arguments.compare.as_ref().map(|asked| compare::open(asked, arguments.only)).transpose()?;
    let budget = Budget::new(arguments.memory);
    let sources: Vec<&Source> = [&arguments.inputs].into_iter().chain(&arguments.right).collect();
    let reader = ConfigCommand::Network { command: "kernel", sources: sources.clone(), draws: false, has_width: false };
    let (network, seed) = reader.network(&arguments.architecture, &arguments.set)?;
    ensure!(
        !network.centred || arguments.only == Some(KernelName::Ntk),
        "network.centred = true: the outputs f - f_0 are zero before training and have no NNGP kernel, and the tangent kernel is that of \
         f; ask for --only ntk, or for the kernels of f with --set network.centred=false"
    );
    let data_dir = arguments.data_dir.as_deref();
    let expected = sources.iter().map(|source| expected_bytes(source, data_dir)).sum();
    let (trained, storage) = (trained(arguments.trained), storage(arguments.storage));
    let asked = KernelRequest { wanted, storage, trained, tile: arguments.tile };
    let whole = need::whole_of_outlines(arguments, asked, (&network, seed)).unwrap_or_default();
    budget.for_whole(whole).expect(expected, Bytes(0), "the inputs")?;
    let (right, set) = (arguments.right.as_ref(), &of_data(&arguments.set));
    let told = JobMonitor::new(console);
    let left = read(&arguments.inputs, right, data_dir, set, &told)?;
    let right = right.map(|source| read(source, Some(&arguments.inputs), data_dir, set, &told)).transpose()?;
    let examples: Vec<_> = sources.iter().copied().zip([&left].into_iter().chain(&right)).collect();
    let shape = shape_of(arguments.shape, &network, &examples)?;
    let architecture = architecture(&network, seed, shape, &left)?;
    width_dependence(&architecture)?.iter().for_each(|remark| console.note(remark));
    let left = Inputs::new(left.values, shape)?;
    let right = right.map(|examples| Inputs::new(examples.values, shape)).transpose()?;
    let held = Bytes::of(8 * (left.values.len() + right.as_ref().map_or(0, |right| right.values.len())));

    let count = left.examples() + right.as_ref().map_or(0, Inputs::examples);
    let prepared = Blocks::expected_bytes(&architecture, trained, &left, count)?;
    let what = format!("{count} examples of {} numbers", shape.features());
    budget.for_whole(need::whole(asked, &architecture, &left, count)?).expect(prepared as u64, held, &what)?;
    let blocks = Blocks::new(&architecture, trained, &left, right.as_ref())?;
    // Different examples may be orthogonal to each other; the kernel of one with itself says whether numbers are lost.
    let is_lost = || is_lost(&architecture, trained, &left, wanted, storage);
    let inputs = if right.is_none() || is_lost()? { left.values.as_slice() } else { &[] };
    let tiling = KernelTiling { blocks: &blocks, wanted, storage, budget, held, inputs };

    let stop = StopFlag::on_signals();
    let fingerprint = job::fingerprint(&architecture, &left, right.as_ref(), wanted, storage, trained)?;
    let target = tiling.target(&files, fingerprint, arguments.tile, arguments.restart, right.is_none())?;
    // What has no kernel is refused before there is a job to finish.
    for name in wanted.names() {
        blocks.tile(0..1, 0..1, name, Mat::zeros(1, 1).as_mut())?;
    }
    let mut job = Job::open(&target, tiling, console)?;
    let JobEnd::Done { matrices, sums } = job.run(&stop)? else {
        return stopped(job.progress(), console);
    };
    drop(job);

    let with_csv = arguments.csv || matrices[0].rows() * matrices[0].columns() <= CSV_ENTRIES;
    let mut made = Vec::new();
    for (index, name) in wanted.names().enumerate() {
        let file: &MatrixFile = &matrices[index];
        if with_csv {
            outputs::write_csv(&files.csv[index], file)?;
        }
        let storage_error = match storage {
            StoredNumber::F64 => None,
            StoredNumber::F32 => {
                Some(precision::largest_error(name, file, &architecture, trained, &left, right.as_ref())?)
            }
        };
        let summary = KernelStatistics::new(name, file, &sums[index], right.is_none(), budget.left(held))?;
        let csv = with_csv.then_some(files.csv[index].as_path());
        made.push(Made { summary, npy: &files.npy[index], csv, storage_error });
    }
    summary::print(&made, console)?;
    print_precision(&made, console)?;
    let agrees = match compared {
        Some(other) => {
            let (left, right, room) = (&left, right.as_ref(), budget.left(held));
            let question = compare::ComputedKernels { architecture: &architecture, trained, left, right, room };
            let index = wanted.names().position(|name| name == other.name()).unwrap_or(0);
            compare::report(&question, &matrices[index], &other, arguments.tolerance, console)?
        }
        None => true,
    };
    print_memory(arguments.memory, console)?;
    Ok(if agrees { Exit::Done } else { Exit::Disagrees })
}

/// Whether a kernel of the first example that is not zero vanishes as it is stored.
fn is_lost(
    architecture: &Architecture,
    trained: TrainedLayers,
    left: &Inputs,
    wanted: WantedKernels,
    storage: StoredNumber,
) -> Result<bool> {
    let Some(first) = (0..left.examples()).map(|i| left.example(i)).find(|example| has_nonzero(example)) else {
        return Ok(false);
    };
    let one = Inputs::new(first.to_vec(), left.shape)?;
    let blocks = Blocks::new(architecture, trained, &one, None)?;
    let mut entry = vec![Vec::new(); wanted.count()];
    blocks.compute(0..1, 0..1, wanted, &mut entry)?;
    let mut bytes = Vec::new();
    storage.encode(entry.concat().into_iter(), &mut bytes);
    Ok(storage.decode(&bytes).any(|value| value == 0.0))
}

/// Says that a job was stopped, and how it goes on.
pub(super) fn stopped((done, all): (usize, usize), console: &Console) -> Result<Exit> {
    console.line(format_args!("stopped after {done} of {all} tiles; the same command goes on"))?;
    console.json(&StoppedLine { event: "stopped", done, all })?;
    Ok(Exit::Interrupted)
}

fn wanted(only: Option<KernelName>) -> WantedKernels {
    WantedKernels { nngp: only != Some(KernelName::Ntk), ntk: only != Some(KernelName::Nngp) }
}

pub(super) fn storage(asked: StoragePrecision) -> StoredNumber {
    match asked {
        StoragePrecision::F64 => StoredNumber::F64,
        StoragePrecision::F32 => StoredNumber::F32,
    }
}

/// What the user calls trained, as theory has it.
pub(crate) fn trained(asked: Trained) -> TrainedLayers {
    match asked {
        Trained::All => TrainedLayers::All,
        Trained::Readout => TrainedLayers::ReadoutOnly,
        Trained::BiasesFrozen => TrainedLayers::BiasesFrozen,
    }
}

#[derive(Serialize)]
struct StoppedLine {
    event: &'static str,
    done: usize,
    all: usize,
}

fn print_precision(made: &[Made<'_>], console: &Console) -> Result<()> {
    let errors: Vec<String> = made
        .iter()
        .filter_map(|made| Some((made.summary.kernel(), made.storage_error?)))
        .map(|(name, error)| format!("{name} {error:.1e}"))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let entries = precision::SAMPLE * precision::SAMPLE;
    console.detail(format_args!(
        "largest relative error of f32 among up to {entries} entries computed again in f64: {}",
        errors.join(", ")
    ))
}

#[derive(Serialize)]
struct MemoryLine {
    event: &'static str,
    peak_bytes: u64,
    budget_bytes: u64,
}

/// What the process has held at most, where the system tells.
pub(crate) fn print_memory(limit: Bytes, console: &Console) -> Result<()> {
    let Some(peak) = peak_resident() else { return Ok(()) };
    console.json(&MemoryLine { event: "memory", peak_bytes: peak.0, budget_bytes: limit.0 })?;
    console.detail(format_args!("peak memory: {peak} of {limit}"))?;
    if peak > limit {
        console.note(format_args!("the peak is above --memory {limit}; allow more next time"));
    }
    Ok(())
}

/// A job that goes on, in a sentence.
fn continued(found: Continued, all: usize) -> String {
    let Continued { noted, damaged } = found;
    let again = match damaged {
        0 => String::new(),
        1 => "; 1 tile does not match its checksum and is computed again".to_owned(),
        many => format!("; {many} tiles do not match their checksums and are computed again"),
    };
    format!("continuing an unfinished job: {} of {all} tiles are there{again}", noted - damaged)
}
