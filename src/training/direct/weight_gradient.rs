//! From what blocks of examples leave to the next weights. The gradient of a dense weight matrix is made in bands of rows and in tiles of a
//! band, each used up while it is in registers: what the update writes goes on its way to memory while the next tile is multiplied.

use std::hint::black_box;

use pulp::Simd;
use rayon::prelude::*;
use widthwise_theory::architecture::Scaling;

use super::fused::{Rule, UpdateNumber, UpdateSlice};
use super::host_parameters::HostState;
use super::links::Link;
use super::slices::{add_rows, scale};
use crate::host::lanes::{load, store};
use crate::host::product::{Product, Registers, TILE, TermRun, TilePosition, TileSink};
use crate::host::scratch::{Scratch, StateBuffer};
use crate::host::shifted_gemm::ShiftedGemm;
use crate::training::optimizer::Updater;

/// Numbers of a gradient that is made and used up at once.
const BAND: usize = 1 << 12;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// What a block leaves for the update.
pub(super) struct BlockGradient<'a, T: UpdateNumber> {
    /// What each example adds to the loss.
    pub(super) losses: Vec<T>,
    pub(super) layers: Vec<GradientShare<'a, T>>,
}

/// What a block knows of the gradient of one layer.
pub(super) struct GradientShare<'a, T: UpdateNumber> {
    /// Groups of rows that a dense layer reads, with their cotangents; none for a convolution.
    pub(super) groups: Vec<(StateBuffer<'a, T>, Scratch<T>)>,
    /// Gradient of packed filters; empty for a dense layer.
    pub(super) filters: Vec<T>,
    /// Gradient of the biases, without their gain.
    pub(super) bias: Vec<T>,
}

impl<T: UpdateNumber> Default for GradientShare<'_, T> {
    fn default() -> Self {
        Self { groups: Vec::new(), filters: Vec::new(), bias: Vec::new() }
    }
}

/// Moves every layer down its gradient. Threads share the pieces.
pub(super) fn update<T: UpdateNumber>(
    host_state: &mut HostState<T>,
    links: &[&Link],
    scalings: &[Scaling],
    blocks: &[BlockGradient<'_, T>],
    updater: &Updater,
    step: u64,
) {
    let rule = Rule::new(updater, step);
    let mut pieces = Vec::new();
    let mut sets = host_state.moments.iter_mut();
    let [mut first, mut second] = [sets.next(), sets.next()].map(|set| set.into_iter().flatten());
    for (number, layer) in host_state.layers.iter_mut().enumerate() {
        let [first, second] = [first.next(), second.next()];
        let [(first, first_bias), (second, second_bias)] =
            [first, second].map(|host_parameters| match host_parameters {
                Some(host_parameters) => {
                    (&mut host_parameters.weight[..], host_parameters.bias.as_deref_mut().unwrap_or_default())
                }
                None => Default::default(),
            });
        let scaling = &scalings[number];
        let mut add = |part, entries| {
            let (gain, rate) = match part {
                ParameterKind::Bias => (scaling.bias_gain, scaling.bias_rate),
                _ => (scaling.weight_gain, scaling.weight_rate),
            };
            pieces.push(ParameterTile { number, part, gain, rule: rule.at_rate(rate), entries });
        };
        let entries = UpdateSlice { parameter: &mut layer.weight, first, second };
        if let Link::Convolution(_, shifted_gemm) = links[number] {
            add(ParameterKind::Filters { shifted_gemm, units: layer.shape[0] }, entries);
        } else {
            let [rows, units] = layer.shape;
            let height = (BAND / units).max(1).next_multiple_of(TILE[0]);
            for (at, entries) in entries.chunks(height * units).enumerate() {
                add(ParameterKind::Rows { start: at * height, rows, units }, entries);
            }
        }
        if let Some(parameter) = &mut layer.bias {
            add(ParameterKind::Bias, UpdateSlice { parameter, first: first_bias, second: second_bias });
        }
    }
    if blocks.len() == 1 && pieces.iter().map(|piece| piece.entries.parameter.len()).sum::<usize>() <= BAND {
        // Sooner done than shared.
        return pieces.into_iter().for_each(|piece| piece.update(blocks));
    }
    // By where they lie in their layer: a thread meets about the same rows at every step.
    pieces.sort_by_key(|piece| piece.place());
    pieces.into_par_iter().with_max_len(1).for_each(|piece| piece.update(blocks));
}

/// Parameters of one layer that are moved together.
struct ParameterTile<'a, T> {
    /// The layer.
    number: usize,
    part: ParameterKind<'a>,
    /// What the gradient is multiplied by.
    gain: f64,
    rule: Rule,
    entries: UpdateSlice<'a, T>,
}

