//! Images with a frame of zeros, position by position, so that the window of a filter's row is one run of numbers.
//!
//! Cell `(y, x)` of `C` channels stands at `origin + y pitch + x`, times `C`. The rows `k_w C` long that begin at neighbouring
//! cells overlap; a matrix with these rows and row stride `C` is what a row of the filter multiplies, so that a
//! convolution is `k_h` matrix products and no patches are made. The gap between two image rows is the frame of both.

use widthwise_theory::architecture::InputShape;

use widthwise_tensors::Number;

/// The frame that all images of a network share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PaddedImage {
    /// Cells from one image row to the next.
    pub(super) pitch: usize,
    /// The first cell of the image.
    pub(super) origin: usize,
    /// All cells.
    pub(super) cells: usize,
}

impl PaddedImage {
    /// For images of at most `height x width` and filters that reach `margins` beyond them.
    pub(super) fn new(height: usize, width: usize, [above, beside]: [usize; 2]) -> Self {
        let pitch = width + beside;
        let origin = above * pitch + beside;
        Self { pitch, origin, cells: 2 * origin + height * pitch }
    }

    /// Cells from the first of an image to its last.
    pub(super) fn length(&self, shape: InputShape) -> usize {
        (shape.height - 1) * self.pitch + shape.width
    }

    /// The cell at which the image row `y` begins.
    pub(super) fn row(&self, y: usize) -> usize {
        self.origin + y * self.pitch
    }

    /// One example `[C, H, W]` onto a padded image `[cells, C]`.
    pub(super) fn draw<T: Number>(&self, shape: InputShape, image: &[T], padded_image: &mut Vec<T>) {
        let InputShape { channels, height, width } = shape;
        padded_image.clear();
        padded_image.resize(self.cells * channels, T::default());
        for (channel, plane) in image.chunks_exact(height * width).enumerate() {
            for (y, row) in plane.chunks_exact(width).enumerate() {
                let start = self.row(y) * channels + channel;
                let cells = padded_image[start..].iter_mut().step_by(channels);
                cells.zip(row).for_each(|(cell, value)| *cell = *value);
            }
        }
    }

    /// Clears the gaps between image rows.
    pub(super) fn clear_gaps<T: Number>(&self, shape: InputShape, padded_image: &mut [T]) {
        let InputShape { channels, height, width } = shape;
        for y in 1..height {
            padded_image[(self.row(y - 1) + width) * channels..self.row(y) * channels].fill(T::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_stands_in_a_frame_of_zeros() {
        let shape = InputShape { channels: 2, height: 2, width: 3 };
        let padded_image = PaddedImage::new(2, 3, [1, 1]);
        let image: Vec<f64> = (1..=12).map(f64::from).collect();
        let mut drawn = Vec::new();
        padded_image.draw(shape, &image, &mut drawn);
        assert_eq!(drawn.iter().filter(|value| **value != 0.0).count(), 12);
        for channel in 0..2 {
            for (y, x) in (0..2).flat_map(|y| (0..3).map(move |x| (y, x))) {
                assert_eq!(drawn[(padded_image.row(y) + x) * 2 + channel], image[channel * 6 + y * 3 + x]);
            }
        }
        let mut full = vec![1.0; drawn.len()];
        padded_image.clear_gaps(shape, &mut full);
        assert_eq!(full.iter().filter(|value| **value == 0.0).count(), 2);
    }
}
