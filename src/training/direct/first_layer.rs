//! The product of the first layer, whose weights are many and whose inputs come from outside.
//!
//! `x W = sum_p x_p W_p` over parts `p` of the features. A thread that takes a part for all examples reads its rows of the weights and
//! its columns of the inputs alone; the update gives it the same rows again, so that they stay in its cache, and what threads exchange
//! are states instead of weights. The parts are cut by the shapes alone and summed up in their order: no number depends on the number of
//! threads.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::fused::UpdateNumber;
use super::host_parameters::HostParameters;
use super::links::Link;
use crate::host::product::{Product, TermRun};
use crate::host::scratch::Scratch;
use crate::training::concurrency::threads;

/// Parts of the features.
const PARTS: usize = 2;
/// Weights, at most: a thread's part, with its moments and inputs, stays in the cache of a core.
const KEPT: usize = 1 << 17;

/// The summands of the states behind the first layer.
pub(super) struct FirstLayer<T: UpdateNumber> {
    /// Part after part, block of examples after block.
    summands: Vec<Scratch<T>>,
    units: usize,
    /// Examples of a block, and blocks.
    height: usize,
    blocks: usize,
}

impl<T: UpdateNumber> FirstLayer<T> {
    /// The summands for all `examples`; `None` where the states would be more than the weights, or these too many to be kept.
    ///
    /// # Shapes
    /// `inputs`: examples x features.
    pub(super) fn of(links: &[Link], layers: &[HostParameters<T>], inputs: &[T], examples: usize) -> Option<Self> {
        let (Some(Link::Dense(0)), [features, units]) = (links.first(), layers.first()?.shape) else { return None };
        if features < PARTS * examples || features * units > KEPT {
            return None;
        }
        let height = examples.div_ceil(threads().div_ceil(PARTS)).next_multiple_of(8);
        let (blocks, share) = (examples.div_ceil(height), features.div_ceil(PARTS));
        let summands = (0..PARTS * blocks)
            .into_par_iter()
            .with_max_len(1)
            .map(|at| {
                let (part, block) = (at / blocks, at % blocks);
                let (start, example) = (part * share, block * height);
                let (terms, count) = (share.min(features - start), height.min(examples - example));
                let run = TermRun {
                    left: &inputs[example * features + start..],
                    right: &layers[0].weight[start * units..],
                    terms,
                };
                let mut summand = Scratch::new(count * units);
                let product = Product { size: [count, units], runs: &[run], row: features, term: 1, right_row: units };
                product.write(&mut summand, units, None);
                summand
            })
            .collect();
        Some(Self { summands, units, height, blocks })
    }

    /// `gain x W + bias` of the examples in `range`.
    pub(super) fn states(&self, range: Range<usize>, gain: T, bias: &[T]) -> Scratch<T> {
        let mut states = Scratch::new(range.len() * self.units);
        Arch::new().dispatch(|| self.add_up(range, gain, bias, &mut states));
        states
    }

    #[inline(always)]
    fn add_up(&self, range: Range<usize>, gain: T, bias: &[T], states: &mut [T]) {
        let units = self.units;
        for (example, state) in range.zip(states.chunks_exact_mut(units)) {
            let (block, row) = (example / self.height, example % self.height);
            let mut parts = self.summands.chunks_exact(self.blocks).map(|part| &part[block][row * units..][..units]);
            if let Some(first) = parts.next() {
                state.copy_from_slice(first);
            }
            for part in parts {
                for (sum, &summand) in state.iter_mut().zip(part) {
                    *sum += summand;
                }
            }
            for sum in &mut *state {
                *sum *= gain;
            }
            for (sum, &bias) in state.iter_mut().zip(bias) {
                *sum += bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::aligned::Aligned;

    #[test]
    fn summands_add_up_to_the_product_whatever_the_threads() {
        let numbers =
            |seed: usize, count: usize| -> Vec<f64> { (0..count).map(|i| ((seed + 7 * i) as f64).sin()).collect() };
        let links = [Link::Dense(0)];
        for [examples, features, units] in [[5, 11, 3], [23, 61, 17], [40, 80, 10]] {
            let (inputs, weight, bias) =
                (numbers(1, examples * features), numbers(2, features * units), numbers(3, units));
            let layers = [HostParameters {
                weight: Aligned::copied(&weight, [features, units]),
                shape: [features, units],
                bias: None,
            }];
            let states = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let first = pool.install(|| FirstLayer::of(&links, &layers, &inputs, examples).unwrap());
                // In two ranges, as blocks take them, of which none is a block here.
                let mut states = first.states(0..examples - 3, 0.7, &bias).to_vec();
                states.extend_from_slice(&first.states(examples - 3..examples, 0.7, &bias));
                states
            };
            let found = states(1);
            for (i, found) in found.iter().enumerate() {
                let (example, unit) = (i / units, i % units);
                let terms = (0..features).map(|f| inputs[example * features + f] * weight[f * units + unit]);
                let expected = 0.7 * terms.sum::<f64>() + bias[unit];
                assert!((found - expected).abs() < 1e-13, "{examples}x{features}x{units}: {found} {expected}");
            }
            assert_eq!([3, 16].map(states), [found.clone(), found]);
        }
    }

    #[test]
    fn more_examples_or_weights_or_another_layer_first_are_left_alone() {
        let of = |links: &[Link], examples: usize, [features, units]: [usize; 2]| {
            let weight = Aligned::copied(&vec![0_f32; features * units], [features, units]);
            let layers = [HostParameters { weight, shape: [features, units], bias: None }];
            FirstLayer::of(links, &layers, &vec![0.0; examples * features], examples).is_some()
        };
        let dense = [Link::Dense(0)];
        assert!(of(&dense, 4, [8, 2]) && !of(&dense, 5, [8, 2]));
        assert!(of(&dense, 4, [1 << 9, 1 << 8]) && !of(&dense, 4, [1 << 9, (1 << 8) + 1]));
        assert!(!of(&[Link::Gated(0)], 4, [8, 2]) && !of(&[], 4, [8, 2]));
    }
}
