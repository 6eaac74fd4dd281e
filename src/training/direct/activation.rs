//! Activations on slices: those that networks use most by themselves, the others through their tensors.

use pulp::Arch;
use widthwise_theory::activation::Activation;

use super::fused::UpdateNumber;
use super::host_parameters::as_tensor;
use crate::host::scratch::Scratch;
use crate::network;

/// What the way back needs of `z`.
pub(super) enum Slope<T: UpdateNumber> {
    /// Nothing.
    One,
    /// Where `phi` is flat: the slope is zero there, and one elsewhere.
    Flat(Vec<bool>),
    /// `tanh(z)`, whose slope is `1 - tanh(z)^2`.
    Tanh(Scratch<T>),
    /// The numbers.
    At(Vec<T>),
}

/// `phi(z)` in the place of `z`.
pub(super) fn forward<T: UpdateNumber>(function: &Activation, z: &mut [T], examples: usize) -> Slope<T> {
    match function {
        Activation::Identity => Slope::One,
        Activation::Relu => {
            let mut flat = vec![false; z.len()];
            Arch::new().dispatch(|| rectify(z, &mut flat));
            Slope::Flat(flat)
        }
        Activation::Tanh => {
            T::tanh_each(z);
            Slope::Tanh(Scratch::of(z))
        }
        _ => {
            let tensor = as_tensor(z.to_vec(), examples);
            z.copy_from_slice(&T::pull(network::phi(function, tensor.clone())));
            Slope::At(T::pull(tensor))
        }
    }
}

/// `phi'(z) d` in the place of `d`.
pub(super) fn backward<T: UpdateNumber>(function: &Activation, cotangents: &mut [T], slope: Slope<T>, examples: usize) {
    match slope {
        Slope::One => {}
        Slope::Flat(flat) => Arch::new().dispatch(|| silence(cotangents, &flat)),
        Slope::Tanh(outputs) => Arch::new().dispatch(|| flatten(cotangents, &outputs)),
        Slope::At(z) => {
            let slopes = T::pull(network::slope(function, as_tensor(z, examples)));
            cotangents.iter_mut().zip(slopes).for_each(|(c, slope)| *c *= slope);
        }
    }
}

/// What is no number stays none.
#[inline(always)]
fn rectify<T: UpdateNumber>(z: &mut [T], flat: &mut [bool]) {
    for (z, flat) in z.iter_mut().zip(flat) {
        *flat = *z <= T::ZERO;
        *z = if *flat { T::ZERO } else { *z };
    }
}

#[inline(always)]
fn silence<T: UpdateNumber>(cotangents: &mut [T], flat: &[bool]) {
    for (c, &flat) in cotangents.iter_mut().zip(flat) {
        *c = if flat { T::ZERO } else { *c };
    }
}

/// As its formula has it on tensors, operation by operation.
#[inline(always)]
fn flatten<T: UpdateNumber>(cotangents: &mut [T], outputs: &[T]) {
    for (c, &y) in cotangents.iter_mut().zip(outputs) {
        *c *= T::of(1.0) - y * y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_and_its_slope_are_those_of_tensors_to_the_last_bit() {
        fn hold<T: UpdateNumber>() {
            let points: Vec<T> = (-400..=400).map(|i| T::of(0.037 * f64::from(i))).collect();
            let mut z = points.clone();
            let slope = forward(&Activation::Tanh, &mut z, 1);
            let tensor = as_tensor(points, 1);
            assert!(z == T::pull(network::phi(&Activation::Tanh, tensor.clone())));
            let mut cotangents = z.clone();
            backward(&Activation::Tanh, &mut cotangents, slope, 1);
            let slopes = T::pull(network::slope(&Activation::Tanh, tensor));
            let expected: Vec<T> = z.iter().zip(slopes).map(|(&z, slope)| z * slope).collect();
            assert!(cotangents == expected);
        }
        hold::<f32>();
        hold::<f64>();
    }

    #[test]
    fn relu_keeps_what_is_positive_or_no_number_and_its_slope_too() {
        let mut z = [2.0_f64, -3.0, 0.0, -0.0, f64::NAN, 1e-300, f64::NEG_INFINITY];
        let slope = forward(&Activation::Relu, &mut z, 1);
        assert_eq!(z[..4], [2.0, 0.0, 0.0, 0.0]);
        assert!(z[4].is_nan());
        assert_eq!(z[5..], [1e-300, 0.0]);
        let mut cotangents = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        backward(&Activation::Relu, &mut cotangents, slope, 1);
        assert_eq!(cotangents, [1.0, 0.0, 0.0, 0.0, 5.0, 6.0, 0.0]);
    }
}
