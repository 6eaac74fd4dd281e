//! Named tensors of a file as numbers on the host: safetensors, and what `torch.save` writes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::format::{WeightsFormat, format_of, shards};
use super::{WeightsError, torch};

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
    /// Names in the order in which the file has them.
    pub(super) order: Vec<String>,
    /// Whether that is the order of the state dict.
    pub(super) keeps_order: bool,
    /// What the user should know.
    pub(super) remarks: Vec<String>,
}

/// A tensor as it lies in the file.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) shape: Vec<usize>,
    /// Its type, or the name of one that is no floating-point type.
    pub(super) dtype: Result<DType, String>,
    pub(super) bytes: Vec<u8>,
}

/// Bytes at the beginning of a file that say what it is.
const HEAD: u64 = 4096;

impl TensorFile {
    /// A file without tensors.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            tensors: BTreeMap::new(),
            metadata: HashMap::new(),
            order: Vec::new(),
            keeps_order: false,
            remarks: Vec::new(),
        }
    }

    /// Reads a safetensors file, or one that `torch.save` wrote: what it begins with says which, and not its name.
    pub(super) fn read(path: &Path) -> Result<Self, WeightsError> {
        let unreadable = |reason: String| WeightsError::Unreadable { path: path.to_owned(), reason };
        match format(path)? {
            WeightsFormat::Safetensors => Self::read_safetensors(path),
            WeightsFormat::Torch(form) => torch::read(path, form),
            WeightsFormat::Index => {
                let text =
                    std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
                Err(unreadable(shards(&text)))
            }
            WeightsFormat::Other(what) => Err(unreadable(format!(
                "{what}; expected what torch.save(net.state_dict(), ...) writes, or safetensors"
            ))),
        }
    }

    /// Reads a file that this program wrote.
    pub(super) fn read_own(path: &Path) -> Result<Self, WeightsError> {
        let reason = match format(path)? {
            WeightsFormat::Safetensors => return Self::read_safetensors(path),
            WeightsFormat::Torch(_) => "it is a pickle or a zip archive, as torch.save writes".to_owned(),
            WeightsFormat::Index => "it is JSON".to_owned(),
            WeightsFormat::Other(what) => what,
        };
        Err(WeightsError::NotOurs { path: path.to_owned(), reason })
    }

    /// Reads a safetensors file.
    fn read_safetensors(path: &Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
        let unreadable = |error: safetensors::SafeTensorError| WeightsError::NotOurs {
            path: path.to_owned(),
            reason: error.to_string(),
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
            tensors: file.tensors().into_iter().map(|(name, view)| (name, raw(view))).collect(),
            metadata: header.metadata().clone().unwrap_or_default(),
            ..Self::new(path)
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

/// What kind of file lies at `path`.
fn format(path: &Path) -> Result<WeightsFormat, WeightsError> {
    let cannot_read = |source| WeightsError::Read { path: path.to_owned(), source };
    let mut head = Vec::new();
    let file = File::open(path).map_err(cannot_read)?;
    let length = file.metadata().map_err(cannot_read)?.len();
    file.take(HEAD).read_to_end(&mut head).map_err(cannot_read)?;
    Ok(format_of(&head, length))
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
