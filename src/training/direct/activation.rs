//! Activations on slices: those that networks use most by themselves, the others through their tensors.

use widthwise_theory::Activation;

use super::fused::Real;
use super::held::as_tensor;
use crate::network;

/// `phi(z)`, and what the way back needs of `z`.
pub(super) fn forward<T: Real>(function: &Activation, z: Vec<T>, examples: usize) -> (Vec<T>, Vec<T>) {
    let zero = T::default();
    match function {
        Activation::Identity => (z, Vec::new()),
        // What is no number stays none.
        Activation::Relu => {
            let mut states = z.clone();
            for z in &mut states {
                *z = if *z <= zero { zero } else { *z };
            }
            (states, z)
        }
        _ => {
            let z = as_tensor(z, examples);
            (T::pull(network::phi(function, z.clone())), T::pull(z))
        }
    }
}

/// `phi'(z) d` in the place of `d`.
pub(super) fn backward<T: Real>(function: &Activation, cotangents: &mut [T], z: Vec<T>, examples: usize) {
    let zero = T::default();
    match function {
        Activation::Identity => {}
        Activation::Relu => {
            for (c, &z) in cotangents.iter_mut().zip(&z) {
                *c = if z <= zero { zero } else { *c };
            }
        }
        _ => {
            let slopes = T::pull(network::slope(function, as_tensor(z, examples)));
            cotangents.iter_mut().zip(slopes).for_each(|(c, slope)| *c *= slope);
        }
    }
}
