//! A network along a line in its parameters, to second order: the Taylor coefficients in `t` of `f(theta + t delta)`.
//!
//! A state is a jet `s(t) = s_0 + s_1 t + s_2 t^2 + O(t^3)`, and every layer maps jets to jets (forward-mode differentiation;
//! Griewank and Walther 2008, chapter 13):
//!
//! ```text
//! weights      z_k = a_k W + a_{k-1} delta                                bilinear in state and weights
//! activation   y_1 = phi'(z_0) z_1,   y_2 = phi'(z_0) z_2 + 1/2 phi''(z_0) z_1^2
//! norm         y = x m^(-1/2) with m the mean square of the (centred) x, a product of jets
//! all others   are linear in the state: coefficient by coefficient
//! ```
//!
//! Every operation is one of Burn's, so that first-order automatic differentiation with respect to `delta` gives exact
//! gradients of the expansion, the products with second derivatives included. At a kink `phi''` is 0.

use burn::tensor::Tensor;
use widthwise_theory::architecture::{Layer, Operation};

use super::norm::{self, Centering};
use super::{Batch, LayerParameters, Network, activation, dense};

/// Coefficients of one state; an absent one is zero.
#[derive(Debug, Clone)]
pub(super) struct Jet {
    pub(super) value: Tensor<2>,
    pub(super) first: Option<Tensor<2>>,
    pub(super) second: Option<Tensor<2>>,
}

impl Jet {
    fn constant(value: Tensor<2>) -> Self {
        Self { value, first: None, second: None }
    }

    /// A linear map of every coefficient.
    fn map(self, mut f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { value: f(self.value), first: self.first.map(&mut f), second: self.second.map(&mut f) }
    }

    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            first: sum(self.first, other.first),
            second: sum(self.second, other.second),
        }
    }
}

fn sum(a: Option<Tensor<2>>, b: Option<Tensor<2>>) -> Option<Tensor<2>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

impl Network {
    /// Coefficients of the outputs, `[N, O]` each, as the parameters move along `delta`; without the second unless `is_second`.
    pub(super) fn jet(&self, batch: &Batch, delta: &[LayerParameters], is_second: bool) -> Jet {
        let mut states = vec![Jet::constant(batch.inputs.clone())];
        for (index, node) in self.nodes().iter().enumerate() {
            let state = match &node.operation {
                Operation::Sum { scales } => {
                    let scaled = node.inputs.iter().zip(scales).map(|(&input, &scale)| {
                        let state: Jet = states[input].clone();
                        state.map(|tensor| dense::scale(tensor, scale))
                    });
                    let Some(total) = scaled.reduce(Jet::add) else { unreachable!("at least one branch") };
                    total
                }
                Operation::Layer(layer) => {
                    self.jet_of_layer(index, layer, states[node.inputs[0]].clone(), batch, delta, is_second)
                }
            };
            states.push(state);
        }
        let Some(outputs) = states.pop() else { unreachable!("the inputs at least") };
        outputs
    }

    fn jet_of_layer(
        &self,
        index: usize,
        layer: &Layer,
        state: Jet,
        batch: &Batch,
        delta: &[LayerParameters],
        is_second: bool,
    ) -> Jet {
        match layer {
            Layer::Activation { function } => {
                let Jet { value, first, second } = state;
                let slope = activation::derivative(function, value.clone());
                let curved = first.clone().filter(|_| is_second).and_then(|first| {
                    let curvature = activation::second_derivative(function, value.clone())?;
                    Some(curvature.mul_scalar(0.5) * first.square())
                });
                Jet {
                    value: activation::value(function, value),
                    first: first.map(|first| slope.clone() * first),
                    second: sum(second.map(|second| slope * second), curved),
                }
            }
            Layer::LayerNorm { epsilon } => self.jet_of_norm(index, state, *epsilon, Centering::Mean, is_second),
            Layer::RmsNorm { epsilon } => self.jet_of_norm(index, state, *epsilon, Centering::None, is_second),
            Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } => {
                let apply = |state: Tensor<2>, parameters: &[LayerParameters]| {
                    self.apply(index, layer, state, parameters, batch)
                };
                let plain = without_biases(&self.parameters);
                let moved = without_biases(delta);
                let Jet { value, first, second } = state;
                let at_first = first.clone().map(|first| apply(first, &plain));
                let by_first = first.filter(|_| is_second).map(|first| apply(first, &moved));
                Jet {
                    first: sum(at_first, Some(apply(value.clone(), delta))),
                    value: apply(value, &self.parameters),
                    second: sum(second.map(|second| apply(second, &plain)), by_first),
                }
            }
            linear => state.map(|tensor| self.apply(index, linear, tensor, &self.parameters, batch)),
        }
    }

    fn jet_of_norm(&self, index: usize, state: Jet, epsilon: f64, centering: Centering, is_second: bool) -> Jet {
        let shape = self.shape(self.nodes()[index].inputs[0]);
        let dims = state.value.dims();
        let [units, positions] = norm::groups(shape);
        let centred = |tensor: Tensor<2>| {
            let x: Tensor<3> = tensor.reshape([dims[0], units, positions]);
            match centering {
                Centering::Mean => x.clone() - x.mean_dim(1),
                Centering::None => x,
            }
        };
        let (x0, x1, x2) = (centred(state.value), state.first.map(centred), state.second.map(centred));
        // r = m^(-1/2): r_1 = -1/2 m_1 r_0^3 and r_2 = -1/2 m_2 r_0^3 + 3/8 m_1^2 r_0^5.
        let r0 = x0.clone().square().mean_dim(1).add_scalar(epsilon).sqrt().recip();
        let cubed = r0.clone().powi_scalar(3);
        let m1 = x1.clone().map(|x1| (x0.clone() * x1).mean_dim(1).mul_scalar(2.0));
        let r1 = m1.clone().map(|m1| m1.mul_scalar(-0.5) * cubed.clone());
        let flat = |tensor: Tensor<3>| tensor.reshape(dims);
        let value = flat(x0.clone() * r0.clone());
        let first = x1.clone().zip(r1.clone()).map(|(x1, r1)| flat(x1 * r0.clone() + x0.clone() * r1));
        let second = x1.zip(r1).zip(m1).filter(|_| is_second).map(|((x1, r1), m1)| {
            let m2 = match &x2 {
                Some(x2) => (x1.clone().square() + (x0.clone() * x2.clone()).mul_scalar(2.0)).mean_dim(1),
                None => x1.clone().square().mean_dim(1),
            };
            let r2 = m2.mul_scalar(-0.5) * cubed.clone()
                + m1.square().mul_scalar(0.375) * cubed.clone() * r0.clone().square();
            let products = x1 * r1 + x0.clone() * r2;
            flat(match x2 {
                Some(x2) => products + x2 * r0.clone(),
                None => products,
            })
        });
        Jet { value, first, second }
    }
}

/// A bias moves a state by itself, not by what it adds to a moving state.
fn without_biases(parameters: &[LayerParameters]) -> Vec<LayerParameters> {
    parameters.iter().map(|p| LayerParameters { weight: p.weight.clone(), bias: None }).collect()
}
