//! Parameters taken out of their tensors.

use burn::tensor::{Device, Tensor, TensorData};

use super::fused::Real;
use crate::network::Parameters;
use crate::training::optimizer::OptimizerState;

/// Parameters of a weight layer, or a moment of theirs, in host memory.
pub(super) struct Held<T> {
    /// Row-major.
    pub(super) weight: Vec<T>,
    pub(super) shape: [usize; 2],
    pub(super) bias: Option<Vec<T>>,
}

impl<T: Real> Held<T> {
    /// Takes the numbers out of the tensors, without a copy where nothing else holds them.
    pub(super) fn take(parameters: Parameters) -> Self {
        let shape = parameters.weight.dims();
        Self { weight: T::pull(parameters.weight), shape, bias: parameters.bias.map(T::pull) }
    }

    pub(super) fn give(self) -> Parameters {
        let [rows, _] = self.shape;
        Parameters { weight: as_tensor(self.weight, rows), bias: self.bias.map(|bias| as_tensor(bias, 1)) }
    }
}

/// A network and its moments in host memory: every layer's, and for every moment every layer's.
pub(super) struct Taken<T> {
    pub(super) layers: Vec<Held<T>>,
    pub(super) moments: Vec<Vec<Held<T>>>,
}

impl<T: Real> Taken<T> {
    pub(super) fn take(parameters: &mut Vec<Parameters>, state: &mut OptimizerState) -> Self {
        let take = |set: &mut Vec<Parameters>| std::mem::take(set).into_iter().map(Held::take).collect();
        Self { layers: take(parameters), moments: state.moments.iter_mut().map(take).collect() }
    }

    pub(super) fn give(self, parameters: &mut Vec<Parameters>, state: &mut OptimizerState) {
        let give = |set: Vec<Held<T>>| set.into_iter().map(Held::give).collect();
        *parameters = give(self.layers);
        for (set, moments) in state.moments.iter_mut().zip(self.moments) {
            *set = give(moments);
        }
    }
}

/// Row-major numbers as a tensor of `rows` rows on the CPU.
pub(super) fn as_tensor<T: Real>(values: Vec<T>, rows: usize) -> Tensor<2> {
    let columns = values.len() / rows;
    Tensor::from_data(TensorData::new(values, [rows, columns]), (&Device::flex(), T::DTYPE))
}
