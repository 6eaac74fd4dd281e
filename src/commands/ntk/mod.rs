//! `widthwise ntk`: the empirical tangent kernel of one network on inputs of the user's, tile by tile within a memory budget.

mod eigen;
mod need;
mod source;
mod subject;
mod tiling;

use anyhow::{Result, ensure};
use widthwise::memory::Bytes;
use widthwise::network::Network;
use widthwise::ntk::BlockMaker;
use widthwise::record::tiles::Fingerprint;
use widthwise::signals::StopFlag;
use widthwise_probes::ntk::{BlockPlan, NtkOutput};
use widthwise_tensors::Number;
use widthwise_tensors::to_f64;

use super::Exit;
use super::budget::Budget;
use super::kernel::job::{Job, JobEnd};
use super::kernel::outputs::{CSV_ENTRIES, KernelFiles, write_csv};
use super::kernel::summary::{KernelStatistics, Made, print};
use super::kernel::{print_memory, stopped, storage};
use super::overrides::of_data;
use crate::cli::{NtkArguments, StoragePrecision};
use crate::terminal::console::Console;
use crate::terminal::progress::JobMonitor;
use source::{BlockSource, Side};
use subject::UnsetNetwork;
use tiling::NtkTiling;
use widthwise::examples::Source;
use widthwise::examples::{FileExamples, expected_bytes, read};
use widthwise::record::place::expect_prefix;

/// Bytes of inputs that do not matter besides the program itself.
const SMALL: u64 = 8 << 20;
/// Rows of weights that are examined together.
const ROWS: usize = 1024;

/// Reads, computes, writes and prints what the kernel is like.
///
/// # Errors
/// A network, inputs or outputs that are refused, or a budget that is too small.
pub(crate) fn execute(arguments: &NtkArguments, console: &Console) -> Result<Exit> {
    match arguments.precision {
        StoragePrecision::F32 => compute::<f32>(arguments, console),
        StoragePrecision::F64 => compute::<f64>(arguments, console),
    }
}

