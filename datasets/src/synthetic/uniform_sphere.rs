//! Inputs uniform on the unit sphere, |x| = 1; the class says on which side of a fixed hyperplane through the origin they lie.
//!
//! Class 1 is where the first coordinate is positive.

use super::{at_least, standard_normal};
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::error::DataError;
use crate::shape::ImageShape;
use crate::stream::stream;
use serde::{Deserialize, Serialize};

const NAME: &str = "uniform-sphere";

/// Parameters of the uniform sphere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UniformSphereParameters {
    /// Dimension of the inputs, at least 2.
    pub input_dim: usize,
    /// Number of training examples generated.
    pub train: usize,
    /// Number of test examples generated.
    pub test: usize,
}

impl Default for UniformSphereParameters {
    fn default() -> Self {
        Self { input_dim: 16, train: 4096, test: 1024 }
    }
}

/// Draws the examples.
///
/// # Errors
/// [`DataError::Parameter`] for a dimension below 2 or a size of zero.
pub fn dataset(parameters: &UniformSphereParameters, seed: u64) -> Result<Dataset, DataError> {
    let UniformSphereParameters { input_dim, train, test } = *parameters;
    at_least(NAME, "input_dim", input_dim, 2)?;
    at_least(NAME, "train", train, 1)?;
    at_least(NAME, "test", test, 1)?;
    Ok(Dataset {
        name: NAME.to_owned(),
        source: format!("generated: uniform on the unit sphere in {input_dim} dimensions"),
        shape: ImageShape::flat(input_dim),
        classes: 2,
        outputs: None,
        train: split(seed, "data.uniform-sphere.train", train, input_dim),
        test: split(seed, "data.uniform-sphere.test", test, input_dim),
    })
}

fn split(seed: u64, name: &str, count: usize, dimension: usize) -> RawSplit {
    let mut inputs = standard_normal(&mut stream(seed, name), count * dimension);
    let mut labels = Vec::with_capacity(count);
    for row in inputs.chunks_exact_mut(dimension) {
        let norm = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
        labels.push(u8::from(row[0] > 0.0));
    }
    RawSplit { n: count, inputs: SplitInputs::Real(inputs), labels, targets: None }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, round_off, sampling};

    use super::{UniformSphereParameters, dataset};
    use crate::dataset::SplitInputs;

    #[test]
    fn rows_have_unit_norm_and_the_moments_of_the_sphere() {
        let parameters = UniformSphereParameters { input_dim: 5, train: 20_000, ..UniformSphereParameters::default() };
        let data = dataset(&parameters, 9).unwrap();
        let SplitInputs::Real(inputs) = &data.train.inputs else { panic!("synthetic inputs are real") };
        let (d, n) = (5.0_f64, data.train.n as f64);
        let (mut second, mut fourth) = (0.0, 0.0);
        for row in inputs.chunks_exact(5) {
            assert_near(row.iter().map(|x| x * x).sum::<f64>(), 1.0, round_off(5));
            second += row[1].powi(2) / n;
            fourth += row[1].powi(4) / n;
        }
        // E x^2 = 1/d, E x^4 = 3/(d(d+2)), E x^8 = 105/(d(d+2)(d+4)(d+6)).
        let exact_fourth = 3.0 / (d * (d + 2.0));
        let eighth = 105.0 / (d * (d + 2.0) * (d + 4.0) * (d + 6.0));
        assert_near(second, 1.0 / d, sampling(((exact_fourth - 1.0 / (d * d)) / n).sqrt()));
        assert_near(fourth, exact_fourth, sampling(((eighth - exact_fourth.powi(2)) / n).sqrt()));
    }

    #[test]
    fn the_label_is_the_side_of_the_first_coordinate() {
        let data = dataset(&UniformSphereParameters::default(), 9).unwrap();
        let mut row = [0.0; 16];
        for index in 0..data.test.n {
            data.test.copy_row(index, &mut row);
            assert_eq!(data.test.labels[index] == 1, row[0] > 0.0);
        }
    }
}
