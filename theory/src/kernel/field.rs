//! Covariances of pairs on their way through the layers, and the maps that act on them entry by entry.

use super::TangentSource;
use super::program::WeightFactors;
use super::vector;

/// `K` and `Theta` at the same entries. An empty `ntk` stands for zeros: nothing that is trained lies below.
#[derive(Debug, Default, Clone)]
pub(super) struct Field {
    pub(super) nngp: Vec<f64>,
    pub(super) ntk: Vec<f64>,
}

impl Field {
    /// Both tensors, without a `Theta` of zeros.
    pub(super) fn tensors(&mut self) -> impl Iterator<Item = &mut Vec<f64>> {
        [&mut self.nngp, &mut self.ntk].into_iter().filter(|tensor| !tensor.is_empty())
    }

    /// Sets all to `other` without a new allocation.
    fn copy_from(&mut self, other: &Self) {
        self.nngp.clone_from(&other.nngp);
        self.ntk.clone_from(&other.ntk);
    }

    /// Forgets the numbers and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.nngp.clear();
        self.ntk.clear();
    }

    /// Sets the tangent kernel of the preactivations of a layer in themselves: 1 at every entry.
    pub(super) fn feed_ones(&mut self) {
        self.ntk.clear();
        self.ntk.resize(self.nngp.len(), 1.0);
    }

    /// Adds `factors[k] * fields[k]`, each repeated if it has fewer entries a pair than the result.
    pub(super) fn add_scaled(&mut self, factor: f64, other: &Self, pairs: usize) {
        add_scaled(&mut self.nngp, factor, &other.nngp, pairs);
        if !other.ntk.is_empty() {
            self.ntk.resize(self.nngp.len(), 0.0);
            add_scaled(&mut self.ntk, factor, &other.ntk, pairs);
        }
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        8 * (self.nngp.capacity() + self.ntk.capacity())
    }
}

fn add_scaled(target: &mut [f64], factor: f64, source: &[f64], pairs: usize) {
    if source.len() == target.len() {
        return vector::add_scaled(target, factor, source);
    }
    let (wide, narrow) = (target.len() / pairs, source.len() / pairs);
    for (target, source) in target.chunks_exact_mut(wide).zip(source.chunks_exact(narrow)) {
        target.iter_mut().for_each(|t| *t += factor * source[0]);
    }
}

/// The states that are alive, with buffers to reuse.
#[derive(Debug, Default)]
pub(super) struct Fields {
    states: Vec<Field>,
    spare: Vec<Field>,
    /// For maps that cannot work in place.
    pub(super) scratch: Vec<f64>,
}

impl Fields {
    /// Forgets all states of an earlier pair.
    pub(super) fn reset(&mut self, states: usize) {
        for state in &mut self.states {
            if state.nngp.capacity() > 0 {
                self.spare.push(std::mem::take(state));
            }
        }
        // Fields made elsewhere end here as well: keep no more than can be in use.
        self.spare.truncate(states + 1);
        self.states.resize_with(states, Field::default);
    }

    /// An empty field with memory of an earlier one.
    pub(super) fn empty(&mut self) -> Field {
        let mut field = self.spare.pop().unwrap_or_default();
        field.clear();
        field
    }

    pub(super) fn put(&mut self, state: usize, field: Field) {
        self.states[state] = field;
    }

    /// A field of `entries` numbers of no particular value, with a tangent kernel or without.
    pub(super) fn sized(&mut self, entries: usize, tangent: bool) -> Field {
        let mut field = self.spare.pop().unwrap_or_default();
        field.nngp.resize(entries, 0.0);
        field.ntk.resize(if tangent { entries } else { 0 }, 0.0);
        field
    }

    /// The field of a state: itself if nothing reads it `last`er, else a copy.
    pub(super) fn take(&mut self, state: usize, last: bool) -> Field {
        if last {
            return std::mem::take(&mut self.states[state]);
        }
        let mut copy = self.empty();
        copy.copy_from(&self.states[state]);
        copy
    }

