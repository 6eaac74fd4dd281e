//! Shapes of inputs and states, and windows on images.

use serde::{Deserialize, Deserializer, Serialize};

/// Channels, height and width of one example; a flat vector of `d` features is `1 x 1 x d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape {
    /// Number of channels (1 for a flat vector).
    pub channels: usize,
    /// Rows of an image (1 for a flat vector).
    pub height: usize,
    /// Columns of an image (the number of features for a flat vector).
    pub width: usize,
}

impl InputShape {
    /// The shape of a flat vector of `features` numbers.
    pub fn flat(features: usize) -> Self {
        Self { channels: 1, height: 1, width: features }
    }

    /// Channels, height and width.
    pub fn sizes(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Numbers in one example. Examples are stored channel-major: `(c * height + h) * width + w`.
    pub fn features(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// What stands outside the image in a convolution or a pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Zeros; output size `ceil(size / stride)`, the odd cell of padding at the high side.
    Same,
    /// None; output size `floor((size - filter) / stride) + 1`.
    Valid,
    /// The image repeats; output size `ceil(size / stride)`, offsets as for `Same`.
    Circular,
    /// So many cells of zeros above and below, and so many left and right, fewer than the window has: `padding=(p, q)` of
    /// PyTorch; output size `floor((size + 2 p - filter) / stride) + 1`. With a stride above 1 this may differ from `Same`,
    /// which puts as few cells as it needs, and the odd one at the high side.
    #[serde(untagged)]
    Zeros(#[serde(deserialize_with = "one_or_two")] [usize; 2]),
}

/// `[p, q]`, or `p` for `[p, p]`.
fn one_or_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Cells {
        Both(usize),
        Each([usize; 2]),
    }
    Cells::deserialize(deserializer).map(|cells| match cells {
        Cells::Both(cells) => [cells; 2],
        Cells::Each(cells) => cells,
    })
}

impl Padding {
    /// Output size and number of cells before the first along axis 0 (rows) or 1 (columns), or `None` if the filter does not
    /// fit.
    pub fn geometry(self, axis: usize, size: usize, filter: usize, stride: usize) -> Option<(usize, usize)> {
        if filter == 0 || stride == 0 || size == 0 {
            return None;
        }
        match self {
            Padding::Valid => (size >= filter).then(|| ((size - filter) / stride + 1, 0)),
            Padding::Same | Padding::Circular => {
                let out = size.div_ceil(stride);
                let total = ((out - 1) * stride + filter).saturating_sub(size);
                Some((out, total / 2))
            }
            Padding::Zeros(cells) => {
                let before = cells[axis];
                let padded = before.checked_mul(2)?.checked_add(size)?;
                (before < filter && padded >= filter).then(|| ((padded - filter) / stride + 1, before))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_padding_counts_windows_as_pytorch_does() {
        // floor((size + 2 p - filter) / stride) + 1, by torch.nn.Conv2d: size, filter, stride, p, output.
        for (size, filter, stride, p, out) in [
            (6, 3, 2, 1, 3),
            (7, 3, 2, 1, 4),
            (6, 3, 1, 2, 8),
            (6, 4, 2, 1, 3),
            (6, 5, 3, 2, 2),
            (1, 2, 1, 1, 2),
            (5, 3, 4, 0, 1),
        ] {
            assert_eq!(
                Padding::Zeros([p, 0]).geometry(0, size, filter, stride),
                Some((out, p)),
                "{size} {filter} {stride}"
            );
            assert_eq!(
                Padding::Zeros([0, p]).geometry(1, size, filter, stride),
                Some((out, p)),
                "{size} {filter} {stride}"
            );
        }
        // Windows of nothing but zeros, and windows that do not fit.
        assert_eq!(Padding::Zeros([3, 0]).geometry(0, 6, 3, 1), None);
        assert_eq!(Padding::Zeros([1, 1]).geometry(0, 2, 5, 1), None);
        assert_eq!(Padding::Zeros([usize::MAX, 1]).geometry(0, 6, usize::MAX, 1), None);
    }
}
