//! The network whose kernel is asked for: trained weights in a file or a folder, or one that is drawn.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use widthwise_tensors::Number;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InputShape, UpdateRule};

use super::super::KernelError;
use crate::config::NetworkConfig;
use crate::examples::{FileExamples, Source, architecture_with, shape_of};
use crate::need;
use crate::network::Network;
use crate::record::checkpoint;
use crate::record::weights::Weights;

/// A network before its parameters are there.
#[derive(Debug, Clone)]
pub struct UnsetNetwork {
    architecture: Architecture,
    member: usize,
    origin: ParameterOrigin,
}

/// Where parameters come from.
#[derive(Debug, Clone)]
enum ParameterOrigin {
    /// A file of so many bytes.
    File(PathBuf, u64),
    /// The stream of a seed.
    Seed(u64),
}

impl UnsetNetwork {
    /// That of weights in a file, in the folder of a run or in that of one of its members.
    ///
    /// # Errors
    /// No network there, or one that does not fit the examples.
    pub fn of_weights(path: &Path, member: usize, examples: &[(&Source, &FileExamples)]) -> Result<Self, KernelError> {
        let file = if path.is_dir() { in_folder(path, member)? } else { path.to_owned() };
        let architecture = checkpoint::read_architecture(&file)?;
        expect_columns(architecture.input, examples)?;
        let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        Ok(Self { architecture, member, origin: ParameterOrigin::File(file, bytes) })
    }

    /// One that is drawn: `member` of the ensemble of `seed`, or else of the seed that comes with the configuration of the network.
    /// Outputs are those asked for, those of the data set, or one.
    ///
    /// # Errors
    /// A network that does not fit the examples.
    pub fn drawn(
        (network, gates_seed): (&NetworkConfig, u64),
        (seed, member): (Option<u64>, usize),
        shape: Option<InputShape>,
        outputs: Option<usize>,
        examples: &[(&Source, &FileExamples)],
    ) -> Result<Self, KernelError> {
        let shape = shape_of(shape, network, examples)?;
        let (_, left) = examples[0];
        let outputs = outputs.or(left.targets.as_ref().map(|targets| targets.outputs)).unwrap_or(1);
        let architecture = architecture_with(network, gates_seed, shape, left, outputs)?;
        Ok(Self { architecture, member, origin: ParameterOrigin::Seed(seed.unwrap_or(gates_seed)) })
    }

    /// Its architecture.
    pub fn architecture(&self) -> &Architecture {
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
    pub fn network(self, dtype: DType) -> Result<Network, KernelError> {
        match self.origin {
            ParameterOrigin::File(file, _) => {
                let network = Weights::read(&file)?.network(UpdateRule::Linear, &Device::flex(), dtype);
                network.map_err(|source| KernelError::UnfitWeights { path: file, source: Box::new(source) })
            }
            ParameterOrigin::Seed(seed) => {
                let rule = UpdateRule::Linear;
                Ok(Network::new(&self.architecture, rule, seed, self.member, &Device::flex(), dtype)?)
            }
        }
    }
}

fn expect_columns(shape: InputShape, examples: &[(&Source, &FileExamples)]) -> Result<(), KernelError> {
    for (source, examples) in examples {
        let (found, features) = (examples.columns, shape.features());
        if found != features {
            return Err(KernelError::OtherColumns { name: source.to_string(), found, features });
        }
        examples.expect_shape(source, shape)?;
    }
    Ok(())
}

fn in_folder(folder: &Path, member: usize) -> Result<PathBuf, KernelError> {
    let of_member = folder.join("members").join(format!("{member:03}"));
    let places = [folder, &of_member];
    let files = || [checkpoint::WEIGHTS_FILE, checkpoint::FILE].into_iter();
    if let Some(found) = files().flat_map(|file| places.map(|place| place.join(file))).find(|path| path.is_file()) {
        return Ok(found);
    }
    Err(KernelError::NoWeights { folder: folder.to_owned(), member, checkpoint: checkpoint::FILE })
}
