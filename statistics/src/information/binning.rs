//! Information of a layer rounded to cells.
//!
//! With `b` the map from a layer to its row of cells, and each of the `n` examples of weight `1/n`,
//!
//! ```text
//! I(X;b(T)) = H(b(T)) - H(b(T)|X)          I(b(T);Y) = H(b(T)) - sum_y p(y) H(b(T)|Y=y)
//! ```
//!
//! For distinct inputs to a deterministic network `H(b(T)|X) = 0`. The rule `b` is part of the result: the same run
//! can compress under bins scaled to the layer and expand under bins of fixed width (Shwartz-Ziv and Tishby 2017,
//! arXiv 1703.00810, used 30 fixed bins on tanh; Saxe et al. 2018, "On the information bottleneck theory of deep
//! learning").
//!
//! Rows are compared through a 64-bit key, a linear hash with random odd multipliers, so the cost is
//! `O(n units + n log n)`; two different rows among `n` share a key with probability of order `n^2 / 2^64`.

use rayon::prelude::*;

use super::entropy::{Correction, counts, entropy_of_counts, information_between, run_lengths};
use super::error::{InformationError, examples_of, one_an_example};
use super::estimate::{EstimateKind, InformationEstimate};

/// Seed of the multipliers: fixed, so that equal layers have equal keys in every run.
const KEY_SEED: u64 = 0x5769_6474_6877_6973;

/// How an activation becomes a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BinningRule {
    /// `bins` equal cells between `low` and `high`, closed at both ends; values outside join the outermost cells.
    Fixed {
        /// Lower end of the first cell.
        low: f64,
        /// Upper end of the last cell.
        high: f64,
        /// Number of cells.
        bins: usize,
    },
    /// Cell `floor(t / width)`, without end.
    Width(
        /// Width of a cell.
        f64,
    ),
    /// `bins` equal cells between the smallest and the largest activation of this layer over all units and examples.
    Adaptive {
        /// Number of cells.
        bins: usize,
    },
}

/// A rule with its range settled.
#[derive(Debug, Clone, Copy)]
enum Quantizer {
    Bounded { low: f64, cells_per_unit: f64, last: f64 },
    Unbounded { width: f64 },
}

impl Quantizer {
    fn new(rule: BinningRule, layer: &[f32]) -> Result<Self, InformationError> {
        match rule {
            BinningRule::Fixed { low, high, bins } => {
                if !low.is_finite() {
                    return Err(InformationError::Parameter {
                        parameter: "low",
                        found: low,
                        allowed: "a finite number",
                    });
                }
                if !(high.is_finite() && high > low) {
                    return Err(InformationError::Parameter {
                        parameter: "high",
                        found: high,
                        allowed: "a finite number above low",
                    });
                }
                Self::bounded(low, high, bins)
            }
            BinningRule::Adaptive { bins } => {
                let low = layer.iter().copied().fold(f32::INFINITY, f32::min);
                let high = layer.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                Self::bounded(low.into(), high.into(), bins)
            }
            BinningRule::Width(width) if width > 0.0 && width.is_finite() => Ok(Self::Unbounded { width }),
            BinningRule::Width(width) => Err(InformationError::Parameter {
                parameter: "width",
                found: width,
                allowed: "a positive, finite number",
            }),
        }
    }

    fn bounded(low: f64, high: f64, bins: usize) -> Result<Self, InformationError> {
        if bins == 0 {
            return Err(InformationError::Parameter { parameter: "bins", found: 0.0, allowed: "at least 1" });
        }
        // A constant layer has no range: all of it is one cell.
        let cells_per_unit = if high > low { bins as f64 / (high - low) } else { 0.0 };
        Ok(Self::Bounded { low, cells_per_unit, last: (bins - 1) as f64 })
    }

    fn cell(self, value: f32) -> i64 {
        let value = f64::from(value);
        match self {
            Self::Bounded { low, cells_per_unit, last } => {
                // Not below zero after the clamp, where a cast rounds down.
                ((value - low) * cells_per_unit).clamp(0.0, last) as i64
            }
            Self::Unbounded { width } => (value / width).floor() as i64,
        }
    }
}

