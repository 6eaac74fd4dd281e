//! From what blocks of examples leave to the next weights. The gradient of a dense weight matrix is made in bands of rows, each used up while it
//! is in cache.

use std::borrow::Cow;

use rayon::prelude::*;
use widthwise_theory::Scaling;

use super::fused::{Entries, Real, Rule};
use super::held::Taken;
use super::links::Link;
use super::slices::{add_rows, scale};
use crate::host::product::{Left, Product};
use crate::training::optimizer::Updater;

/// Numbers of a gradient that is made and used up at once.
const BAND: usize = 1 << 12;

/// What a block leaves for the update.
#[derive(Default)]
pub(super) struct Block<'a, T: Clone> {
    /// What each example adds to the loss.
    pub(super) losses: Vec<T>,
    pub(super) layers: Vec<Share<'a, T>>,
}

/// What a block knows of the gradient of one layer.
pub(super) struct Share<'a, T: Clone> {
    /// Rows that a dense layer reads; empty for a convolution.
    pub(super) rows: Cow<'a, [T]>,
    /// Cotangents of the rows.
    pub(super) cotangents: Cow<'a, [T]>,
    /// Gradient of packed filters; empty for a dense layer.
    pub(super) filters: Vec<T>,
    /// Gradient of the biases, without their gain.
    pub(super) bias: Vec<T>,
}

impl<T: Clone> Default for Share<'_, T> {
    fn default() -> Self {
        Self { rows: Cow::Borrowed(&[]), cotangents: Cow::Borrowed(&[]), filters: Vec::new(), bias: Vec::new() }
    }
}

/// Moves every layer down its gradient.
pub(super) fn update<T: Real>(
    taken: &mut Taken<T>,
    links: &[&Link],
    scalings: &[Scaling],
    blocks: &[Block<'_, T>],
    updater: &Updater,
    step: u64,
) {
    let mut bands = Vec::new();
    let mut sets = taken.moments.iter_mut();
    let [mut first, mut second] = [sets.next(), sets.next()].map(|set| set.into_iter().flatten());
    for (number, layer) in taken.layers.iter_mut().enumerate() {
        let (scaling, shares) = (&scalings[number], || blocks.iter().map(move |block| &block.layers[number]));
        let rule = |factor: f64| Rule::new(updater, factor, step);
        let [first, second] = [first.next(), second.next()];
        let [(first, first_bias), (second, second_bias)] = [first, second].map(|held| match held {
            Some(held) => (&mut held.weight[..], held.bias.as_deref_mut().unwrap_or_default()),
            None => Default::default(),
        });
        let units = layer.shape[usize::from(!matches!(links[number], Link::Convolution(..)))];
        if let Some(bias) = &mut layer.bias {
            let mut gradient = vec![T::default(); units];
            for share in shares() {
                add_rows(&mut gradient, if share.filters.is_empty() { &share.cotangents } else { &share.bias });
            }
            scale(&mut gradient, scaling.bias_gain);
            let entries = Entries { parameter: bias, first: first_bias, second: second_bias };
            rule(scaling.bias_rate).update(entries, &gradient);
        }
        let rule = rule(scaling.weight_rate);
        let entries = Entries { parameter: &mut layer.weight, first, second };
        if let Link::Convolution(_, raster) = links[number] {
            let mut gradient = vec![T::default(); entries.parameter.len()];
            shares().for_each(|share| add_rows(&mut gradient, &share.filters));
            let mut gradient = raster.unpack(&gradient, units);
            scale(&mut gradient, scaling.weight_gain);
            rule.update(entries, &gradient);
            continue;
        }
        let rows = layer.shape[0];
        let height = (BAND / units).next_multiple_of(8);
        for (at, entries) in entries.chunks(height * units).enumerate() {
            bands.push(Band { number, units, rows, start: at * height, gain: scaling.weight_gain, rule, entries });
        }
    }
    bands.into_par_iter().with_max_len(1).for_each_init(Vec::new, |room, band| band.update(blocks, room));
}

/// Rows of a weight matrix, to be moved down their gradient.
struct Band<'a, T> {
    number: usize,
    units: usize,
    /// Rows of the matrix.
    rows: usize,
    /// The first one here.
    start: usize,
    gain: f64,
    rule: Rule,
    entries: Entries<'a, T>,
}

impl<T: Real> Band<'_, T> {
    fn update(self, blocks: &[Block<'_, T>], room: &mut Vec<T>) {
        let (units, height) = (self.units, self.entries.parameter.len() / self.units);
        room.resize(height * units, T::default());
        for (at, block) in blocks.iter().enumerate() {
            let Share { rows, cotangents, .. } = &block.layers[self.number];
            let product = Product {
                size: [height, units],
                terms: cotangents.len() / units,
                left: Left { values: rows, starts: &[self.start], row: 1, term: self.rows },
                right: cotangents,
                right_row: units,
                is_added: at > 0,
            };
            product.write(room, units);
        }
        scale(room, self.gain);
        self.rule.update(self.entries, room);
    }
}
