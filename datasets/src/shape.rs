//! The shape of one input.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Channels, height and width of one input; values are stored channel by channel, each channel row by row.
///
/// A flat vector of dimension d is `{ channels: 1, height: 1, width: d }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageShape {
    /// Number of channels: 1 for grey images and flat vectors, 3 for colour.
    pub channels: usize,
    /// Number of rows; 1 for a flat vector.
    pub height: usize,
    /// Number of columns; the dimension of a flat vector.
    pub width: usize,
}

#[expect(clippy::len_without_is_empty, reason = "a shape without values is not a shape anybody asks about")]
impl ImageShape {
    /// The shape of a flat vector of this dimension.
    #[must_use]
    pub const fn flat(dimension: usize) -> Self {
        Self { channels: 1, height: 1, width: dimension }
    }

    /// Number of values in one input: channels x height x width.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether this is the shape of a flat vector.
    #[must_use]
    pub const fn is_flat(&self) -> bool {
        self.channels == 1 && self.height == 1
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_flat() {
            write!(f, "{}", self.width)
        } else {
            write!(f, "{} x {} x {}", self.channels, self.height, self.width)
        }
    }
}
