//! `checkpoint.safetensors`: one file with everything from which a member goes on to the same bytes; and `weights.safetensors`,
//! the weights of a member that has ended, or `weights_<step>.safetensors`, those on its way.
//!
//! Tensors are named `<set>.<layer>.weight` and `<set>.<layer>.bias` with set `parameters` or `moment<i>`; the kernel of the last
//! snapshot is `previous_ntk.1.weight`. The header's metadata holds the [`Position`] as JSON and the SHA-256 of it and of all
//! tensors. Random streams need no state: they are keyed by name.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use faer::Mat;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use widthwise_theory::architecture::Architecture;

use super::atomic;
use crate::network::{LayerParameters, from_f64};

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Position {
    /// SHA-256 of the configuration that was running.
    pub config_hash: String,
    /// The network with its gates, so that the file speaks for itself.
    pub architecture: Option<Architecture>,
    /// SHA-256 of the data it was trained on.
    pub data_hash: String,
    /// The member.
    pub member: usize,
    /// Steps it has taken.
    pub step: u64,
    /// Bytes of `results.csv` that belong to this position.
    pub results_bytes: u64,
    /// Bytes of `training.csv` that belong to this position.
    pub training_bytes: u64,
}

/// Named sets of parameters: `parameters`, `moment0`, ...
pub type ParameterSets = Vec<(String, Vec<LayerParameters>)>;

/// Name of the set with the empirical NTK of the last snapshot.
pub const PREVIOUS_NTK: &str = "previous_ntk";

/// A matrix as a set of one, on the host and in f64.
pub fn of_matrix(matrix: &Mat<f64>) -> LayerParameters {
    let values: Vec<f64> = matrix.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect();
    let weight = from_f64(values, [matrix.nrows(), matrix.ncols()], &Device::flex(), DType::F64);
    LayerParameters { weight, bias: None }
}

/// Longest header of a safetensors file.
const MOST_HEADER: u64 = 100_000_000;

/// Name of the file in the folder of a member.
pub const FILE: &str = "checkpoint.safetensors";

/// Name of the file in the folder of a member.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Name of the file in the folder of a member that holds its weights after `step` steps.
pub fn weights_file_at(step: u64) -> String {
    format!("weights_{step}.safetensors")
}

/// The step of a file that [`weights_file_at`] names.
pub fn step_of_weights_file(name: &str) -> Option<u64> {
    name.strip_prefix("weights_")?.strip_suffix(".safetensors")?.parse().ok()
}

/// Writes parameter sets and a position to `path`.
///
/// # Errors
/// A failure to write.
pub fn write(path: &Path, position: &Position, sets: &[(String, &[LayerParameters])]) -> io::Result<()> {
    let tensors: CheckpointTensors = sets.iter().flat_map(|(set, parameters)| named(set, parameters)).collect();
    let position = serde_json::to_string(position)?;
    let digest = digest(&position, tensors.iter().map(|(name, data)| (name.as_str(), data.as_bytes())));
    let metadata = HashMap::from([("position".to_owned(), position), ("sha256".to_owned(), digest)]);
    atomic::write(path, &bytes(&tensors, Some(metadata))?)
}

/// Writes the parameters of one network to `path`, its architecture as JSON in the header's metadata.
///
/// # Errors
/// A failure to write.
pub fn write_weights(path: &Path, architecture: &Architecture, parameters: &[LayerParameters]) -> io::Result<()> {
    let metadata = HashMap::from([("architecture".to_owned(), serde_json::to_string(architecture)?)]);
    atomic::write(path, &bytes(&named("parameters", parameters), Some(metadata))?)
}

type CheckpointTensors = Vec<(String, TensorData)>;

fn named(set: &str, parameters: &[LayerParameters]) -> CheckpointTensors {
    let mut tensors = CheckpointTensors::new();
    for (index, parameter) in parameters.iter().enumerate() {
        tensors.push((format!("{set}.{}.weight", index + 1), parameter.weight.to_data()));
        if let Some(bias) = &parameter.bias {
            tensors.push((format!("{set}.{}.bias", index + 1), bias.to_data()));
        }
    }
    tensors
}

