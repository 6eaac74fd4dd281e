//! `widthwise kernel`: infinite-width kernels on inputs of the user's, tile by tile within a memory budget.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::Serialize;
use widthwise::examples::{Source, architecture, read, shape_of, width_dependence};
use widthwise::kernels::analytic::{self, AnalyticRequest};
use widthwise::kernels::{
    Budget, ComparedWith, ComputedKernel, JobOptions, KernelDifference, KernelFiles, KernelInputs, KernelStatistics,
    KernelsEnd, LikelyReasons, OtherKernel, PRECISION_SAMPLE, WantedKernels,
};
use widthwise::memory::{Bytes, peak_resident};
use widthwise::record::tiles::StoredNumber;
use widthwise::signals::StopFlag;
use widthwise_theory::conventions::Difference;
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::Exit;
use super::overrides::{ConfigCommand, of_data};
use crate::cli::{KernelArguments, KernelName, StoragePrecision, Trained};
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;
use crate::terminal::job::JobMonitor;

/// Reads, computes, writes and prints what the kernels are like.
///
/// # Errors
/// An architecture, inputs or outputs that are refused, a budget that is too small, or a network for which theory has no
/// kernel.
pub(crate) fn execute(arguments: &KernelArguments, console: &Console) -> Result<Exit> {
    let only = arguments.only.map(KernelName::kind);
    let wanted = WantedKernels::only(only);
    let files = KernelFiles::new(&arguments.out, wanted.names())?;
    let open = |file: &Path, kernel: Option<KernelName>| OtherKernel::open(file, kernel.map(KernelName::kind), only);
    let compared = arguments.compare.as_ref().map(|asked| open(&asked.file, asked.kernel)).transpose()?;
    let budget = Budget::new(arguments.memory);
    let sources: Vec<&Source> = [&arguments.inputs].into_iter().chain(&arguments.right).collect();
    let reader = ConfigCommand::Network { command: "kernel", sources: sources.clone(), draws: false, has_width: false };
    let (network, seed) = reader.network(&arguments.architecture, &arguments.set)?;
    ensure!(
        !network.centred || arguments.only == Some(KernelName::Ntk),
        "network.centred = true: the outputs f - f_0 are zero before training and have no NNGP kernel, and the tangent kernel is that of \
         f; ask for --only ntk, or for the kernels of f with --set network.centred=false"
    );
    let (data_dir, trained) = (arguments.data_dir.as_deref(), trained(arguments.trained));
    let options = JobOptions {
        storage: storage(arguments.storage),
        tile: arguments.tile,
        restart: arguments.restart,
        csv: arguments.csv,
    };
    let request = AnalyticRequest { wanted, trained, options };
    analytic::require_room(request, &sources, arguments.shape, (&network, seed), data_dir, budget)?;
    let (right, set, monitor) = (arguments.right.as_ref(), of_data(&arguments.set), JobMonitor::new(console));
    let left = read(&arguments.inputs, right, data_dir, &set, &monitor)?;
    let right = right.map(|source| read(source, Some(&arguments.inputs), data_dir, &set, &monitor)).transpose()?;
    let examples: Vec<_> = sources.iter().copied().zip([&left].into_iter().chain(&right)).collect();
    let shape = shape_of(arguments.shape, &network, &examples)?;
    let architecture = architecture(&network, seed, shape, &left)?;
    width_dependence(&architecture)?.iter().for_each(|remark| console.note(remark));
    let left = Inputs::new(left.values, shape)?;
    let right = right.map(|examples| Inputs::new(examples.values, shape)).transpose()?;
    let inputs = KernelInputs { left: &left, right: right.as_ref() };
    let stop = StopFlag::on_signals();
    let computed = match analytic::compute(request, &architecture, inputs, &files, budget, &stop, &monitor)? {
        KernelsEnd::Done(computed) => computed,
        KernelsEnd::Stopped { done, all } => return stopped(done, all, console),
    };
    print(&computed, console)?;
    print_precision(&computed, console)?;
    let mut agrees = true;
    if let Some(other) = compared {
        let here = computed.iter().find(|computed| computed.statistics.kernel == other.name());
        if let Some(ComputedKernel { file, .. }) = here {
            let found = other.compare(file, arguments.tolerance)?;
            agrees = found.agrees;
            print_difference(&other, &found, console)?;
            if !agrees {
                let question = ComparedWith { architecture: &architecture, trained, inputs, room: budget.left() };
                print_reasons(&other.explain(file, &found, question)?, found.tolerance, console)?;
            }
        }
    }
    print_memory(arguments.memory, console)?;
    Ok(if agrees { Exit::Done } else { Exit::Disagrees })
}

#[derive(Serialize)]
struct StoppedLine {
    event: &'static str,
    done: usize,
    all: usize,
}

/// Says that a job was stopped, and how it goes on.
pub(super) fn stopped(done: usize, all: usize, console: &Console) -> Result<Exit> {
    console.line(format_args!("stopped after {done} of {all} tiles; the same command goes on"))?;
    console.json(&StoppedLine { event: "stopped", done, all })?;
    Ok(Exit::Interrupted)
}

