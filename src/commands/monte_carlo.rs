//! `widthwise monte-carlo`: kernels as means over finite networks, next to the infinite-width ones.

use anyhow::{Result, ensure};
use burn::tensor::{DType, Device};
use serde::Serialize;
use widthwise::ensemble::{Job, Shard};
use widthwise::entries::{Entries, finite_kernels};
use widthwise::examples::{architecture, read, shape_of};
use widthwise::kernels::SampledComparison;
use widthwise::monte_carlo::{Sampling, extrapolate, sample_kernels};
use widthwise::need;
use widthwise::record::npy;
use widthwise::record::place::{expect_prefix, try_out, with_ending};
use widthwise::signals::StopFlag;
use widthwise_theory::TheoryError;
use widthwise_theory::kernel::Inputs;

use super::Exit;
use super::overrides::{ConfigCommand, of_data};
use crate::cli::{MonteCarloArguments, StoragePrecision};
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;
use crate::terminal::job::JobMonitor;
use crate::terminal::progress::monitor;

#[derive(Serialize)]
struct SampledKernelLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    compared: &'a SampledComparison,
}

/// Draws, writes and compares.
///
/// # Errors
/// An architecture, inputs or outputs that are refused, or a failure to write.
pub(crate) fn execute(arguments: &MonteCarloArguments, console: &Console) -> Result<Exit> {
    expect_prefix(&arguments.out)?;
    let file = |name: &str, what: &str| with_ending(&arguments.out, &format!(".{name}{what}.npy"));
    for name in ["nngp", "ntk"] {
        for what in ["", "_std_error"] {
            try_out(&file(name, what))?;
        }
    }
    let reader = ConfigCommand::Network {
        command: "monte-carlo",
        sources: vec![&arguments.inputs],
        draws: arguments.seed.is_none(),
        has_width: arguments.width.is_some(),
    };
    let (network, seed) = reader.network(&arguments.architecture, &arguments.set)?;
    ensure!(
        !network.centred,
        "network.centred = true: the outputs f - f_0 are zero before training and have no NNGP kernel to sample, and the tangent kernel is \
         that of f; sample the kernels of f with --set network.centred=false"
    );
    let set = of_data(&arguments.set);
    let examples = read(&arguments.inputs, None, arguments.data_dir.as_deref(), &set, &JobMonitor::new(console))?;
    let shape = shape_of(arguments.shape, &network, &[(&arguments.inputs, &examples)])?;
    let architecture = architecture(&network, seed, shape, &examples)?;
    let inputs = Inputs::new(examples.values, shape)?;
    let sampling = Sampling {
        members: arguments.members,
        seed: arguments.seed.unwrap_or(seed),
        device: Device::flex(),
        dtype: match arguments.precision {
            StoragePrecision::F64 => DType::F64,
            StoragePrecision::F32 => DType::F32,
        },
    };
    let wide = arguments.width.map_or_else(|| architecture.clone(), |width| architecture.with_hidden_width(width));
    let bytes = if arguments.precision == StoragePrecision::F64 { 8 } else { 4 };
    let need = need::sampled_kernels(&wide, bytes, inputs.examples())?;
    need::expect_network(&wide, need, "a network and its kernels")?;
    console.note(format_args!("drawing {} networks", sampling.members));
    let stop = StopFlag::on_signals();
    let monitor = monitor(console);
    let job = Job { shard: Shard::WHOLE, stop: &stop, monitor: &*monitor };
    let stopped = || -> Result<Exit> {
        console.line("stopped: means of some of the networks were not written")?;
        Ok(Exit::Interrupted)
    };
    let Some(mut sampled) = sample_kernels(&wide, &inputs.values, None, &sampling, &job)? else { return stopped() };
    if let Some(width) = arguments.width.filter(|_| arguments.extrapolate) {
        ensure!(width.is_multiple_of(2), "--extrapolate halves --width {width}, which is odd; give an even one");
        // Other networks than the wide ones: their errors are independent.
        let other = Sampling { seed: sampling.seed.wrapping_add(1), ..sampling.clone() };
        let narrow = architecture.with_hidden_width(width / 2);
        let Some(narrow) = sample_kernels(&narrow, &inputs.values, None, &other, &job)? else { return stopped() };
        sampled = extrapolate(&narrow, &sampled);
    }
    drop(monitor);
    let predicted = match finite_kernels(&wide, &inputs, None) {
        Ok(kernels) => Some([kernels.nngp, kernels.ntk]),
        Err(TheoryError::NoPrediction { reason }) => {
            console.note(format_args!("nothing to compare with: {reason}"));
            None
        }
        Err(error) => return Err(error.into()),
    };
    for (name, found) in [("nngp", &sampled.nngp), ("ntk", &sampled.ntk)] {
        Entries::of(&found.mean).expect_kernel(format_args!("the mean of the {name} kernels"), &inputs.values)?;
        let errors = Entries::of(&found.standard_error);
        errors.expect_finite(format_args!("the standard error of the {name} kernels"))?;
    }
    let heading = ["kernel", "networks", "mean_diagonal", "predicted", "largest |z|", "of"];
    let mut rows = vec![heading.map(str::to_owned)];
    for (index, (name, found)) in [("nngp", &sampled.nngp), ("ntk", &sampled.ntk)].into_iter().enumerate() {
        npy::write(&file(name, ""), &found.mean)?;
        npy::write(&file(name, "_std_error"), &found.standard_error)?;
        let theory = predicted.as_ref().map(|kernels| &kernels[index]);
        let compared = SampledComparison::new(name, sampled.members, found, theory);
        console.json(&SampledKernelLine { event: "monte_carlo", compared: &compared })?;
        let optional = |value: Option<f64>, digits| value.map_or_else(|| "-".to_owned(), |value| number(value, digits));
        rows.push([
            name.to_owned(),
            compared.members.to_string(),
            number(compared.mean_diagonal, 6),
            optional(compared.predicted_mean_diagonal, 6),
            optional(compared.largest_z, 3),
            format!("{} entries", compared.entries),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, left], &rows) {
        console.line(line)?;
    }
    Ok(Exit::Done)
}
