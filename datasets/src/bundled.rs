//! The genuine MNIST subset that comes with the program: 500 training and 100 test images of every digit.
//!
//! The files are under CC BY-SA 3.0; `bundled/mnist/NOTICE` states authors and changes.

use crate::catalog::MNIST;
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::format_error::FormatError;
use crate::idx;
use crate::source::Length;
use flate2::read::MultiGzDecoder;

const TRAIN_IMAGES: &[u8] = include_bytes!("../bundled/mnist/train-images-idx3-ubyte.gz");
const TRAIN_LABELS: &[u8] = include_bytes!("../bundled/mnist/train-labels-idx1-ubyte.gz");
const TEST_IMAGES: &[u8] = include_bytes!("../bundled/mnist/t10k-images-idx3-ubyte.gz");
const TEST_LABELS: &[u8] = include_bytes!("../bundled/mnist/t10k-labels-idx1-ubyte.gz");

/// Training and test examples.
pub const EXAMPLES: (usize, usize) = (5000, 1000);

/// What the subset is, in one line.
pub const SOURCE: &str = "bundled MNIST subset (5,000 train, 1,000 test)";

/// The text that accompanies the bundled files: authors, licence and changes.
pub const NOTICE: &str = include_str!("../bundled/mnist/NOTICE");

/// The bundled MNIST subset.
///
/// # Errors
/// [`FormatError`] if the bundled bytes were altered.
pub fn mnist() -> Result<Dataset, FormatError> {
    Ok(Dataset {
        name: MNIST.id.to_owned(),
        source: SOURCE.to_owned(),
        shape: MNIST.shape,
        classes: MNIST.classes,
        outputs: None,
        train: split(TRAIN_IMAGES, TRAIN_LABELS)?,
        test: split(TEST_IMAGES, TEST_LABELS)?,
    })
}

fn split(images: &[u8], labels: &[u8]) -> Result<RawSplit, FormatError> {
    let read = |gz: &[u8]| idx::read(MultiGzDecoder::new(gz), Length::of_gzip(gz.len() as u64));
    let (pixels, labels) = idx::pair(read(images)?, read(labels)?, MNIST.shape, MNIST.classes)?;
    Ok(RawSplit { n: labels.len(), inputs: SplitInputs::Bytes(pixels), labels, targets: None })
}

/// Positions of the first `count / classes` examples of every class, in file order.
#[must_use]
pub fn stratified_head(labels: &[u8], count: usize, classes: usize) -> Vec<usize> {
    let mut room = vec![count / classes; classes];
    let mut kept = Vec::with_capacity(count);
    for (index, &label) in labels.iter().enumerate() {
        if let Some(left) = room.get_mut(usize::from(label)).filter(|left| **left > 0) {
            *left -= 1;
            kept.push(index);
        }
    }
    kept
}
