//! The arithmetic of preprocessing. All inputs are examples x features, one example after the other.

use crate::prepare_error::PrepareError;
use crate::preprocessing::Normalize;
use crate::shape::ImageShape;
use crate::stream::stream;
use faer::{Mat, MatRef, Side};
use rand::seq::SliceRandom;

/// Mean and standard deviation of each channel over all examples and positions.
pub(crate) fn channel_moments(inputs: &[f64], shape: ImageShape) -> Result<Vec<(f64, f64)>, PrepareError> {
    let plane = shape.height * shape.width;
    let examples = inputs.len() / shape.len();
    (0..shape.channels)
        .map(|channel| {
            let values = || inputs.chunks_exact(plane).skip(channel).step_by(shape.channels).flatten();
            // Exact comparison, since rounding gives equal values a small variance.
            let mut distinct = values().zip(values().skip(1)).filter(|(a, b)| a != b);
            if distinct.next().is_none() {
                return Err(PrepareError::Constant { channel, examples });
            }
            let count = (examples * plane) as f64;
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            Ok((mean, variance.sqrt()))
        })
        .collect()
}

/// Subtracts the mean and divides by the deviation, channel by channel.
pub(crate) fn standardize(inputs: &mut [f64], shape: ImageShape, moments: &[(f64, f64)]) {
    let plane = shape.height * shape.width;
    for (values, (mean, deviation)) in inputs.chunks_exact_mut(plane).zip(moments.iter().cycle()) {
        values.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
    }
}

/// The grey image of a colour image with its three planes in the order red, green, blue.
pub(crate) fn grey(image: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let plane = image.len() / 3;
    (0..plane).map(move |at| 0.299 * image[at] + 0.587 * image[plane + at] + 0.114 * image[2 * plane + at])
}

/// Brings each example to the norm asked for.
pub(crate) fn normalize(
    inputs: &mut [f64],
    features: usize,
    target: Normalize,
    split: &'static str,
) -> Result<(), PrepareError> {
    let norm = match target {
        Normalize::None => return Ok(()),
        Normalize::UnitNorm => 1.0,
        Normalize::SqrtDim => (features as f64).sqrt(),
    };
    for (index, example) in inputs.chunks_exact_mut(features).enumerate() {
        let found = example.iter().map(|value| value * value).sum::<f64>().sqrt();
        if found == 0.0 {
            return Err(PrepareError::ZeroNorm { split, index });
        }
        example.iter_mut().for_each(|value| *value *= norm / found);
    }
    Ok(())
}

/// ZCA whitening (A. Bell, T. Sejnowski 1997): x -> (x - mean) U (S + epsilon tr(S)/d)^(-1/2) U^T with the covariance
/// U S U^T of the training inputs in d dimensions. It whitens with the smallest change to the inputs.
pub(crate) struct Whitening {
    mean: Vec<f64>,
    matrix: Mat<f64>,
}

impl Whitening {
    pub(crate) fn fit(inputs: &[f64], features: usize, epsilon: f64) -> Result<Self, PrepareError> {
        let examples = inputs.len() / features;
        if inputs.chunks_exact(features).all(|example| *example == inputs[..features]) {
            return Err(PrepareError::Identical { examples });
        }
        let mut mean = vec![0.0; features];
        for example in inputs.chunks_exact(features) {
            mean.iter_mut().zip(example).for_each(|(sum, value)| *sum += value);
        }
        mean.iter_mut().for_each(|value| *value /= examples as f64);

        let centred = centred(inputs, &mean);
        let covariance = centred.transpose() * &centred * (1.0 / examples as f64);
        let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(|_| PrepareError::Eigenvalues { features })?;
        let eigenvalues = eigen.S().column_vector();
        let average = eigenvalues.iter().sum::<f64>() / features as f64;
        let basis = eigen.U();
        let scaled = Mat::from_fn(features, features, |row, column| {
            // Rounding leaves some of the vanishing eigenvalues slightly negative.
            basis[(row, column)] / (eigenvalues[column].max(0.0) + epsilon * average).sqrt()
        });
        Ok(Self { mean, matrix: scaled * basis.transpose() })
    }

    pub(crate) fn apply(&self, inputs: &mut [f64]) {
        let whitened = centred(inputs, &self.mean) * &self.matrix;
        for (row, example) in inputs.chunks_exact_mut(self.mean.len()).enumerate() {
            for (column, value) in example.iter_mut().enumerate() {
                *value = whitened[(row, column)];
            }
        }
    }
}

fn centred(inputs: &[f64], mean: &[f64]) -> Mat<f64> {
    let view = MatRef::from_row_major_slice(inputs, inputs.len() / mean.len(), mean.len());
    Mat::from_fn(view.nrows(), view.ncols(), |row, column| view[(row, column)] - mean[column])
}

/// The feature order of each task: as stored for task 0, random for the others.
///
/// Each task has a stream of its own, so further tasks leave the earlier ones alone.
pub(crate) fn task_orders(features: usize, tasks: usize, seed: u64) -> Vec<Vec<usize>> {
    (0..tasks)
        .map(|task| {
            let mut order: Vec<usize> = (0..features).collect();
            if task > 0 {
                order.shuffle(&mut stream(seed, &format!("data.permutation.{task}")));
            }
            order
        })
        .collect()
}

/// One permuted copy of all examples a task, each example followed by the one-hot code of its task.
pub(crate) fn permuted_copies(inputs: &[f64], orders: &[Vec<usize>]) -> Vec<f64> {
    let features = orders[0].len();
    let columns = features + orders.len();
    let mut copies = Vec::with_capacity(inputs.len() / features * orders.len() * columns);
    for (task, order) in orders.iter().enumerate() {
        for example in inputs.chunks_exact(features) {
            copies.extend(order.iter().map(|&from| example[from]));
            copies.extend((0..orders.len()).map(|other| f64::from(u8::from(other == task))));
        }
    }
    copies
}
