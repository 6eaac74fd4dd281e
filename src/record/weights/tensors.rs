//! Named tensors of a file as numbers on the host: safetensors, and what `torch.save` writes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use pytorch_reader::PytorchReader;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::WeightsError;

/// One tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NamedTensor {
    pub(super) shape: Vec<usize>,
    /// Row-major, finite.
    pub(super) values: Vec<f64>,
    /// Whether f32 does not hold every number of the type.
    pub(super) is_double: bool,
}

pub(super) type Tensors = BTreeMap<String, NamedTensor>;

/// All that a file holds.
#[derive(Debug, Clone)]
pub(super) struct TensorFile {
    path: PathBuf,
    pub(super) tensors: BTreeMap<String, Raw>,
    pub(super) metadata: HashMap<String, String>,
}

/// A tensor as it lies in the file.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) shape: Vec<usize>,
    /// Its type, or the name of one that is no floating-point type.
    dtype: Result<DType, String>,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// Reads a safetensors file, or one that `torch.save` wrote: a zip archive or, before PyTorch 1.6, a bare pickle.
    pub(super) fn read(path: &Path) -> Result<Self, WeightsError> {
        let has_ending = |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        if ["pt", "pth", "bin", "ckpt"].into_iter().any(has_ending) {
            Self::read_pickle(path)
        } else {
            Self::read_safetensors(path)
        }
    }

    /// Nothing in the pickle is run: the reader knows the few types that a state dict is made of.
    fn read_pickle(path: &Path) -> Result<Self, WeightsError> {
        if let Err(source) = std::fs::File::open(path) {
            return Err(WeightsError::Read { path: path.to_owned(), source });
        }
        let unreadable = |error: String| WeightsError::Unreadable {
            path: path.to_owned(),
            reason: format!("{error}; expected what torch.save(net.state_dict(), ...) writes"),
        };
        let file = PytorchReader::new(path).map_err(|error| unreadable(error.to_string()))?;
        let raw = |tensor: pytorch_reader::Tensor| -> Result<Raw, WeightsError> {
            let dtype = match tensor.dtype() {
                pytorch_reader::DType::F16 => Ok(DType::F16),
                pytorch_reader::DType::BF16 => Ok(DType::BF16),
                pytorch_reader::DType::F32 => Ok(DType::F32),
                pytorch_reader::DType::F64 => Ok(DType::F64),
                other => Err(format!("{other:?}")),
            };
            let bytes = tensor.read().map_err(|error| unreadable(error.to_string()))?;
            Ok(Raw { shape: tensor.shape().to_vec(), dtype, bytes })
        };
        let tensors = file.into_tensors().into_iter().map(|(name, tensor)| Ok((name, raw(tensor)?)));
        let tensors = tensors.collect::<Result<_, WeightsError>>()?;
        Ok(Self { path: path.to_owned(), tensors, metadata: HashMap::new() })
    }

    /// Reads a safetensors file.
    pub(super) fn read_safetensors(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
        let unreadable = |error: safetensors::SafeTensorError| WeightsError::Unreadable {
            path: path.to_owned(),
            reason: format!("it is no sound safetensors file ({error})"),
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
        let file = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
        let raw = |view: safetensors::tensor::TensorView<'_>| Raw {
            shape: view.shape().to_vec(),
            dtype: match view.dtype() {
                Dtype::F16 => Ok(DType::F16),
                Dtype::BF16 => Ok(DType::BF16),
                Dtype::F32 => Ok(DType::F32),
                Dtype::F64 => Ok(DType::F64),
                other => Err(format!("{other:?}")),
            },
            bytes: view.data().to_vec(),
        };
        Ok(Self {
            path: path.to_owned(),
            tensors: file.tensors().into_iter().map(|(name, view)| (name, raw(view))).collect(),
            metadata: header.metadata().clone().unwrap_or_default(),
        })
    }

    /// The tensors whose name begins with `prefix` as numbers.
    ///
    /// # Errors
    /// Tensors of other types, numbers that are not finite.
    pub(super) fn numbers(self, prefix: &str) -> Result<Tensors, WeightsError> {
        let chosen = self.tensors.into_iter().filter(|(name, _)| name.starts_with(prefix));
        chosen.map(|(name, raw)| raw.numbers(&self.path, &name).map(|tensor| (name, tensor))).collect()
    }
}

/// The precision that holds all of `tensors`.
pub(super) fn precision(tensors: &Tensors) -> DType {
    if tensors.values().any(|tensor| tensor.is_double) { DType::F64 } else { DType::F32 }
}

impl Raw {
    /// The numbers, in f64.
    fn numbers(self, path: &Path, name: &str) -> Result<NamedTensor, WeightsError> {
        let dtype =
            self.dtype.map_err(|found| WeightsError::Type { path: path.to_owned(), name: name.to_owned(), found })?;
        let data = TensorData::from_bytes_vec(self.bytes, self.shape.clone(), dtype);
        let values: Vec<f64> = data.iter::<f64>().collect();
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let (path, name, value) = (path.to_owned(), name.to_owned(), values[place]);
            return Err(WeightsError::NotFinite { path, name, place, value });
        }
        Ok(NamedTensor { shape: self.shape, values, is_double: dtype == DType::F64 })
    }
}
