//! `widthwise ntk`: the empirical tangent kernel of one network on inputs of the user's, tile by tile within a memory budget.

use anyhow::{Result, ensure};
use serde::Serialize;
use widthwise::config::Precision;
use widthwise::examples::{FileExamples, Source, read};
use widthwise::kernels::empirical::{self, EmpiricalEnd, EmpiricalRequest, FoundEigenpairs, UnsetNetwork};
use widthwise::kernels::{Budget, JobOptions, KernelsEnd};
use widthwise::record::place::expect_prefix;
use widthwise::signals::StopFlag;

use super::Exit;
use super::kernel::{print, print_memory, stopped, storage};
use super::overrides::{ConfigCommand, of_data};
use crate::cli::{NtkArguments, StoragePrecision};
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;
use crate::terminal::job::JobMonitor;

/// Reads, computes, writes and prints what the kernel is like.
///
/// # Errors
/// A network, inputs or outputs that are refused, or a budget that is too small.
pub(crate) fn execute(arguments: &NtkArguments, console: &Console) -> Result<Exit> {
    expect_prefix(&arguments.out)?;
    let options = JobOptions {
        storage: storage(arguments.storage),
        tile: arguments.tile,
        restart: arguments.restart,
        csv: arguments.csv,
    };
    let request = EmpiricalRequest {
        output: arguments.output.0,
        per_layer: arguments.per_layer,
        top_k: arguments.top_k,
        precision: match arguments.precision {
            StoragePrecision::F32 => Precision::F32,
            StoragePrecision::F64 => Precision::F64,
        },
        options,
    };
    request.check(arguments.right.is_some())?;
    let budget = Budget::new(arguments.memory);
    let sources: Vec<&Source> = [&arguments.inputs].into_iter().chain(&arguments.right).collect();
    let data_dir = arguments.data_dir.as_deref();
    empirical::require_room(&request, &sources, data_dir, budget, |examples| subject(arguments, examples))?;
    let (right, set, monitor) = (arguments.right.as_ref(), of_data(&arguments.set), JobMonitor::new(console));
    let left = read(&arguments.inputs, right, data_dir, &set, &monitor)?;
    let right = right.map(|source| read(source, Some(&arguments.inputs), data_dir, &set, &monitor)).transpose()?;
    let examples: Vec<_> = sources.iter().copied().zip([&left].into_iter().chain(&right)).collect();
    let subject = subject(arguments, &examples)?;
    let stop = StopFlag::on_signals();
    let examples = (&left, right.as_ref());
    match empirical::compute(&request, subject, examples, &arguments.out, budget, &stop, &monitor)? {
        EmpiricalEnd::Kernels(KernelsEnd::Done(computed)) => print(&computed, console)?,
        EmpiricalEnd::Kernels(KernelsEnd::Stopped { done, all }) => return stopped(done, all, console),
        EmpiricalEnd::Eigenpairs(Some(found)) => return tell_eigenpairs(&found, arguments, console),
        EmpiricalEnd::Eigenpairs(None) => {
            console.line("stopped; nothing is written")?;
            return Ok(Exit::Interrupted);
        }
    }
    print_memory(arguments.memory, console)?;
    Ok(Exit::Done)
}

/// Finds out which network it is.
fn subject(arguments: &NtkArguments, examples: &[(&Source, &FileExamples)]) -> Result<UnsetNetwork> {
    let (path, member) = (&arguments.network, arguments.member);
    if path.is_dir() || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        ensure!(
            arguments.seed.is_none()
                && arguments.outputs.is_none()
                && arguments.shape.is_none()
                && arguments.set.is_empty(),
            "--seed, --outputs, --shape and --set are for a network that is drawn, but {} holds weights; leave them away",
            path.display()
        );
        return Ok(UnsetNetwork::of_weights(path, member, examples)?);
    }
    let sources = examples.iter().map(|(source, _)| *source).collect();
    let reader = ConfigCommand::Network { command: "ntk", sources, draws: arguments.seed.is_none(), has_width: false };
    let (network, seed) = reader.network(path, &arguments.set)?;
    let drawn = (arguments.seed, member);
    Ok(UnsetNetwork::drawn((&network, seed), drawn, arguments.shape, arguments.outputs, examples)?)
}

#[derive(Serialize)]
struct EigenpairLine {
    event: &'static str,
    index: usize,
    eigenvalue: f64,
    residual: f64,
}

fn tell_eigenpairs(found: &FoundEigenpairs, arguments: &NtkArguments, console: &Console) -> Result<Exit> {
    let mut rows = vec![["index", "eigenvalue", "residual"].map(str::to_owned)];
    for (index, pair) in found.pairs.iter().enumerate() {
        let (eigenvalue, residual) = (pair.value, pair.residual);
        console.json(&EigenpairLine { event: "eigenpair", index: index + 1, eigenvalue, residual })?;
        rows.push([(index + 1).to_string(), number(eigenvalue, 8), number(residual, 2)]);
    }
    for line in columns([Align::Right, Align::Right, Align::Right], &rows) {
        console.detail(line)?;
    }
    let products = found.products;
    console.detail(format_args!("{products} products with vectors; the residual is |Theta v - eigenvalue v|"))?;
    console.line(format_args!("written: {}, {}", found.csv.display(), found.vectors.display()))?;
    print_memory(arguments.memory, console)?;
    if !found.is_complete {
        let what = "residuals are not small, or larger eigenvalues may be missing";
        console.line(format_args!("undecided: the search gave up after {products} products; {what}"))?;
        return Ok(Exit::Undecided);
    }
    Ok(Exit::Done)
}
