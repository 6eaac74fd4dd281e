//! Entries that a kernel cannot have: what overflowed, underflowed or was divided by zero is no kernel, and is said.

use std::fmt;

use faer::Mat;
use thiserror::Error;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, Kernels, kernels};

/// Entries that are named.
const NAMED: usize = 3;

/// What a matrix or a part of it has seen of entries, as they are stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entries {
    /// The first that are not finite: row, column, value.
    first: Vec<(usize, usize, f64)>,
    not_finite: usize,
    has_nonzero: bool,
}

/// Why a matrix is no kernel.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum UnfitKernel {
    /// Entries that are not finite.
    #[error(
        "{kernel} has {count} entries that are not finite ({first}): numbers overflow, or a norm divides 0 by 0; lower \
         network.sigma_w2 or network.depth, scale the inputs, compute and store in f64, or give layer_norm and rms_norm an \
         epsilon above 0"
    )]
    NotFinite {
        /// Which kernel.
        kernel: String,
        /// How many entries.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// Nothing but zeros.
    #[error(
        "{kernel} is 0 in every entry although the inputs are not: numbers underflow, or no unit is active; raise \
         network.sigma_w2, lower network.depth, scale the inputs, or compute and store in f64"
    )]
    Zero {
        /// Which kernel.
        kernel: String,
    },
}

impl Entries {
    /// Those of a whole matrix.
    pub fn of(matrix: &Mat<f64>) -> Self {
        let mut entries = Self::default();
        for i in 0..matrix.nrows() {
            (0..matrix.ncols()).for_each(|j| entries.add(i, j, matrix[(i, j)]));
        }
        entries
    }

    /// Takes note of an entry; rows and columns count from 0.
    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        self.has_nonzero |= value != 0.0;
        if !value.is_finite() {
            self.not_finite += 1;
            if self.first.len() < NAMED {
                self.first.push((row, column, value));
            }
        }
    }

    /// Refuses entries that are not finite.
    ///
    /// # Errors
    /// One sentence with the first of them, rows and columns from 1.
    pub fn expect_finite(&self, kernel: impl fmt::Display) -> Result<(), UnfitKernel> {
        if self.not_finite == 0 {
            return Ok(());
        }
        let named = |(i, j, value): &(usize, usize, f64)| format!("row {}, column {} is {value}", i + 1, j + 1);
        let first = self.first.iter().map(named).collect::<Vec<_>>().join("; ");
        Err(UnfitKernel::NotFinite { kernel: kernel.to_string(), count: self.not_finite, first })
    }

    /// Refuses entries that are not finite, and nothing but zeros where the `inputs` have others.
    ///
    /// # Errors
    /// One sentence.
    pub fn expect_kernel(&self, kernel: impl fmt::Display, inputs: &[f64]) -> Result<(), UnfitKernel> {
        self.expect_finite(&kernel)?;
        if !self.has_nonzero && has_nonzero(inputs) {
            return Err(UnfitKernel::Zero { kernel: kernel.to_string() });
        }
        Ok(())
    }
}

/// Whether there is anything but zeros.
pub fn has_nonzero(values: &[f64]) -> bool {
    values.iter().any(|value| *value != 0.0)
}

/// Infinite-width kernels of a run; numbers that overflow or underflow are no prediction.
///
/// # Errors
/// Those of [`kernels`], and [`TheoryError::NoPrediction`] for what is no kernel.
pub fn finite_kernels(
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
) -> Result<Kernels, TheoryError> {
    let found = kernels(architecture, left, right)?;
    for (name, kernel) in [("nngp", &found.nngp), ("ntk", &found.ntk)] {
        let (entries, name) = (Entries::of(kernel), format!("the infinite-width {name} kernel"));
        // Examples may be orthogonal to all others.
        let fit = if right.is_some() { entries.expect_finite(name) } else { entries.expect_kernel(name, &left.values) };
        fit.map_err(|unfit| TheoryError::NoPrediction { reason: unfit.to_string() })?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use widthwise_theory::architecture::InputShape;

    use super::*;
    use crate::config::NetworkConfig;
    use crate::network::build_architecture;

    #[test]
    fn what_is_no_kernel_is_named() {
        let mut matrix = Mat::from_fn(3, 3, |i, j| if i == j { 1.0 } else { 0.0 });
        assert_eq!(Entries::of(&matrix).expect_kernel("the ntk", &[1.0]), Ok(()));
        for (i, j, value) in [(0, 1, f64::NAN), (1, 0, f64::INFINITY), (2, 1, -f64::INFINITY), (2, 2, f64::NAN)] {
            matrix[(i, j)] = value;
        }
        let message = Entries::of(&matrix).expect_kernel("the ntk", &[1.0]).unwrap_err().to_string();
        let first = "the ntk has 4 entries that are not finite (row 1, column 2 is NaN; row 2, column 1 is inf; row 3, column 2 \
                     is -inf)";
        assert!(message.starts_with(first), "{message}");
        assert!(Entries::of(&matrix).expect_finite("the ntk").is_err());
    }

    #[test]
    fn zeros_are_a_kernel_of_zeros_only() {
        let zeros = Entries::of(&Mat::zeros(2, 2));
        assert_eq!(zeros.expect_kernel("the ntk", &[0.0, -0.0]), Ok(()));
        assert_eq!(zeros.expect_finite("the ntk"), Ok(()));
        let message = zeros.expect_kernel("the ntk", &[0.0, 1e-300]).unwrap_err().to_string();
        assert!(message.starts_with("the ntk is 0 in every entry although the inputs are not"), "{message}");
    }

    #[test]
    fn infinite_width_kernels_that_overflow_or_underflow_are_no_prediction() {
        let shape = InputShape::flat(2);
        for (depth, sigma_w2, expected) in [(200, 1e10, "not finite"), (200, 1e-10, "0 in every entry"), (2, 1.0, "")] {
            let network = NetworkConfig { depth, sigma_w2, sigma_b2: 0.0, ..NetworkConfig::default() };
            let architecture = build_architecture(&network, shape, 1, None).unwrap();
            let inputs = Inputs::new(vec![1.0, 0.5, -0.5, 1.0], shape).unwrap();
            match finite_kernels(&architecture, &inputs, None) {
                Ok(_) => assert_eq!(expected, ""),
                Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}"),
            }
        }
        // Orthogonal inputs through a linear network.
        let activation = widthwise_theory::activation::Activation::Identity;
        let network = NetworkConfig { depth: 1, activation, sigma_b2: 0.0, ..NetworkConfig::default() };
        let architecture = build_architecture(&network, shape, 1, None).unwrap();
        let [left, right] = [[1.0, 0.0], [0.0, 1.0]].map(|x| Inputs::new(x.to_vec(), shape).unwrap());
        assert_eq!(finite_kernels(&architecture, &left, Some(&right)).unwrap().nngp[(0, 0)], 0.0);
    }
}
