//! Examples with all that the recursion needs of each of them alone.

use std::borrow::Cow;
use std::ops::Range;

use super::inputs::{InputValues, InputsView};
use super::profile::Profiles;

/// Examples together with all that the recursion needs of each of them alone: variances at every activation, means at every
/// norm, kernels of the example with itself. Made by [`KernelEngine::prepare`](super::KernelEngine::prepare), for that engine.
#[derive(Debug)]
pub struct PreparedInputs<'a> {
    /// Number of the engine.
    pub(super) engine: u64,
    pub(super) examples: usize,
    /// Of every source state.
    pub(super) sources: Vec<Rows<'a>>,
    /// `examples x M` gate values, if there are gates.
    pub(super) gates: Option<Rows<'static>>,
    pub(super) profiles: Profiles,
    /// Equal for equal examples.
    pub(super) fingerprints: Vec<u64>,
    /// The same, and equal for an example and its negative where that matters: one order for two examples whichever stands left.
    pub(super) orders: Vec<u64>,
    /// Examples with a variance whose products leave the range of numbers.
    pub(super) extreme: Vec<bool>,
}

impl PreparedInputs<'_> {
    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Bytes held besides the borrowed inputs; that of series of activations without a closed form is an estimate.
    pub fn bytes(&self) -> usize {
        let gates = self.gates.iter().map(Rows::owned_bytes);
        let rows = self.sources.iter().map(Rows::owned_bytes).chain(gates);
        rows.sum::<usize>()
            + self.profiles.bytes()
            + 8 * (self.fingerprints.len() + self.orders.len())
            + self.extreme.len()
    }

    /// Whether example `i` is example `j` of `other`, number by number.
    pub(super) fn repeats(&self, i: usize, other: &Self, j: usize) -> bool {
        self.fingerprints[i] == other.fingerprints[j] && self.agrees(i, other, j, |x, y| x == y)
    }

    /// Whether example `i` is the negative of example `j` of `other`, number by number.
    pub(super) fn mirrors(&self, i: usize, other: &Self, j: usize) -> bool {
        self.orders[i] == other.orders[j] && self.agrees(i, other, j, |x, y| x == -y)
    }

    fn agrees(&self, i: usize, other: &Self, j: usize, same: impl Fn(f64, f64) -> bool) -> bool {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let sources = self.sources.iter().zip(&other.sources).chain(self.gates.iter().zip(&other.gates));
        for (left, right) in sources {
            let (x, y) = (left.rows(i..i + 1, &mut x), right.rows(j..j + 1, &mut y));
            if !x.iter().zip(y).all(|(x, y)| same(*x, *y)) {
                return false;
            }
        }
        true
    }
}

/// Rows of numbers, borrowed or not.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    values: RowValues<'a>,
    /// Numbers in a row.
    pub(super) length: usize,
}

#[derive(Debug)]
enum RowValues<'a> {
    Single(&'a [f32]),
    Double(Cow<'a, [f64]>),
}

impl<'a> Rows<'a> {
    pub(super) fn borrowed(view: InputsView<'a>) -> Self {
        let values = match view.values() {
            InputValues::F64(values) => RowValues::Double(Cow::Borrowed(values)),
            InputValues::F32(values) => RowValues::Single(values),
        };
        Self { values, length: view.shape().features() }
    }

    pub(super) fn owned(values: Vec<f64>, length: usize) -> Self {
        Self { values: RowValues::Double(Cow::Owned(values)), length }
    }

    /// The rows `range`, in `buffer` where they are not at hand in double precision.
    pub(super) fn rows<'b>(&'b self, range: Range<usize>, buffer: &'b mut Vec<f64>) -> &'b [f64] {
        let cells = range.start * self.length..range.end * self.length;
        match &self.values {
            RowValues::Double(values) => &values[cells],
            RowValues::Single(values) => {
                buffer.clear();
                buffer.extend(values[cells].iter().map(|&x| f64::from(x)));
                buffer
            }
        }
    }

    fn owned_bytes(&self) -> usize {
        match &self.values {
            RowValues::Double(Cow::Owned(values)) => 8 * values.len(),
            _ => 0,
        }
    }
}

/// A number of rows times a `sign` that equal rows share and different ones hardly ever; it orders examples regardless of where they stand.
pub(super) fn fingerprint<'a>(rows: impl Iterator<Item = &'a [f64]>, sign: f64) -> u64 {
    // Adding zero makes -0 and 0 one.
    let mix =
        |hash: u64, x: &f64| (hash ^ (sign * x + 0.0).to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    rows.flatten().fold(0x51_7c_c1_b7_27_22_0a_95, mix)
}