fn compute<T: Number>(arguments: &NtkArguments, console: &Console) -> Result<Exit> {
    expect_prefix(&arguments.out)?;
    let output = arguments.output.0;
    ensure!(
        output != NtkOutput::Diagonal || (arguments.right.is_none() && arguments.top_k.is_none()),
        "--output diagonal is every example with itself; leave --right and --top-k away"
    );
    let budget = Budget::new(arguments.memory);
    let sources: Vec<&Source> = [&arguments.inputs].into_iter().chain(&arguments.right).collect();
    let data_dir = arguments.data_dir.as_deref();
    let expected = sources.iter().map(|source| expected_bytes(source, data_dir)).sum();
    if expected > SMALL {
        let whole = need::whole_of_outlines::<T>(arguments).unwrap_or_default().saturating_add(expected);
        budget.for_whole(whole).expect(expected, Bytes(0), "the inputs")?;
    }
    let (right, set) = (arguments.right.as_ref(), &of_data(&arguments.set));
    let told = JobMonitor::new(console);
    let left = read(&arguments.inputs, right, data_dir, set, &told)?;
    let right = right.map(|source| read(source, Some(&arguments.inputs), data_dir, set, &told)).transpose()?;
    let examples: Vec<_> = sources.iter().copied().zip([&left].into_iter().chain(&right)).collect();
    let subject = UnsetNetwork::new(arguments, &examples)?;
    let outputs = subject.architecture().outputs()?;
    if let NtkOutput::Logit(logit) = output {
        ensure!(
            logit < outputs,
            "--output logit={logit}, but the network has {outputs} outputs; the last is logit={}",
            outputs - 1
        );
    }
    let held = Bytes::of(8 * (left.values.len() + right.as_ref().map_or(0, |right| right.values.len())));
    let plan = BlockPlan { output, outputs, rows: left.rows, columns: right.as_ref().unwrap_or(&left).rows };
    // Nothing large is made before it is known to fit, and a refusal names what does for all that follows.
    let budget = budget.for_whole(need::whole::<T>(arguments, &subject, &plan)?);
    let what = format!("a network of {} parameters", widthwise::need::parameters(subject.architecture()));
    budget.expect(subject.bytes::<T>()?, held, &what)?;
    let network = subject.network(T::DTYPE)?;
    let weights = BlockMaker::<T>::weight_bytes(&network, &plan) as u64;
    let budget = budget.for_whole(0);
    budget.for_whole(need::job::<T>(arguments, network.architecture(), &plan)?).expect(weights, held, &what)?;
    let side = |examples| side(examples);
    let sides = [side(&left), side(right.as_ref().unwrap_or(&left))];
    let blocks = BlockSource::<T>::new(&network, plan, sides, right.is_none());
    let stop = StopFlag::on_signals();
    if let Some(count) = arguments.top_k {
        return eigen::execute(arguments, blocks, count, budget, &stop, console);
    }

    let names = names(&network, arguments.per_layer);
    let files = KernelFiles::new(&arguments.out, &names)?;
    let tiling = NtkTiling::new(blocks, names.len(), storage(arguments.storage), budget, held);
    let fingerprint = fingerprint(arguments, &network, &left, right.as_ref());
    let target = tiling.target(&files, fingerprint, arguments.tile, arguments.restart)?;
    let mut job = Job::open(&target, tiling, console)?;
    let JobEnd::Done { matrices, sums } = job.run(&stop)? else { return stopped(job.progress(), console) };
    drop(job);

    let with_csv = arguments.csv || matrices[0].rows() * matrices[0].columns() <= CSV_ENTRIES;
    let is_symmetric = target.grid.is_symmetric;
    let mut made = Vec::new();
    for (index, file) in matrices.iter().enumerate() {
        if with_csv {
            write_csv(&files.csv[index], file)?;
        }
        let summary = KernelStatistics::new(&names[index], file, &sums[index], is_symmetric, budget.left(held))?;
        let csv = with_csv.then_some(files.csv[index].as_path());
        made.push(Made { summary, npy: &files.npy[index], csv, storage_error: None });
    }
    print(&made, console)?;
    print_memory(arguments.memory, console)?;
    Ok(Exit::Done)
}

fn side(examples: &FileExamples) -> Side<'_> {
    Side { values: &examples.values, features: examples.columns }
}

/// Names of the matrices: every layer's share if asked for, and the kernel.
fn names(network: &Network, per_layer: bool) -> Vec<String> {
    let layers = if per_layer { network.weight_layers().len() } else { 0 };
    (1..=layers).map(|layer| format!("ntk.layer{layer}")).chain(["ntk".to_owned()]).collect()
}

/// What is computed, so that nothing else is taken for it.
fn fingerprint(
    arguments: &NtkArguments,
    network: &Network,
    left: &FileExamples,
    right: Option<&FileExamples>,
) -> Fingerprint {
    // Probes see parameters through what a network does with them; gains and rates are those of the architecture.
    let architecture = serde_json::to_vec(network.architecture()).unwrap_or_default();
    let weights = network.parameters.iter().flat_map(|parameters| {
        let rows = parameters.weight.dims()[0];
        let starts = (0..rows).step_by(ROWS);
        let weights =
            starts.map(move |start| to_f64(parameters.weight.clone().narrow(0, start, ROWS.min(rows - start))));
        weights.chain(parameters.bias.iter().map(|bias| to_f64(bias.clone())))
    });
    let fingerprint = Fingerprint::default()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with_hash("architecture", [architecture.as_slice()])
        .with_parts("weights", weights)
        .with_numbers("inputs", &left.values);
    let fingerprint = match right {
        Some(right) => fingerprint.with_numbers("right", &right.values),
        None => fingerprint.with("right", "none"),
    };
    fingerprint
        .with("output", &format!("{:?}", arguments.output.0))
        .with("layers", if arguments.per_layer { "each" } else { "sum" })
        .with("precision", if arguments.precision == StoragePrecision::F32 { "f32" } else { "f64" })
        .with("storage", storage(arguments.storage).name())
}
