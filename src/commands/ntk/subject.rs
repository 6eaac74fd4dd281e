//! The network whose kernel is asked for: trained weights in a file or a folder, or one that is drawn.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Device};
use widthwise::need;
use widthwise::network::Network;
use widthwise::record::checkpoint;
use widthwise::record::weights::Weights;
use widthwise_tensors::Number;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InputShape, UpdateRule};

use crate::cli::NtkArguments;
use crate::commands::overrides::ConfigCommand;
use widthwise::examples::FileExamples;
use widthwise::examples::Source;
use widthwise::examples::{architecture_with, shape_of};

/// A network before its parameters are there.
pub(super) struct UnsetNetwork {
    architecture: Architecture,
    member: usize,
    origin: ParameterOrigin,
}

/// Where parameters come from.
enum ParameterOrigin {
    /// A file of so many bytes.
    File(PathBuf, u64),
    /// The stream of a seed.
    Seed(u64),
}

impl UnsetNetwork {
    /// Finds out which network it is.
    ///
    /// # Errors
    /// No network there, one that does not fit the examples, or options that belong to the other kind.
    pub(super) fn new(arguments: &NtkArguments, examples: &[(&Source, &FileExamples)]) -> Result<Self> {
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
            let file = if path.is_dir() { in_folder(path, member)? } else { path.clone() };
            let architecture = checkpoint::read_architecture(&file)?;
            expect_columns(architecture.input, examples)?;
            let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
            return Ok(Self { architecture, member, origin: ParameterOrigin::File(file, bytes) });
        }
        let sources = examples.iter().map(|(source, _)| *source).collect();
        let reader =
            ConfigCommand::Network { command: "ntk", sources, draws: arguments.seed.is_none(), has_width: false };
        let (network, seed) = reader.network(path, &arguments.set)?;
        let shape = shape_of(arguments.shape, &network, examples)?;
        let (_, left) = examples[0];
        let outputs = arguments.outputs.or(left.targets.as_ref().map(|targets| targets.outputs)).unwrap_or(1);
        let architecture = architecture_with(&network, seed, shape, left, outputs)?;
        Ok(Self { architecture, member, origin: ParameterOrigin::Seed(arguments.seed.unwrap_or(seed)) })
    }

    /// Its architecture.
    pub(super) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Bytes that its parameters take while they are read or drawn.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub(super) fn bytes<T: Number>(&self) -> Result<u64, TheoryError> {
        match &self.origin {
            // The file with a copy of its tensors; these and their numbers in f64; the numbers and the network, layer by layer.
            ParameterOrigin::File(_, bytes) => {
                let numbers = need::parameters(&self.architecture).saturating_mul(8);
                let made = numbers.saturating_add(need::drawing(&self.architecture, size_of::<T>())?.0);
                Ok(made.max(bytes.saturating_add(numbers)).max(bytes.saturating_mul(2)))
            }
            ParameterOrigin::Seed(_) => Ok(need::drawing(&self.architecture, size_of::<T>())?.0),
        }
    }

    /// Reads or draws the parameters, in the precision of the computation.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub(super) fn network(self, dtype: DType) -> Result<Network> {
        match self.origin {
            ParameterOrigin::File(file, _) => {
                let network = Weights::read(&file)?.network(UpdateRule::Linear, &Device::flex(), dtype);
                network.with_context(|| file.display().to_string())
            }
            ParameterOrigin::Seed(seed) => {
                let rule = UpdateRule::Linear;
                Ok(Network::new(&self.architecture, rule, seed, self.member, &Device::flex(), dtype)?)
            }
        }
    }
}

fn expect_columns(shape: InputShape, examples: &[(&Source, &FileExamples)]) -> Result<()> {
    for (source, examples) in examples {
        let (found, features) = (examples.columns, shape.features());
        ensure!(found == features, "{source} has {found} columns, but the network reads {features}");
        examples.expect_shape(source, shape)?;
    }
    Ok(())
}

fn in_folder(folder: &Path, member: usize) -> Result<PathBuf> {
    let of_member = folder.join("members").join(format!("{member:03}"));
    let places = [folder, &of_member];
    let files = || [checkpoint::WEIGHTS_FILE, checkpoint::FILE].into_iter();
    if let Some(found) = files().flat_map(|file| places.map(|place| place.join(file))).find(|path| path.is_file()) {
        return Ok(found);
    }
    bail!(
        "{} holds no weights of member {member}; a run keeps them with --set run.keep_weights=true, and an unfinished one has a {}",
        folder.display(),
        checkpoint::FILE
    )
}
