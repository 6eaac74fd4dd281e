//! Convolutions of stride 1 on single images, as products of shifted views.
//!
//! A padded image holds the channels of a position side by side: then the numbers under one row of a filter are consecutive, and the next
//! position begins `C` numbers further on. A convolution is one product a row of the image, whose terms run over the rows of the filter:
//!
//! ```text
//! z[y x, n]    = sum_i  sum_(j c)  X[(y + i) W' C + (x + j) C + c]  w[i (j c), n]
//! dw[i (j c), n] += sum_y sum_x  X[(y + i) W' C + (x + j) C + c]  d[y x, n]
//! ```
//!
//! with `W'` the padded width. The adjoint in the image is a convolution of the cotangents with the filters turned by 180 degrees.

use bytemuck::Pod;
use widthwise_theory::architecture::{InputShape, Layer, Padding};

use super::lanes::Lanes;
use super::product::{Affine, Product, TermRun};
use super::scratch::Scratch;

/// The geometry of one convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShiftedGemm {
    /// Rows and columns of the image.
    image: [usize; 2],
    /// Channels of the image.
    channels: usize,
    filter: [usize; 2],
    /// Rows and columns of the result.
    out: [usize; 2],
    /// Cells before the image.
    low: [usize; 2],
    /// Whether the image repeats next to itself; else there is nothing.
    is_circular: bool,
}

impl ShiftedGemm {
    /// `None` for layers that are no convolution of stride 1.
    pub(crate) fn new(shape: InputShape, layer: &Layer) -> Option<Self> {
        let Layer::Convolution { filter_size, stride: [1, 1], padding, .. } = layer else { return None };
        let image = [shape.height, shape.width];
        let axis = |i: usize| padding.geometry(i, image[i], filter_size[i], 1);
        let ((rows, top), (columns, left)) = (axis(0)?, axis(1)?);
        Some(Self {
            image,
            channels: shape.channels,
            filter: *filter_size,
            out: [rows, columns],
            low: [top, left],
            is_circular: *padding == Padding::Circular,
        })
    }

    /// The adjoint in the image, for cotangents of `units` channels.
    pub(crate) fn adjoint(&self, units: usize) -> Self {
        Self {
            image: self.out,
            channels: units,
            out: self.image,
            low: std::array::from_fn(|i| self.filter[i] - 1 - self.low[i]),
            ..*self
        }
    }