/// Random odd multipliers, one a unit: the sequence of Steele, Lea and Flood 2014 ("Fast splittable pseudorandom
/// number generators").
fn key_multipliers(units: usize) -> Vec<u64> {
    let mut state = KEY_SEED;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) | 1
    };
    (0..units).map(|_| next()).collect()
}

/// A layer rounded to cells, one row of cells an example.
#[derive(Debug, Clone)]
pub struct BinnedLayer {
    /// One key for each example; equal exactly when the rows of cells are, up to hash collisions.
    keys: Vec<u64>,
    correction: Correction,
}

impl BinnedLayer {
    /// Rounds `layer` by `rule`.
    ///
    /// # Shapes
    /// `layer`: examples x `units`, row-major.
    ///
    /// # Errors
    /// If the layer is empty, not a whole number of rows or not finite, or if the rule has an empty range.
    pub fn new(layer: &[f32], units: usize, rule: BinningRule) -> Result<Self, InformationError> {
        examples_of(layer, units)?;
        let quantizer = Quantizer::new(rule, layer)?;
        let multipliers = key_multipliers(units);
        let key = |row: &[f32]| {
            row.iter().zip(&multipliers).fold(0u64, |key, (&value, &multiplier)| {
                key.wrapping_add(multiplier.wrapping_mul(quantizer.cell(value).wrapping_add(1) as u64))
            })
        };
        let keys = layer.par_chunks_exact(units).map(key).collect();
        Ok(Self { keys, correction: Correction::None })
    }

    /// The same cells, with every entropy corrected by `correction`; values become of kind
    /// [`EstimateKind::Estimate`] unless it is [`Correction::None`].
    #[must_use]
    pub fn with_correction(mut self, correction: Correction) -> Self {
        self.correction = correction;
        self
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.keys.len()
    }

    /// Number of different rows of cells among the examples.
    pub fn occupied_cells(&self) -> usize {
        self.occupancies().len()
    }

    /// Whether a quarter of the examples would suffice to fill the occupied cells once, below which no correction is
    /// to be trusted.
    pub fn correction_is_reliable(&self) -> bool {
        4 * self.occupied_cells() <= self.examples()
    }

    /// `H(b(T))` in nats, of ceiling `ln n`.
    pub fn entropy(&self) -> InformationEstimate {
        let value = entropy_of_counts(&self.occupancies(), self.correction);
        InformationEstimate::of_input(value, self.kind(), (self.examples() as f64).ln())
    }

    /// `I(X;b(T))` in nats, of ceiling `H(X)`.
    ///
    /// Examples of equal id count as one input, of a probability proportional to its examples, and `H(b(T)|X)` is
    /// subtracted, which is zero unless the network is noisy. Without ids all inputs are taken to be distinct and the
    /// value is [`entropy`](Self::entropy).
    ///
    /// # Errors
    /// If there is not one id an example.
    pub fn input_information(&self, input_ids: Option<&[u64]>) -> Result<InformationEstimate, InformationError> {
        let Some(ids) = input_ids else {
            return Ok(self.entropy());
        };
        one_an_example("input ids", self.examples(), ids.len())?;
        let value = information_between(&self.keys, ids, self.correction);
        let ceiling = entropy_of_counts(&counts(ids), Correction::None);
        Ok(InformationEstimate::of_input(value, self.kind(), ceiling))
    }

    /// `I(b(T);Y)` in nats, of ceiling `H(Y)`.
    ///
    /// # Errors
    /// If there is not one label an example.
    pub fn label_information<L: Copy + Ord>(&self, labels: &[L]) -> Result<InformationEstimate, InformationError> {
        one_an_example("labels", self.examples(), labels.len())?;
        let value = information_between(&self.keys, labels, self.correction);
        let ceiling = entropy_of_counts(&counts(labels), Correction::None);
        Ok(InformationEstimate::of_label(value, self.kind(), ceiling, self.entropy()))
    }

    fn kind(&self) -> EstimateKind {
        match self.correction {
            Correction::None => EstimateKind::Exact,
            Correction::MillerMadow => EstimateKind::Estimate,
        }
    }

    fn occupancies(&self) -> Vec<usize> {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        run_lengths(&keys)
    }
}

#[cfg(test)]
mod tests;
