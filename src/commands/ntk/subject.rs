//! The network whose kernel is asked for: trained weights in a file or a folder, or one that is drawn.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Device};
use widthwise::need;
use widthwise::network::{Network, Parameters};
use widthwise::record::checkpoint;
use widthwise_probes::ntk::Number;
use widthwise_theory::{Architecture, InputShape, TheoryError, UpdateRule};

use crate::cli::NtkArguments;
use crate::commands::architecture::{architecture_with, shape_of};
use crate::commands::inputs::Examples;
use crate::commands::overrides::Reader;
use crate::commands::source::Source;

/// A network before its parameters are there.
pub(super) struct Subject {
    architecture: Architecture,
    member: usize,
    origin: Origin,
}

/// Where parameters come from.
enum Origin {
    /// A file of so many bytes.
    File(PathBuf, u64),
    /// The stream of a seed.
    Seed(u64),
}

impl Subject {
    /// Finds out which network it is.
    ///
    /// # Errors
    /// No network there, one that does not fit the examples, or options that belong to the other kind.
    pub(super) fn new(arguments: &NtkArguments, examples: &[(&Source, &Examples)]) -> Result<Self> {
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
            return Ok(Self { architecture, member, origin: Origin::File(file, bytes) });
        }
        let sources = examples.iter().map(|(source, _)| *source).collect();
        let reader = Reader::Network { command: "ntk", sources, draws: arguments.seed.is_none(), has_width: false };
        let (network, seed) = reader.network(path, &arguments.set)?;
        let shape = shape_of(arguments.shape, &network, examples)?;
        let (_, left) = examples[0];
        let outputs = arguments.outputs.or(left.targets.as_ref().map(|targets| targets.outputs)).unwrap_or(1);
        let architecture = architecture_with(&network, seed, shape, left, outputs)?;
        Ok(Self { architecture, member, origin: Origin::Seed(arguments.seed.unwrap_or(seed)) })
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
            // The file, its tensors, and what they are turned into.
            Origin::File(_, bytes) => {
                Ok((2 * bytes).max(bytes.saturating_add(need::network(&self.architecture, size_of::<T>())?.0)))
            }
            Origin::Seed(_) => Ok(need::drawing(&self.architecture, size_of::<T>())?.0),
        }
    }

    /// Reads or draws the parameters, in the precision of the computation.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub(super) fn network(self, dtype: DType) -> Result<Network> {
        match self.origin {
            Origin::File(file, _) => {
                let (architecture, parameters) = checkpoint::read_network(&file, &Device::flex())?;
                of_parameters(&architecture, parameters, dtype).with_context(|| file.display().to_string())
            }
            Origin::Seed(seed) => {
                let rule = UpdateRule::Linear;
                Ok(Network::new(&self.architecture, rule, seed, self.member, &Device::flex(), dtype)?)
            }
        }
    }
}

fn expect_columns(shape: InputShape, examples: &[(&Source, &Examples)]) -> Result<()> {
    for (source, examples) in examples {
        let (found, features) = (examples.columns, shape.features());
        ensure!(found == features, "{source} has {found} columns, but the network reads {features}");
        examples.expect_shape(source, shape)?;
    }
    Ok(())
}

/// A network of this architecture with these parameters.
fn of_parameters(architecture: &Architecture, parameters: Vec<Parameters>, dtype: DType) -> Result<Network> {
    let expected = Network::parameter_shapes(architecture)?;
    let sizes = |p: &Parameters| (p.weight.dims(), p.bias.as_ref().map(|bias| bias.dims()));
    ensure!(
        parameters.iter().map(sizes).eq(expected),
        "the weights do not have the shapes of the architecture beside them; the file is damaged or of another program"
    );
    let parameters = parameters.into_iter().map(|p| p.map(|tensor| tensor.clone().cast(dtype))).collect();
    Ok(Network::with_parameters(architecture, UpdateRule::Linear, parameters, &Device::flex(), dtype)?)
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
