//! The data of a run, next to the network: on its device, with the probe examples set apart.

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor};
use faer::Mat;
use widthwise_datasets::{Dataset, DatasetSpec, Examples, Prepared};
use widthwise_theory::architecture::{Architecture, InputShape};

use crate::error::Result;
use crate::memory::expect_free;
use crate::need::generated_data;
use crate::network::{Batch, from_f64};
use crate::objective::Targets;

/// Examples on the device and what the host needs of them.
pub struct Data {
    /// Training inputs.
    pub train: Batch,
    /// Training targets.
    pub train_targets: Targets,
    /// Test inputs and targets, if there are test examples.
    pub test: Option<(Batch, Targets)>,
    /// The probe examples: see [`probe_examples`].
    pub probe: Batch,
    /// Whether they are the whole training set, in its order.
    pub probe_is_train: bool,
    /// Their targets on the device.
    pub probe_targets_on_device: Targets,
    /// Their targets, `N x O`.
    pub probe_targets: Mat<f64>,
    /// Their classes.
    pub probe_labels: Vec<u8>,
    /// Number of classes; 0 for regression.
    pub classes: usize,
}

/// Reads or generates a data set; what does not fit into memory is not begun.
///
/// # Errors
/// A set that is not there or damaged, or that is too large.
pub fn load(source: &DatasetSpec, data_dir: Option<&Path>, seed: u64) -> Result<Dataset> {
    let way_out = "lower the train and test of dataset.source, or its input_dim";
    expect_free(generated_data(source), &format!("the examples of {}", source.name()), way_out)?;
    Ok(widthwise_datasets::load(source, data_dir, seed)?)
}

/// Shape of the inputs as theory has it.
pub fn input_shape(prepared: &Prepared) -> InputShape {
    InputShape { channels: prepared.shape.channels, height: prepared.shape.height, width: prepared.shape.width }
}

/// Which training examples the probes examine: the first `count`, in turn from each task, since tasks are stored one after
/// the other.
pub fn probe_examples(prepared: &Prepared, count: usize) -> Vec<usize> {
    let (n, tasks) = (prepared.train.n, prepared.tasks.max(1));
    let of_task = n / tasks;
    (0..count.min(of_task * tasks)).map(|i| (i % tasks) * of_task + i / tasks).collect()
}

impl Data {
    /// Places `prepared` on `device`; gates are evaluated for `architecture`.
    pub fn new(prepared: &Prepared, architecture: &Architecture, probes: usize, device: &Device, dtype: DType) -> Self {
        let place = |examples: &Examples| {
            let features = prepared.shape.len();
            let gates = architecture.gates.as_ref().map(|gates| {
                let values = gates.evaluate(&examples.inputs, features);
                from_f64(values, [examples.n, gates.count()], device, dtype)
            });
            let inputs = from_f64(examples.inputs.clone(), [examples.n, features], device, dtype);
            let values = from_f64(examples.targets.clone(), [examples.n, prepared.outputs], device, dtype);
            let classes: Vec<i64> = match prepared.classes {
                0 => vec![0; examples.n],
                _ => examples.labels.iter().map(|&label| i64::from(label)).collect(),
            };
            let classes = Tensor::<1, Int>::from_data(classes.as_slice(), device);
            (Batch { inputs, gates, masks: Vec::new() }, Targets { values, classes })
        };
        let (train, train_targets) = place(&prepared.train);
        let chosen = probe_examples(prepared, probes);
        let indices: Vec<i64> = chosen.iter().map(|&i| i as i64).collect();
        let outputs = prepared.outputs;
        Self {
            probe: train.select(Tensor::from_data(indices.as_slice(), device)),
            probe_is_train: chosen.iter().copied().eq(0..prepared.train.n),
            probe_targets_on_device: train_targets.select(Tensor::from_data(indices.as_slice(), device)),
            probe_targets: Mat::from_fn(chosen.len(), outputs, |i, o| prepared.train.targets[chosen[i] * outputs + o]),
            probe_labels: chosen.iter().filter_map(|&i| prepared.train.labels.get(i)).copied().collect(),
            test: (prepared.test.n > 0).then(|| place(&prepared.test)),
            train,
            train_targets,
            classes: prepared.classes,
        }
    }
}