    /// Numbers of an image, of a padded image, and positions of the result.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        let [height, width] = self.padded();
        [self.image[0] * self.image[1] * self.channels, height * width * self.channels, self.out[0] * self.out[1]]
    }

    /// Channels of the image.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    fn padded(&self) -> [usize; 2] {
        std::array::from_fn(|i| self.out[i] + self.filter[i] - 1)
    }

    /// The image cell at a padded index along an axis.
    fn source(&self, axis: usize, index: usize) -> Option<usize> {
        let (size, low) = (self.image[axis], self.low[axis]);
        if self.is_circular {
            return Some((index + size * low.div_ceil(size) - low) % size);
        }
        index.checked_sub(low).filter(|cell| *cell < size)
    }

    /// Writes the padded image.
    pub(crate) fn pad<T: Lanes>(&self, image: &[T], into: &mut [T]) {
        let ([height, width], channels) = (self.padded(), self.channels);
        // Where nothing repeats, columns of the image stay side by side.
        let low = self.low[1];
        let high = width.saturating_sub(low + self.image[1]);
        for (row, into) in into.chunks_exact_mut(width * channels).enumerate().take(height) {
            let Some(source) = self.source(0, row) else {
                into.fill(T::ZERO);
                continue;
            };
            let line = &image[source * self.image[1] * channels..][..self.image[1] * channels];
            if self.is_circular {
                for (column, into) in into.chunks_exact_mut(channels).enumerate() {
                    let source = self.source(1, column).unwrap_or_default();
                    into.copy_from_slice(&line[source * channels..][..channels]);
                }
            } else {
                let (left, rest) = into.split_at_mut(low * channels);
                let (middle, right) = rest.split_at_mut(rest.len() - high * channels);
                left.fill(T::ZERO);
                middle.copy_from_slice(&line[..middle.len()]);
                right.fill(T::ZERO);
            }
        }
    }

    /// The convolution of a padded image with packed filters of `units` channels, `positions x units`, written as `affine` says.
    pub(crate) fn convolve<T: Lanes>(
        &self,
        padded: &[T],
        (filters, units): (&[T], usize),
        affine: Option<Affine<'_, T>>,
        into: &mut [T],
    ) {
        let line = self.padded()[1] * self.channels;
        let terms = self.filter[1] * self.channels;
        let mut runs: Vec<TermRun<'_, T>> =
            filters.chunks_exact(terms * units).map(|right| TermRun { left: &[], right, terms }).collect();
        for (row, into) in into.chunks_exact_mut(self.out[1] * units).enumerate() {
            for (i, run) in runs.iter_mut().enumerate() {
                run.left = &padded[(row + i) * line..];
            }
            let size = [self.out[1], units];
            Product { size, runs: &runs, row: self.channels, term: 1, right_row: units }.write(into, units, affine);
        }
    }

    /// Adds the gradient of the packed filters, given a padded image and cotangents, `positions x units`.
    pub(crate) fn add_gradient<T: Lanes>(&self, padded: &[T], cotangents: &[T], units: usize, into: &mut [T]) {
        let (line, rows) = (self.padded()[1] * self.channels, self.filter[1] * self.channels);
        for (i, into) in into.chunks_exact_mut(rows * units).enumerate() {
            let terms = self.out[1];
            let runs: Vec<TermRun<'_, T>> = (cotangents.chunks_exact(terms * units).enumerate())
                .map(|(row, right)| TermRun { left: &padded[(row + i) * line..], right, terms })
                .collect();
            let product = Product { size: [rows, units], runs: &runs, row: 1, term: self.channels, right_row: units };
            product.add(into, units);
        }
    }

    /// Where entry `(i, j, c)` of a packed filter lies in the row of an output channel of the weights.
    fn place(&self, entry: usize) -> usize {
        let (tap, channel) = (entry / self.channels, entry % self.channels);
        channel * self.filter[0] * self.filter[1] + tap
    }

    /// Weights `units x (c, i, j)` as filters `(i, j, c) x units`.
    pub(crate) fn pack<T: Lanes + Pod>(&self, weights: &[T], units: usize) -> Scratch<T> {
        let entries = weights.len() / units;
        let mut packed = Scratch::new(weights.len());
        for (entry, row) in packed.chunks_exact_mut(units).enumerate() {
            let place = self.place(entry);
            row.iter_mut().enumerate().for_each(|(unit, x)| *x = weights[unit * entries + place]);
        }
        packed
    }

    /// Weights `units x (c, i, j)` as the filters of the adjoint, `(i, j, unit) x c`, turned by 180 degrees.
    pub(crate) fn pack_adjoint<T: Lanes + Pod>(&self, weights: &[T], units: usize) -> Scratch<T> {
        let taps = self.filter[0] * self.filter[1];
        let mut packed = Scratch::new(weights.len());
        for (row, into) in packed.chunks_exact_mut(self.channels).enumerate() {
            let (tap, unit) = (taps - 1 - row / units, row % units);
            let weights = &weights[unit * self.channels * taps..][..self.channels * taps];
            into.iter_mut().enumerate().for_each(|(channel, x)| *x = weights[channel * taps + tap]);
        }
        packed
    }

    /// Adjoint of [`ShiftedGemm::pack`]: the gradient in the order of the weights.
    pub(crate) fn unpack<T: Lanes>(&self, packed: &[T], units: usize) -> Vec<T> {
        let entries = packed.len() / units;
        let mut weights = vec![T::ZERO; packed.len()];
        for (entry, row) in packed.chunks_exact(units).enumerate() {
            let place = self.place(entry);
            row.iter().enumerate().for_each(|(unit, x)| weights[unit * entries + place] = *x);
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use widthwise_theory::architecture::InitVariance;

    fn numbers(seed: usize, count: usize) -> Vec<f64> {
        (0..count).map(|i| (1.0 + (seed * 53 + i * 17) as f64).sin()).collect()
    }

    /// Every padding and filter: height, width, filter, padding.
    fn rasters() -> Vec<(ShiftedGemm, [usize; 2], [usize; 2], Padding)> {
        let mut found = Vec::new();
        for padding in
            [Padding::Same, Padding::Valid, Padding::Circular, Padding::Zeros([1, 1]), Padding::Zeros([0, 3])]
        {
            for ([height, width], filter_size) in
                [([6, 5], [3, 3]), ([6, 5], [2, 4]), ([4, 3], [1, 1]), ([3, 4], [5, 6]), ([1, 9], [1, 4])]
            {
                let shape = InputShape { channels: 3, height, width };
                let init = InitVariance { sigma_w2: 1.0, sigma_b2: 0.0 };
                let layer = Layer::Convolution { width: 5, filter_size, stride: [1, 1], padding, init };
                found.extend(
                    ShiftedGemm::new(shape, &layer)
                        .map(|shifted_gemm| (shifted_gemm, [height, width], filter_size, padding)),
                );
            }
        }
        found
    }

    /// The definition: `z[y, x, n] = sum w[n, c, i, j] a[y + i - low, x + j - low, c]`, calling `each` for every term by its places in
    /// `z`, `w` and `a`.
    fn terms(
        shifted_gemm: &ShiftedGemm,
        [height, width]: [usize; 2],
        filter: [usize; 2],
        padding: Padding,
        mut each: impl FnMut([usize; 3]),
    ) {
        let ([rows, columns], channels, units) = (shifted_gemm.out, 3, 5);
        for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            for (i, j) in (0..filter[0]).flat_map(|i| (0..filter[1]).map(move |j| (i, j))) {
                let cell = |axis: usize, at: usize, size: usize, filter: usize| {
                    let low = match padding {
                        Padding::Valid => 0,
                        Padding::Same | Padding::Circular => (filter - 1) / 2,
                        Padding::Zeros(cells) => cells[axis],
                    };
                    let cell = at as isize - low as isize;
                    if padding == Padding::Circular { cell.rem_euclid(size as isize) } else { cell }
                };
                let (row, column) = (cell(0, y + i, height, filter[0]), cell(1, x + j, width, filter[1]));
                if !(0..height as isize).contains(&row) || !(0..width as isize).contains(&column) {
                    continue;
                }
                for (c, n) in (0..channels).flat_map(|c| (0..units).map(move |n| (c, n))) {
                    let a = (row as usize * width + column as usize) * channels + c;
                    let w = ((n * channels + c) * filter[0] + i) * filter[1] + j;
                    each([(y * columns + x) * units + n, w, a]);
                }
            }
        }
    }

    fn near(found: &[f64], expected: &[f64], what: &str) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            // Sums of at most a few hundred terms below one.
            assert!((found - expected).abs() <= 500.0 * f64::EPSILON, "{what}: {found} instead of {expected}");
        }
    }

    #[test]
    fn convolution_gradient_and_adjoint_are_the_sums_of_their_definition() {
        for (shifted_gemm, size, filter, padding) in rasters() {
            let [image, padded, positions] = shifted_gemm.sizes();
            let (a, weights) = (numbers(1, image), numbers(2, 5 * 3 * filter[0] * filter[1]));
            let d = numbers(3, positions * 5);
            let mut expected = [vec![0.0; d.len()], vec![0.0; weights.len()], vec![0.0; a.len()]];
            terms(&shifted_gemm, size, filter, padding, |[z, w, x]| {
                expected[0][z] += weights[w] * a[x];
                expected[1][w] += d[z] * a[x];
                expected[2][x] += d[z] * weights[w];
            });
            let what = format!("{shifted_gemm:?}, {padding:?}");
            // What lies there before must not matter.
            let mut room = vec![f64::NAN; padded];
            shifted_gemm.pad(&a, &mut room);
            let mut z = vec![f64::NAN; d.len()];
            shifted_gemm.convolve(&room, (&shifted_gemm.pack(&weights, 5), 5), None, &mut z);
            near(&z, &expected[0], &format!("convolution, {what}"));
            let mut gradient = vec![0.0; weights.len()];
            shifted_gemm.add_gradient(&room, &d, 5, &mut gradient);
            near(&shifted_gemm.unpack(&gradient, 5), &expected[1], &format!("gradient, {what}"));
            let adjoint = shifted_gemm.adjoint(5);
            let mut room = vec![f64::NAN; adjoint.sizes()[1]];
            adjoint.pad(&d, &mut room);
            let mut below = vec![f64::NAN; image];
            adjoint.convolve(&room, (&shifted_gemm.pack_adjoint(&weights, 5), 3), None, &mut below);
            near(&below, &expected[2], &format!("adjoint, {what}"));
        }
    }
}