pub(super) fn storage(asked: StoragePrecision) -> StoredNumber {
    match asked {
        StoragePrecision::F64 => StoredNumber::F64,
        StoragePrecision::F32 => StoredNumber::F32,
    }
}

/// What the user calls trained, as theory has it.
fn trained(asked: Trained) -> TrainedLayers {
    match asked {
        Trained::All => TrainedLayers::All,
        Trained::Readout => TrainedLayers::ReadoutOnly,
        Trained::BiasesFrozen => TrainedLayers::BiasesFrozen,
    }
}

#[derive(Serialize)]
struct KernelLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a KernelStatistics,
    csv: Option<&'a Path>,
    npy: &'a Path,
    /// Largest relative error of single precision found, where that was asked for.
    storage_error: Option<f64>,
}

/// Prints the table, and what was left out of it.
///
/// # Errors
/// Standard output refuses.
pub(super) fn print(computed: &[ComputedKernel], console: &Console) -> Result<()> {
    let heading = ["kernel", "size", "mean", "mean_diagonal", "min_eigenvalue", "max_eigenvalue", "condition_number"];
    let mut rows = vec![heading.map(str::to_owned)];
    for ComputedKernel { statistics: summary, npy, csv, storage_error, .. } in computed {
        let (csv, storage_error) = (csv.as_deref(), *storage_error);
        console.json(&KernelLine { event: "kernel", summary, csv, npy, storage_error })?;
        rows.push(cells(summary));
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, left], &rows) {
        console.detail(line)?;
    }
    if let Some(remark) = computed.first().and_then(|computed| computed.statistics.remark()) {
        console.note(remark);
    }
    let files = computed.iter().flat_map(|computed| computed.csv.iter().chain([&computed.npy]));
    let written: Vec<String> = files.map(|file| file.display().to_string()).collect();
    console.line(format_args!("written: {}", written.join(", ")))
}

fn cells(kernel: &KernelStatistics) -> [String; 7] {
    let dash = || "-".to_owned();
    let value = |value: Option<f64>| value.map_or_else(dash, |value| number(value, 6));
    let (at_most, at_least) = if kernel.eigenvalues == "lanczos" { ("<= ", ">= ") } else { ("", "") };
    let min = kernel.min_eigenvalue.map_or_else(dash, |min| format!("{at_most}{}", number(min, 6)));
    let condition = match (kernel.condition_number, kernel.min_eigenvalue) {
        (None, Some(_)) => "singular to round-off".to_owned(),
        (condition, _) => condition.map_or_else(dash, |condition| format!("{at_least}{}", number(condition, 3))),
    };
    [
        kernel.kernel.clone(),
        format!("{} x {}", kernel.rows, kernel.columns),
        number(kernel.mean, 6),
        value(kernel.mean_diagonal),
        min,
        value(kernel.max_eigenvalue),
        condition,
    ]
}

fn print_precision(computed: &[ComputedKernel], console: &Console) -> Result<()> {
    let errors: Vec<String> = computed
        .iter()
        .filter_map(|computed| Some((&computed.statistics.kernel, computed.storage_error?)))
        .map(|(name, error)| format!("{name} {error:.1e}"))
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    let entries = PRECISION_SAMPLE * PRECISION_SAMPLE;
    console.detail(format_args!(
        "largest relative error of f32 among up to {entries} entries computed again in f64: {}",
        errors.join(", ")
    ))
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

fn print_difference(other: &OtherKernel, found: &KernelDifference, console: &Console) -> Result<()> {
    let &KernelDifference { difference, tolerance, agrees, .. } = found;
    let (kernel, file) = (other.name(), other.path());
    console.json(&ComparisonLine {
        event: "comparison",
        kernel,
        file,
        max_relative_difference: difference.max,
        rms_relative_difference: difference.rms,
        tolerance,
        agrees,
    })?;
    let verdict = if agrees { "equals" } else { "differs from" };
    console.line(format_args!("the {kernel} {verdict} {}: {}", file.display(), words(&difference)))
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

/// Prints what explains the difference, the simplest of it only, or what comes nearest.
fn print_reasons(LikelyReasons { likely, nearest }: &LikelyReasons, tolerance: f64, console: &Console) -> Result<()> {
    for explanation in likely.iter().chain(nearest) {
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

#[derive(Serialize)]
struct MemoryLine {
    event: &'static str,
    peak_bytes: u64,
    budget_bytes: u64,
}

/// What the process has held at most, where the system tells.
pub(super) fn print_memory(limit: Bytes, console: &Console) -> Result<()> {
    let Some(peak) = peak_resident() else { return Ok(()) };
    console.json(&MemoryLine { event: "memory", peak_bytes: peak.0, budget_bytes: limit.0 })?;
    console.detail(format_args!("peak memory: {peak} of {limit}"))?;
    if peak > limit {
        console.note(format_args!("the peak is above --memory {limit}; allow more next time"));
    }
    Ok(())
}
