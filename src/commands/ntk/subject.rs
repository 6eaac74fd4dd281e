//! The network whose kernel is asked for: trained weights in a file or a folder, or one that is drawn.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Device};
use widthwise::config;
use widthwise::network::Network;
use widthwise::record::checkpoint;
use widthwise::record::weights::Weights;
use widthwise_theory::{InputShape, UpdateRule};

use crate::cli::NtkArguments;
use crate::commands::architecture::{architecture_with, shape_of};
use crate::commands::inputs::Examples;
use crate::commands::source::Source;

/// Reads or draws the network, in the precision of the computation.
///
/// # Errors
/// No network there, one that does not fit the examples, or options that belong to the other kind.
pub(super) fn network(arguments: &NtkArguments, examples: &[(&Source, &Examples)], dtype: DType) -> Result<Network> {
    let path = &arguments.network;
    if path.is_dir() || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        ensure!(
            arguments.seed.is_none()
                && arguments.outputs.is_none()
                && arguments.shape.is_none()
                && arguments.set.is_empty(),
            "--seed, --outputs, --shape and --set are for a network that is drawn, but {} holds weights; leave them away",
            path.display()
        );
        let weights = weights(path, arguments.member)?;
        expect_columns(weights.architecture.input, examples)?;
        let network = weights.network(UpdateRule::Linear, &Device::flex(), dtype);
        return network.with_context(|| path.display().to_string());
    }
    let (network, seed) = config::load_network(Some(path), &arguments.set)?;
    let shape = shape_of(arguments.shape, &network, examples)?;
    let (_, left) = examples[0];
    let outputs = arguments.outputs.or(left.targets.as_ref().map(|targets| targets.outputs)).unwrap_or(1);
    let architecture = architecture_with(&network, seed, shape, left, outputs)?;
    let seed = arguments.seed.unwrap_or(seed);
    Ok(Network::new(&architecture, UpdateRule::Linear, seed, arguments.member, &Device::flex(), dtype)?)
}

fn expect_columns(shape: InputShape, examples: &[(&Source, &Examples)]) -> Result<()> {
    for (source, examples) in examples {
        let (found, features) = (examples.columns, shape.features());
        ensure!(found == features, "{source} has {found} columns, but the network reads {features}");
    }
    Ok(())
}

/// Weights with their architecture from a file, or from the folder of a run or a member.
fn weights(path: &Path, member: usize) -> Result<Weights> {
    let file = if path.is_dir() { in_folder(path, member)? } else { path.to_owned() };
    Ok(Weights::read(&file)?)
}

fn in_folder(folder: &Path, member: usize) -> Result<PathBuf> {
    let of_member = folder.join("members").join(format!("{member:03}")).join(checkpoint::WEIGHTS_FILE);
    let places = [folder.join(checkpoint::WEIGHTS_FILE), of_member, folder.join(checkpoint::FILE)];
    if let Some(found) = places.into_iter().find(|place| place.is_file()) {
        return Ok(found);
    }
    bail!(
        "{} holds no weights of member {member}; a run keeps them with --set run.keep_weights=true, and an unfinished one has a {}",
        folder.display(),
        checkpoint::FILE
    )
}