/// Which parameters of a layer they are.
enum ParameterKind<'a> {
    /// Rows of a dense weight matrix of `rows` rows and `units` columns, from `start` on.
    Rows { start: usize, rows: usize, units: usize },
    /// All filters of a convolution.
    Filters { shifted_gemm: &'a ShiftedGemm, units: usize },
    /// All biases.
    Bias,
}

impl<T: UpdateNumber> ParameterTile<'_, T> {
    /// How far down in its layer, in a thousand parts.
    fn place(&self) -> usize {
        match self.part {
            ParameterKind::Rows { start, rows, .. } => 1000 * start / rows,
            ParameterKind::Filters { .. } | ParameterKind::Bias => 0,
        }
    }

    fn update<'b>(self, blocks: &'b [BlockGradient<'_, T>]) {
        let shares = || blocks.iter().map(|block| &block.layers[self.number]);
        let count = self.entries.parameter.len();
        match self.part {
            ParameterKind::Rows { start, rows: term, units } => {
                // What the forward pass left behind is near; moments are asked for before the product needs its caches.
                for moment in [&*self.entries.first, &*self.entries.second] {
                    for at in (0..moment.len()).step_by(LINE / size_of::<T>()) {
                        black_box(moment[at]);
                    }
                }
                let run = |(rows, cotangents): &'b (StateBuffer<'_, T>, Scratch<T>)| TermRun {
                    left: &rows[start..],
                    right: cotangents,
                    terms: cotangents.len() / units,
                };
                let runs: Vec<TermRun<'_, T>> = shares().flat_map(|share| &share.groups).map(run).collect();
                let product = Product { size: [count / units, units], runs: &runs, row: 1, term, right_row: units };
                product.into(Descent { units, gain: self.gain, rule: self.rule, entries: self.entries });
            }
            ParameterKind::Filters { shifted_gemm, units } => {
                let mut gradient = vec![T::ZERO; count];
                shares().for_each(|share| add_rows(&mut gradient, &share.filters));
                let mut gradient = shifted_gemm.unpack(&gradient, units);
                scale(&mut gradient, self.gain);
                self.rule.update(self.entries, &gradient);
            }
            ParameterKind::Bias => {
                let mut gradient = vec![T::ZERO; count];
                for share in shares() {
                    add_rows(&mut gradient, &share.bias);
                    share.groups.iter().for_each(|(_, cotangents)| add_rows(&mut gradient, cotangents));
                }
                scale(&mut gradient, self.gain);
                self.rule.update(self.entries, &gradient);
            }
        }
    }
}

/// Uses up the tiles of a gradient.
struct Descent<'a, T> {
    units: usize,
    gain: f64,
    rule: Rule,
    entries: UpdateSlice<'a, T>,
}

impl<T: UpdateNumber> TileSink<T> for Descent<'_, T> {
    #[inline(always)]
    fn begin<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        _: TilePosition,
    ) -> Registers<T, S, ROWS, VECTORS> {
        [[T::splat(simd, T::ZERO); VECTORS]; ROWS]
    }

    #[inline(always)]
    fn take<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        place: TilePosition,
        sums: Registers<T, S, ROWS, VECTORS>,
    ) {
        let width = place.width::<T, S, VECTORS>();
        // By way of memory: with the branches of the rule below them, sums would not stay in registers while they are added up.
        let mut tile = [[T::ZERO; TILE[1]]; TILE[0]];
        for r in 0..ROWS {
            store::<T, S, VECTORS>(simd, &mut tile[r][..width], place.part, sums[r]);
        }
        let gain = T::splat(simd, T::of(self.gain));
        for (r, gradient) in tile.iter().enumerate().take(ROWS) {
            let mut gradient = load::<T, S, VECTORS>(simd, &gradient[..width], place.part);
            for g in &mut gradient {
                *g = T::times(simd, *g, gain);
            }
            let start = (place.row + r) * self.units + place.column;
            self.rule.row(simd, self.entries.part(start..start + width), place.part, gradient);
        }
    }
}