    pub(super) fn state(&self, state: usize) -> &Field {
        &self.states[state]
    }

    /// Gives the memory of `field` back.
    pub(super) fn recycle(&mut self, field: Field) {
        self.spare.push(field);
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let fields = self.states.iter().chain(&self.spare).map(Field::bytes);
        fields.sum::<usize>() + 8 * self.scratch.capacity()
    }
}

/// `K <- signal (sigma_w2 k + sigma_b2)` and `Theta <- weight sigma_w2 k + bias sigma_b2 + signal sigma_w2 theta`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weighing {
    nngp: f64,
    nngp_bias: f64,
    fed: f64,
    fed_bias: f64,
    /// Whether these parameters feed the tangent kernel.
    pub(super) feeds: bool,
}

impl Weighing {
    /// With `share` turning sums into means.
    pub(super) fn new(weights: &WeightFactors, share: f64, source: TangentSource) -> Self {
        let (scale, sigma_w2, sigma_b2) = (weights.scale, weights.init.sigma_w2 * share, weights.init.sigma_b2);
        let feeds = source == TangentSource::Parameters && (scale.weight != 0.0 || scale.bias != 0.0);
        Self {
            nngp: scale.signal * sigma_w2,
            nngp_bias: scale.signal * sigma_b2,
            fed: if feeds { scale.weight * sigma_w2 } else { 0.0 },
            fed_bias: if feeds { scale.bias * sigma_b2 } else { 0.0 },
            feeds,
        }
    }

    /// On all entries; gates multiply `sigma_w2`, one number an entry.
    pub(super) fn apply_to(&self, field: &mut Field, gates: Option<&[f64]>) {
        if self.feeds && field.ntk.is_empty() {
            field.ntk.resize(field.nngp.len(), 0.0);
        }
        let Some(gates) = gates else { return self.apply(&mut field.nngp, &mut field.ntk) };
        for (index, (k, gate)) in field.nngp.iter_mut().zip(gates).enumerate() {
            let gated = Self { nngp: self.nngp * gate, fed: self.fed * gate, ..*self };
            if let Some(theta) = field.ntk.get_mut(index) {
                *theta = gated.tangent(*k, *theta);
            }
            *k = gated.covariance(*k);
        }
    }

    /// On a row; an empty `theta` stays empty.
    pub(super) fn apply(&self, k: &mut [f64], theta: &mut [f64]) {
        vector::weigh([self.nngp, self.nngp_bias, self.fed, self.fed_bias], k, theta);
    }

    /// `[signal sigma_w2, signal sigma_b2]`.
    pub(super) fn factors(&self) -> [f64; 2] {
        [self.nngp, self.nngp_bias]
    }

    fn covariance(&self, k: f64) -> f64 {
        self.nngp * k + self.nngp_bias
    }

    pub(super) fn tangent(&self, k: f64, theta: f64) -> f64 {
        self.fed * k + self.fed_bias + self.nngp * theta
    }
}

/// What a norm needs of the entries on one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormSide<'a> {
    /// `1 / sqrt(variance + epsilon)`.
    pub(super) inverse: &'a [f64],
    /// Means before the norm, empty if they vanish.
    pub(super) mean: &'a [f64],
    /// Means less the mean that the norm subtracts, empty if the two are one.
    pub(super) rest: &'a [f64],
}

/// `K <- (K - m m' + r r') / (s s')` and `Theta <- Theta / (s s')`, with `r = m - mu` what is left of the mean.
pub(super) fn normalize(left: NormSide<'_>, right: NormSide<'_>, k: &mut [f64], theta: &mut [f64]) {
    for (index, (k, (m, n))) in k.iter_mut().zip(left.mean.iter().zip(right.mean)).enumerate() {
        let rest = if left.rest.is_empty() { 0.0 } else { left.rest[index] * right.rest[index] };
        *k += rest - m * n;
    }
    for tensor in [k, theta] {
        let factors = left.inverse.iter().zip(right.inverse);
        tensor.iter_mut().zip(factors).for_each(|(x, (s, t))| *x *= s * t);
    }
}