/// A safetensors file of F32 and F64 tensors.
pub(super) fn bytes(tensors: &CheckpointTensors, metadata: Option<HashMap<String, String>>) -> io::Result<Vec<u8>> {
    let views: Vec<(&str, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, data)| {
            let dtype = if data.dtype() == DType::F64 { Dtype::F64 } else { Dtype::F32 };
            TensorView::new(dtype, data.shape().to_vec(), data.as_bytes()).map(|view| (name.as_str(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    serialize(views, metadata).map_err(io::Error::other)
}

/// Of the position and of all tensors in the order of their names.
fn digest<'a>(position: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut tensors: Vec<(&str, &[u8])> = tensors.collect();
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut hasher = Sha256::new();
    hasher.update(position);
    for (name, bytes) in tensors {
        hasher.update(name);
        hasher.update(bytes);
    }
    hex(&hasher.finalize())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the file at `path` is a checkpoint, by its header.
pub fn is_checkpoint(path: &Path) -> bool {
    let has_position = |bytes: Vec<u8>| {
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        header.metadata().as_ref().map(|metadata| metadata.contains_key("position"))
    };
    std::fs::read(path).ok().and_then(has_position) == Some(true)
}

/// Reads a position and its parameter sets onto `device`; f64 numbers that it cannot hold stay on the host.
///
/// # Errors
/// No such file, or a damaged one.
pub fn read(path: &Path, device: &Device) -> io::Result<(Position, ParameterSets)> {
    let damaged = |error: String| {
        let message = format!("{} is damaged ({error}); start again with --force", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let bytes = std::fs::read(path)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let entry = |key: &str| header.metadata().as_ref().and_then(|metadata| metadata.get(key));
    let text = entry("position").ok_or_else(|| damaged("no position in its header".into()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let tensors = file.tensors();
    if entry("sha256") != Some(&digest(text, tensors.iter().map(|(name, view)| (name.as_str(), view.data())))) {
        return Err(damaged("its checksum is another".into()));
    }
    let position = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    Ok((position, parameter_sets(&file, device).map_err(damaged)?))
}

/// What stands before the tensors of a safetensors file, as far as it matters here.
#[derive(Deserialize)]
struct SafetensorsHeader {
    #[serde(rename = "__metadata__", default)]
    metadata: HashMap<String, String>,
}

/// The architecture of the network in such a file, whose tensors are not read.
///
/// # Errors
/// No such file, a damaged one, or one without a network.
pub fn read_architecture(path: &Path) -> io::Result<Architecture> {
    let refuse = |what: String| {
        let message = format!("{} {what}; give the {WEIGHTS_FILE} or {FILE} of a run", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let damaged = |error: &dyn std::fmt::Display| refuse(format!("is damaged ({error})"));
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let (mut length, mut bytes) = ([0; 8], Vec::new());
        io::Read::read_exact(&mut file, &mut length)?;
        // A header may claim any length.
        io::Read::read_to_end(&mut io::Read::take(file, u64::from_le_bytes(length).min(MOST_HEADER)), &mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(&error),
        kind => io::Error::new(kind, format!("cannot read {}: {error}", path.display())),
    })?;
    let header: SafetensorsHeader = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
    let entry = |key: &str| header.metadata.get(key);
    if let Some(text) = entry("position") {
        let position: Position = serde_json::from_str(text).map_err(|error| damaged(&error))?;
        return position.architecture.ok_or_else(|| refuse("holds no network in training".to_owned()));
    }
    let text = entry("architecture").ok_or_else(|| refuse("says nothing of its architecture".to_owned()))?;
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

/// All sets of parameters in a file; what is wrong with a tensor that is none.
fn parameter_sets(file: &SafeTensors<'_>, device: &Device) -> Result<ParameterSets, String> {
    let mut sets: HashMap<String, Vec<(usize, LayerParameters)>> = HashMap::new();
    let host = Device::flex();
    let tensor = |name: &str, view: &TensorView<'_>| -> Result<Tensor<2>, String> {
        let dtype = match view.dtype() {
            Dtype::F64 => DType::F64,
            Dtype::F32 => DType::F32,
            other => return Err(format!("tensor {name} holds {other:?} numbers where a checkpoint has F32 or F64")),
        };
        if view.shape().len() != 2 {
            return Err(format!("tensor {name} has the shape {:?} where a checkpoint has matrices", view.shape()));
        }
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        let device = if dtype == DType::F32 || device.supports_dtype(dtype) { device } else { &host };
        Ok(Tensor::from_data(data, (device, dtype)))
    };
    for (name, view) in &file.tensors() {
        let parts: Vec<&str> = name.split('.').collect();
        let [set, layer, "weight"] = parts.as_slice() else { continue };
        let layer: usize = layer.parse().map_err(|_| format!("tensor {name}"))?;
        let bias = format!("{set}.{layer}.bias");
        let bias = file.tensor(&bias).ok().map(|view| tensor(&bias, &view)).transpose()?;
        sets.entry((*set).to_owned()).or_default().push((layer, LayerParameters { weight: tensor(name, view)?, bias }));
    }
    let mut sets: ParameterSets = sets
        .into_iter()
        .map(|(set, mut layers)| {
            layers.sort_by_key(|(layer, _)| *layer);
            (set, layers.into_iter().map(|(_, parameters)| parameters).collect())
        })
        .collect();
    sets.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_comes_back_or_is_refused() {
        let device = Device::flex();
        let weight = Tensor::<2>::from_data([[1.0_f32, -2.5], [0.1, 7.0]], &device);
        let bias = Tensor::<2>::from_data([[3.0_f32, 0.25]], &device);
        let layers =
            [LayerParameters { weight: weight.clone(), bias: Some(bias) }, LayerParameters { weight, bias: None }];
        let position = Position { step: 5, results_bytes: 1234, ..Position::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        write(&path, &position, &[("parameters".to_owned(), &layers), ("moment0".to_owned(), &layers[..1])]).unwrap();
        let (found, sets) = read(&path, &device).unwrap();
        assert_eq!(found, position);
        let names: Vec<(&str, usize)> = sets.iter().map(|(name, set)| (name.as_str(), set.len())).collect();
        assert_eq!(names, [("moment0", 1), ("parameters", 2)]);
        for (found, expected) in sets[1].1.iter().zip(&layers) {
            assert_eq!(found.weight.to_data(), expected.weight.to_data());
            assert_eq!(found.bias.as_ref().map(Tensor::to_data), expected.bias.as_ref().map(Tensor::to_data));
        }
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let read = read(&path, &device);
            assert!(read.is_err_and(|error| error.to_string().contains("is damaged")), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(super::read(&path, &device).is_err(), "cut to {at} bytes");
        }
    }
}
