//! Examples that are in memory already.

use faer::Mat;
use widthwise_datasets::{Examples, ImageShape, Prepared};
use widthwise_theory::architecture::InputShape;

use super::{ExamplesError, FileExamples};

/// Examples in memory with their targets: what training, kernels and predictions read instead of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrays {
    /// `examples x features`, row-major.
    inputs: Vec<f64>,
    /// `examples x outputs`, row-major.
    targets: Vec<f64>,
    examples: usize,
    shape: InputShape,
}

impl Arrays {
    /// Flat examples.
    ///
    /// # Shapes
    /// `inputs`: `examples x features`; `targets`: `examples x outputs`; one example after the other.
    ///
    /// # Errors
    /// Numbers that are not finite, or that are no whole number for each example.
    pub fn new(inputs: Vec<f64>, targets: Vec<f64>, examples: usize) -> Result<Self, ExamplesError> {
        for (what, values) in [("inputs", &inputs), ("targets", &targets)] {
            let numbers = values.len();
            if numbers == 0 || examples == 0 || !numbers.is_multiple_of(examples) {
                return Err(ExamplesError::UnevenArray { what, numbers, examples });
            }
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(ExamplesError::ArrayNotFinite { what, index, value: values[index] });
            }
        }
        let shape = InputShape::flat(inputs.len() / examples);
        Ok(Self { inputs, targets, examples, shape })
    }

    /// The same as images, whose values stand channel by channel, each row by row.
    ///
    /// # Errors
    /// Images of another size than the examples have.
    pub fn with_shape(self, shape: InputShape) -> Result<Self, ExamplesError> {
        let (found, features) = (self.shape.features(), shape.features());
        if found == features {
            Ok(Self { shape, ..self })
        } else {
            Err(ExamplesError::OtherSize { name: "the array".to_owned(), found, features })
        }
    }

    /// The shape of an example.
    pub fn shape(&self) -> InputShape {
        self.shape
    }

    /// Numbers of a target.
    pub fn outputs(&self) -> usize {
        self.targets.len() / self.examples
    }

    /// As a training set, without classes, subset or preprocessing; there are no test examples.
    pub fn prepared(&self) -> Prepared {
        let InputShape { channels, height, width } = self.shape;
        let (inputs, targets) = (self.inputs.clone(), self.targets.clone());
        Prepared {
            shape: ImageShape { channels, height, width },
            outputs: self.outputs(),
            classes: 0,
            tasks: 1,
            train: Examples { n: self.examples, inputs, targets, labels: Vec::new() },
            test: Examples { n: 0, inputs: Vec::new(), targets: Vec::new(), labels: Vec::new() },
        }
    }

    /// The inputs as kernels and predictions read them.
    pub fn inputs(&self) -> FileExamples {
        FileExamples {
            values: self.inputs.clone(),
            rows: self.examples,
            columns: self.shape.features(),
            shape: Some(self.shape),
            ..FileExamples::default()
        }
    }

    /// The targets, `examples x outputs`.
    pub fn targets(&self) -> Mat<f64> {
        let outputs = self.outputs();
        Mat::from_fn(self.examples, outputs, |i, o| self.targets[i * outputs + o])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_what_was_given() {
        let arrays = Arrays::new(vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0], 2).unwrap();
        let prepared = arrays.prepared();
        assert_eq!((prepared.train.n, prepared.shape.len(), prepared.outputs), (2, 2, 1));
        assert_eq!((arrays.inputs().values, arrays.targets()[(1, 0)]), (prepared.train.inputs, 6.0));
    }

    #[test]
    fn uneven_arrays_and_numbers_that_are_none_are_refused() {
        let told = |inputs: Vec<f64>, targets: Vec<f64>| Arrays::new(inputs, targets, 2).unwrap_err().to_string();
        assert!(told(vec![1.0; 3], vec![1.0; 2]).contains("3 inputs are no whole number for each of 2 examples"));
        assert!(told(vec![1.0; 2], Vec::new()).contains("0 targets"));
        assert!(told(vec![1.0; 2], vec![1.0, f64::NAN]).contains("number 2 of the targets is NaN"));
        let image = InputShape { channels: 1, height: 2, width: 2 };
        let refused = Arrays::new(vec![1.0; 4], vec![1.0; 2], 2).unwrap().with_shape(image).unwrap_err();
        assert!(refused.to_string().contains("the array has 2 columns"));
    }
}
