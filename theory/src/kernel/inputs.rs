//! Examples to evaluate kernels on.

use crate::architecture::InputShape;
use crate::error::TheoryError;

/// Examples of one shape, owned, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// `examples x features`, row-major; images channel-major, `(c * height + h) * width + w`.
    pub values: Vec<f64>,
    /// Shape of one example.
    pub shape: InputShape,
}

impl Inputs {
    /// Wraps `values`, `examples x features` row-major.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if `values` is not a whole number of examples or `shape` is empty.
    pub fn new(values: Vec<f64>, shape: InputShape) -> Result<Self, TheoryError> {
        expect_whole_examples(values.len(), shape)?;
        Ok(Self { values, shape })
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.values.len() / self.shape.features()
    }

    /// The features of example `index`.
    ///
    /// # Panics
    /// If there is no such example.
    pub fn example(&self, index: usize) -> &[f64] {
        let features = self.shape.features();
        &self.values[index * features..(index + 1) * features]
    }

    /// The same examples, borrowed.
    pub fn view(&self) -> InputsView<'_> {
        InputsView { values: InputValues::F64(&self.values), shape: self.shape }
    }
}

/// Numbers of examples in either precision, `examples x features` row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputValues<'a> {
    /// Double precision.
    F64(&'a [f64]),
    /// Single precision, widened to double a few rows at a time where it is needed.
    F32(&'a [f32]),
}

impl InputValues<'_> {
    fn len(&self) -> usize {
        match self {
            InputValues::F64(values) => values.len(),
            InputValues::F32(values) => values.len(),
        }
    }
}

/// Examples of one shape, borrowed: nothing is copied for networks whose first layer has weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputsView<'a> {
    values: InputValues<'a>,
    shape: InputShape,
}

impl<'a> InputsView<'a> {
    /// Borrows `values`, `examples x features` row-major; images channel-major, `(c * height + h) * width + w`.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if `values` is not a whole number of examples or `shape` is empty.
    pub fn new(values: InputValues<'a>, shape: InputShape) -> Result<Self, TheoryError> {
        expect_whole_examples(values.len(), shape)?;
        Ok(Self { values, shape })
    }

    /// As [`InputsView::new`], of double precision.
    ///
    /// # Errors
    /// As [`InputsView::new`].
    pub fn from_f64(values: &'a [f64], shape: InputShape) -> Result<Self, TheoryError> {
        Self::new(InputValues::F64(values), shape)
    }

    /// As [`InputsView::new`], of single precision.
    ///
    /// # Errors
    /// As [`InputsView::new`].
    pub fn from_f32(values: &'a [f32], shape: InputShape) -> Result<Self, TheoryError> {
        Self::new(InputValues::F32(values), shape)
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.values.len() / self.shape.features()
    }

    /// Shape of one example.
    pub fn shape(&self) -> InputShape {
        self.shape
    }

    /// The numbers.
    pub fn values(&self) -> InputValues<'a> {
        self.values
    }
}

impl<'a> From<&'a Inputs> for InputsView<'a> {
    fn from(inputs: &'a Inputs) -> Self {
        inputs.view()
    }
}

fn expect_whole_examples(numbers: usize, shape: InputShape) -> Result<(), TheoryError> {
    let features = shape.features();
    let whole = numbers.checked_div(features).map_or(1, |examples| examples * features);
    if whole == numbers && features > 0 {
        return Ok(());
    }
    Err(TheoryError::ShapeMismatch {
        what: "input values (a whole number of examples)",
        expected: whole,
        found: numbers,
    })
}
