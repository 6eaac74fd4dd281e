//! Parameters taken out of their tensors.

use burn::tensor::{Device, Tensor, TensorData};

use super::fused::UpdateNumber;
use crate::host::aligned::Aligned;
use crate::network::LayerParameters;
use crate::training::optimizer::OptimizerState;

/// Parameters of a weight layer, or a moment of theirs, in host memory.
pub(super) struct HostParameters<T> {
    pub(super) weight: Aligned<T>,
    pub(super) shape: [usize; 2],
    pub(super) bias: Option<Aligned<T>>,
}

impl<T: UpdateNumber> HostParameters<T> {
    /// Takes the numbers out of the tensors.
    pub(super) fn take(parameters: LayerParameters) -> Self {
        let shape = parameters.weight.dims();
        Self { weight: Aligned::of(parameters.weight), shape, bias: parameters.bias.map(Aligned::of) }
    }

    pub(super) fn give(self) -> LayerParameters {
        LayerParameters { weight: self.weight.give(), bias: self.bias.map(Aligned::give) }
    }
}

/// A network and its moments in host memory: every layer's, and for every moment every layer's.
pub(super) struct HostState<T> {
    pub(super) layers: Vec<HostParameters<T>>,
    pub(super) moments: Vec<Vec<HostParameters<T>>>,
}

impl<T: UpdateNumber> HostState<T> {
    pub(super) fn take(parameters: &mut Vec<LayerParameters>, state: &mut OptimizerState) -> Self {
        let take = |set: &mut Vec<LayerParameters>| std::mem::take(set).into_iter().map(HostParameters::take).collect();
        Self { layers: take(parameters), moments: state.moments.iter_mut().map(take).collect() }
    }

    pub(super) fn give(self, parameters: &mut Vec<LayerParameters>, state: &mut OptimizerState) {
        let give = |set: Vec<HostParameters<T>>| set.into_iter().map(HostParameters::give).collect();
        *parameters = give(self.layers);
        for (set, moments) in state.moments.iter_mut().zip(self.moments) {
            *set = give(moments);
        }
    }
}

/// Row-major numbers as a tensor of `rows` rows on the CPU.
pub(super) fn as_tensor<T: UpdateNumber>(values: Vec<T>, rows: usize) -> Tensor<2> {
    let columns = values.len() / rows;
    Tensor::from_data(TensorData::new(values, [rows, columns]), (&Device::flex(), T::DTYPE))
}
