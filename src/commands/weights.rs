//! `widthwise weights`: weights out of a run, and state dicts of PyTorch into a network here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use widthwise::config::{self, GateKind};
use widthwise::network::{build_architecture, draw_gates};
use widthwise::record::checkpoint::{WEIGHTS_FILE, weights_file_at};
use widthwise::record::manifest::Manifest;
use widthwise::record::place::try_out;
use widthwise::record::weights::Weights;
use widthwise::record::weights::pytorch::{self, Mapping};
use widthwise_theory::architecture::Architecture;

use super::Exit;
use super::overrides::ConfigCommand;
use crate::cli::{ExportArguments, ImportArguments, StateLayout, WeightsAction, WeightsArguments};
use crate::terminal::columns::{Align, columns};
use crate::terminal::console::Console;

/// One layer of the result.
#[derive(Debug, Serialize)]
struct LayerLine {
    event: &'static str,
    layer: usize,
    /// The module that it came from or went to; none in the layout of this program.
    module: Option<String>,
    inputs: usize,
    outputs: usize,
    biases: bool,
}

/// Exports or imports.
///
/// # Errors
/// Weights that are not there or do not fit, a network that is refused, a failure to write.
pub(crate) fn execute(arguments: &WeightsArguments, console: &Console) -> Result<Exit> {
    match &arguments.action {
        WeightsAction::Export(arguments) => export(arguments, console),
        WeightsAction::Import(arguments) => import(arguments, console),
    }
}

fn export(arguments: &ExportArguments, console: &Console) -> Result<Exit> {
    try_out(&arguments.out)?;
    let weights = Weights::read(&source(arguments)?)?;
    let config = arguments.from.join("config.toml");
    if config.is_file() && config::load(Some(&config), &[])?.network.centred {
        console.note(
            "the run's networks are f - f_0, and these are the weights of f; those of f_0 are the weights after 0 steps, kept with \
             run.keep_weights = \"probes\"",
        );
    }
    let modules = match arguments.layout {
        StateLayout::Widthwise => {
            weights.write(&arguments.out)?;
            None
        }
        StateLayout::Pytorch => {
            pytorch::export(&weights, &arguments.out)?;
            Some(pytorch::sequential_names(&weights.architecture)?)
        }
    };
    report(&weights, modules.as_deref(), &arguments.out, console)
}

/// The file with the weights that were asked for.
fn source(arguments: &ExportArguments) -> Result<PathBuf> {
    let from = &arguments.from;
    if !from.is_dir() {
        ensure!(
            arguments.member.is_none() && arguments.step.is_none(),
            "--member and --step choose among the weights of a run, and {} is no folder",
            from.display()
        );
        return Ok(from.clone());
    }
    let manifest = Manifest::read(from)?;
    let member = arguments.member.unwrap_or(0);
    ensure!(
        member < manifest.members,
        "--member {member}: {} has the members 0 to {}",
        from.display(),
        manifest.members - 1
    );
    let folder = from.join("members").join(format!("{member:03}"));
    let file = folder.join(arguments.step.map_or_else(|| WEIGHTS_FILE.to_owned(), weights_file_at));
    if !file.is_file() {
        let kept = kept_steps(&folder);
        let kept = if kept.is_empty() { String::new() } else { format!("; there are those of the steps {kept}") };
        bail!(
            "{} is not there{kept}; a run keeps weights after training with run.keep_weights = \"last\", at every probe step \
             with \"probes\"",
            file.display()
        );
    }
    Ok(file)
}

/// Steps whose weights lie in the folder of a member.
fn kept_steps(folder: &Path) -> String {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut steps: Vec<u64> =
        names.filter_map(|name| widthwise::record::checkpoint::step_of_weights_file(name.to_str()?)).collect();
    steps.sort_unstable();
    steps.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn import(arguments: &ImportArguments, console: &Console) -> Result<Exit> {
    try_out(&arguments.out)?;
    let architecture = architecture(arguments)?;
    let mappings: Vec<Mapping> = arguments.map.iter().map(|option| option.0.clone()).collect();
    let imported = pytorch::import(&arguments.file, &architecture, &mappings)?;
    imported.weights.write(&arguments.out)?;
    for remark in &imported.remarks {
        console.note(remark);
    }
    report(&imported.weights, Some(&imported.modules), &arguments.out, console)
}

/// The network that the file is said to hold.
fn architecture(arguments: &ImportArguments) -> Result<Architecture> {
    let path = &arguments.network;
    if path.extension().is_some_and(|extension| extension == "json") {
        ensure!(
            arguments.input.is_none() && arguments.outputs.is_none() && arguments.set.is_empty(),
            "{} says all about the network; leave --input, --outputs and --set out",
            path.display()
        );
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let architecture = serde_json::from_slice(&text);
        return architecture.with_context(|| format!("{} is no architecture.json of a run", path.display()));
    }
    let reader =
        ConfigCommand::Network { command: "weights import", sources: Vec::new(), draws: false, has_width: false };
    let (network, seed) = reader.network(path, &arguments.set)?;
    ensure!(
        !network.centred,
        "network.centred = true: a state dict holds f, and nothing of the initial function that a centred network f - f_0 subtracts; \
         import f with --set network.centred=false"
    );
    let (Some(input), Some(outputs)) = (arguments.input, arguments.outputs) else {
        bail!(
            "{} does not say what the network reads and makes; give --input C,H,W (or the number of features) and --outputs O",
            path.display()
        );
    };
    ensure!(
        !network.reads_images() || input.height * input.channels > 1,
        "the network reads images; say with --input C,H,W how the {} features make one",
        input.features()
    );
    let gates = if network.is_gated() {
        ensure!(
            matches!(network.gates.kind, GateKind::Heaviside | GateKind::Smooth),
            "the gates of {} depend on training data; give the architecture.json of a run that has them",
            path.display()
        );
        Some(draw_gates(&network.gates, seed, &[], input.features()))
    } else {
        None
    };
    build_architecture(&network, input, outputs, gates).context("the network does not fit --input")
}

/// One line a layer, and where the file is.
fn report(weights: &Weights, modules: Option<&[String]>, out: &Path, console: &Console) -> Result<Exit> {
    let heading = ["layer", "module", "inputs", "outputs", "biases"].map(str::to_owned);
    let mut rows = vec![heading];
    for (index, layer) in weights.architecture.weight_layers()?.iter().enumerate() {
        let line = LayerLine {
            event: "layer",
            layer: layer.layer,
            module: modules.map(|modules| modules[index].clone()),
            inputs: layer.fan_in * layer.branches,
            outputs: layer.width,
            biases: weights.layers[index].bias.is_some(),
        };
        console.json(&line)?;
        rows.push([
            line.layer.to_string(),
            line.module.unwrap_or_else(|| format!("parameters.{}", line.layer)),
            line.inputs.to_string(),
            line.outputs.to_string(),
            if line.biases { "yes" } else { "no" }.to_owned(),
        ]);
    }
    for line in columns([Align::Right, Align::Left, Align::Right, Align::Right, Align::Left], &rows) {
        console.detail(line)?;
    }
    console.line(out.display())?;
    Ok(Exit::Done)
}
