//! Gaussian classes around equidistant means.
//!
//! x = mu_c + z with z standard normal. The means are the corners of a regular simplex in random orientation, centred on the
//! origin, every two at the distance `separation`. For two classes the best possible error rate is therefore
//! Phi(-separation/2).

use super::{at_least, not_negative, standard_normal};
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::error::DataError;
use crate::shape::ImageShape;
use crate::stream::stream;
use serde::{Deserialize, Serialize};

const NAME: &str = "gaussian-mixture";

/// Parameters of the Gaussian mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianMixtureParameters {
    /// Dimension of the inputs, at least the number of classes.
    pub input_dim: usize,
    /// Number of classes, 2 to 256, of equal size up to one example.
    pub classes: usize,
    /// Distance between any two means, in standard deviations of the noise.
    pub separation: f64,
    /// Number of training examples generated.
    pub train: usize,
    /// Number of test examples generated.
    pub test: usize,
}

impl Default for GaussianMixtureParameters {
    fn default() -> Self {
        Self { input_dim: 16, classes: 2, separation: 4.0, train: 4096, test: 1024 }
    }
}

/// Draws the orientation of the means and the examples.
///
/// # Errors
/// [`DataError::Parameter`] for a parameter out of range.
pub fn dataset(parameters: &GaussianMixtureParameters, seed: u64) -> Result<Dataset, DataError> {
    let GaussianMixtureParameters { input_dim, classes, separation, train, test } = *parameters;
    if !(2..=256).contains(&classes) {
        return Err(DataError::Parameter {
            name: NAME,
            parameter: "classes",
            found: classes.to_string(),
            allowed: "2 to 256".to_owned(),
        });
    }
    at_least(NAME, "input_dim", input_dim, classes)?;
    at_least(NAME, "train", train, 1)?;
    at_least(NAME, "test", test, 1)?;
    not_negative(NAME, "separation", separation)?;

    let means = means(parameters, seed);
    Ok(Dataset {
        name: NAME.to_owned(),
        source: format!("generated: {classes} Gaussian classes in {input_dim} dimensions, separation {separation}"),
        shape: ImageShape::flat(input_dim),
        classes,
        outputs: None,
        train: split(&means, seed, "data.gaussian-mixture.train", train),
        test: split(&means, seed, "data.gaussian-mixture.test", test),
    })
}

/// The means, one row a class.
fn means(parameters: &GaussianMixtureParameters, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = stream(seed, "data.gaussian-mixture.means");
    let mut frame: Vec<Vec<f64>> = Vec::with_capacity(parameters.classes);
    while frame.len() < parameters.classes {
        let mut axis = standard_normal(&mut rng, parameters.input_dim);
        // Projecting twice keeps the axes orthogonal to rounding.
        for _ in 0..2 {
            for earlier in &frame {
                let overlap = dot(&axis, earlier);
                axis.iter_mut().zip(earlier).for_each(|(value, base)| *value -= overlap * base);
            }
        }
        let norm = dot(&axis, &axis).sqrt();
        axis.iter_mut().for_each(|value| *value /= norm);
        frame.push(axis);
    }
    let scale = parameters.separation / 2.0_f64.sqrt();
    let centre: Vec<f64> = (0..parameters.input_dim)
        .map(|column| frame.iter().map(|axis| axis[column]).sum::<f64>() / parameters.classes as f64)
        .collect();
    frame
        .iter()
        .map(|axis| axis.iter().zip(&centre).map(|(value, centre)| scale * (value - centre)).collect())
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn split(means: &[Vec<f64>], seed: u64, name: &str, count: usize) -> RawSplit {
    let dimension = means[0].len();
    let mut inputs = standard_normal(&mut stream(seed, name), count * dimension);
    let labels: Vec<u8> = (0..count).map(|index| (index % means.len()) as u8).collect();
    for (row, &label) in inputs.chunks_exact_mut(dimension).zip(&labels) {
        row.iter_mut().zip(&means[usize::from(label)]).for_each(|(value, mean)| *value += mean);
    }
    RawSplit { n: count, inputs: SplitInputs::Real(inputs), labels, targets: None }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, round_off, sampling};

    use super::{GaussianMixtureParameters, dataset, dot, means};
    use crate::dataset::SplitInputs;
    use crate::error::DataError;

    #[test]
    fn every_two_means_have_the_separation_and_all_sum_to_zero() {
        let parameters = GaussianMixtureParameters {
            input_dim: 7,
            classes: 5,
            separation: 3.0,
            ..GaussianMixtureParameters::default()
        };
        let means = means(&parameters, 1);
        for (index, first) in means.iter().enumerate() {
            for second in &means[..index] {
                let difference: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
                assert_near(dot(&difference, &difference).sqrt(), 3.0, round_off(7 * 5));
            }
        }
        for column in 0..7 {
            assert_near(1.0 + means.iter().map(|mean| mean[column]).sum::<f64>(), 1.0, round_off(7 * 5));
        }
    }

    #[test]
    fn the_nearest_mean_errs_as_the_normal_distribution_says() {
        let parameters =
            GaussianMixtureParameters { separation: 2.0, train: 20_000, ..GaussianMixtureParameters::default() };
        let data = dataset(&parameters, 2).unwrap();
        let means = means(&parameters, 2);
        let SplitInputs::Real(inputs) = &data.train.inputs else { panic!("synthetic inputs are real") };
        let wrong = inputs
            .chunks_exact(parameters.input_dim)
            .zip(&data.train.labels)
            .filter(|(x, label)| (dot(x, &means[1]) > dot(x, &means[0])) != (**label == 1))
            .count();
        // Phi(-1), Abramowitz and Stegun table 26.1.
        let error: f64 = 0.158_655_253_9;
        let n = data.train.n as f64;
        assert_near(wrong as f64 / n, error, sampling((error * (1.0 - error) / n).sqrt()));
        assert_eq!(data.train.label_counts(2), [10_000, 10_000]);
    }

    #[test]
    fn bad_parameters_are_named() {
        let bad = dataset(&GaussianMixtureParameters { classes: 1, ..GaussianMixtureParameters::default() }, 0);
        assert!(matches!(bad, Err(DataError::Parameter { parameter: "classes", .. })));
        let bad =
            dataset(&GaussianMixtureParameters { input_dim: 2, classes: 3, ..GaussianMixtureParameters::default() }, 0);
        assert!(matches!(bad, Err(DataError::Parameter { parameter: "input_dim", .. })));
        let bad = dataset(&GaussianMixtureParameters { separation: -1.0, ..GaussianMixtureParameters::default() }, 0);
        assert!(matches!(bad, Err(DataError::Parameter { parameter: "separation", .. })));
    }
}
