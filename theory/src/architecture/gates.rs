//! Global gates of a gated deep linear network: fixed functions of the input, the same for every unit and layer.
//!
//! Li and Sompolinsky 2022 (2210.17449). The gates are explicit matrices, part of the [`Architecture`](crate::architecture::Architecture),
//! so that every member of an ensemble and the theory see the same ones.

use serde::{Deserialize, Serialize};

use crate::activation::Activation;

/// What a gate computes from its projection `u_m = directions_m . x / sqrt(d) - thresholds_m`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "gate")]
pub enum GateFunction {
    /// 1 where `u_m > 0`, else 0.
    Heaviside,
    /// `phi(u_m)`, for instance softplus.
    Smooth {
        /// phi.
        function: Activation,
    },
    /// 1 for the nearest of the `directions`, taken as centroids, else 0; thresholds unused.
    NearestCentroid,
    /// Copies the `M` input features from `first` on: a one-hot task code; directions and thresholds unused.
    TaskCode {
        /// Index of the first feature of the code.
        first: usize,
    },
}

/// `M` gates on inputs of `d` features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gates {
    /// The function.
    pub function: GateFunction,
    /// `M x d`, row-major: Gaussian directions or centroids.
    pub directions: Vec<f64>,
    /// `M` thresholds.
    pub thresholds: Vec<f64>,
}

impl Gates {
    /// Number of gates `M`.
    pub fn count(&self) -> usize {
        self.thresholds.len()
    }

    /// Gate values, `examples x M` row-major, of `inputs`, `examples x d` row-major.
    ///
    /// # Panics
    /// If `inputs` is not a whole number of rows of `features` numbers.
    pub fn evaluate(&self, inputs: &[f64], features: usize) -> Vec<f64> {
        assert_eq!(inputs.len() % features, 0, "inputs are rows of {features} features");
        let count = self.count();
        let root = (features as f64).sqrt();
        let mut values = Vec::with_capacity(inputs.len() / features * count);
        for x in inputs.chunks_exact(features) {
            let direction = |m: usize| &self.directions[m * features..(m + 1) * features];
            let projection =
                |m: usize| direction(m).iter().zip(x).map(|(v, x)| v * x).sum::<f64>() / root - self.thresholds[m];
            match &self.function {
                GateFunction::Heaviside => {
                    values.extend((0..count).map(|m| if projection(m) > 0.0 { 1.0 } else { 0.0 }));
                }
                GateFunction::Smooth { function } => values.extend((0..count).map(|m| function.value(projection(m)))),
                GateFunction::NearestCentroid => {
                    let distance = |m: usize| -> f64 { direction(m).iter().zip(x).map(|(v, x)| (v - x).powi(2)).sum() };
                    let nearest = (0..count).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                    values.extend((0..count).map(|m| if Some(m) == nearest { 1.0 } else { 0.0 }));
                }
                GateFunction::TaskCode { first } => values.extend_from_slice(&x[*first..*first + count]),
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The projection by hand: `directions . x / sqrt(d) - threshold`, with d = 4 numbers and a root of 2.
    #[test]
    fn projections_are_divided_by_the_root_of_the_number_of_features() {
        let (directions, thresholds) = ([[1.0, 2.0, -1.0, 0.5]; 2].concat(), vec![1.25, 1.75]);
        let gates = |function| Gates { function, directions: directions.clone(), thresholds: thresholds.clone() };
        // 1 + 2 - 2 + 2 = 3, divided by 2: 1.5, between the thresholds.
        let x = [1.0, 1.0, 2.0, 4.0];
        assert_eq!(gates(GateFunction::Heaviside).evaluate(&x, 4), [1.0, 0.0]);
        let smooth = GateFunction::Smooth { function: Activation::Identity };
        assert_eq!(gates(smooth).evaluate(&x, 4), [0.25, -0.25]);
        // Two examples, the second turned away: -1.5 is below both.
        let both: Vec<f64> = x.iter().copied().chain(x.map(|x| -x)).collect();
        assert_eq!(gates(GateFunction::Heaviside).evaluate(&both, 4), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn centroids_and_codes_are_not_projected() {
        let gates = |function| Gates { function, directions: vec![0.0, 0.0, 3.0, 4.0], thresholds: vec![9.0, 9.0] };
        assert_eq!(gates(GateFunction::NearestCentroid).evaluate(&[1.0, 1.0, 3.0, 3.0], 2), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(gates(GateFunction::TaskCode { first: 1 }).evaluate(&[7.0, 0.25, 0.5], 3), [0.25, 0.5]);
    }
}
