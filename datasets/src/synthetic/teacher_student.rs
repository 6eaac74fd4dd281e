//! Regression on the outputs of a random two-layer network, the teacher.
//!
//! f(x) = sqrt(2/m) sum_j a_j relu(w_j . x / sqrt(d)), with x, w_j standard normal in d dimensions and a_j standard normal,
//! j = 1..m. Averaged over teachers, f(x)^2 is |x|^2/d, that is 1 on average.
//!
//! Dictionary: d = `input_dim`, m = `teacher_width`.

use super::{at_least, not_negative, standard_normal};
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::error::DataError;
use crate::shape::ImageShape;
use crate::stream::stream;
use serde::{Deserialize, Serialize};

const NAME: &str = "teacher-student";

/// Parameters of teacher-student data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherStudentParameters {
    /// Dimension of the inputs.
    pub input_dim: usize,
    /// Number of hidden units of the teacher.
    pub teacher_width: usize,
    /// Standard deviation of the Gaussian noise on the training targets; test targets have none.
    pub noise: f64,
    /// Number of training examples generated.
    pub train: usize,
    /// Number of test examples generated.
    pub test: usize,
}

impl Default for TeacherStudentParameters {
    fn default() -> Self {
        Self { input_dim: 16, teacher_width: 8, noise: 0.0, train: 4096, test: 1024 }
    }
}

/// Draws a teacher, the inputs, and the noise.
///
/// # Errors
/// [`DataError::Parameter`] for a size of zero or a noise that is negative or not finite.
pub fn dataset(parameters: &TeacherStudentParameters, seed: u64) -> Result<Dataset, DataError> {
    let TeacherStudentParameters { input_dim, teacher_width, noise, train, test } = *parameters;
    for (parameter, found) in
        [("input_dim", input_dim), ("teacher_width", teacher_width), ("train", train), ("test", test)]
    {
        at_least(NAME, parameter, found, 1)?;
    }
    not_negative(NAME, "noise", noise)?;

    let mut rng = stream(seed, "data.teacher-student.teacher");
    let teacher = Teacher {
        input_dim,
        first: standard_normal(&mut rng, teacher_width * input_dim),
        second: standard_normal(&mut rng, teacher_width),
    };
    let mut train_split = teacher.split(seed, "data.teacher-student.train", train);
    let noise_values = standard_normal(&mut stream(seed, "data.teacher-student.noise"), train);
    for (target, value) in train_split.targets.iter_mut().flatten().zip(noise_values) {
        *target += noise * value;
    }
    Ok(Dataset {
        name: NAME.to_owned(),
        source: format!("generated: teacher of width {teacher_width} on {input_dim} inputs, noise {noise}"),
        shape: ImageShape::flat(input_dim),
        classes: 0,
        outputs: Some(1),
        train: train_split,
        test: teacher.split(seed, "data.teacher-student.test", test),
    })
}

struct Teacher {
    input_dim: usize,
    /// teacher_width x input_dim.
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Teacher {
    fn split(&self, seed: u64, name: &str, count: usize) -> RawSplit {
        let inputs = standard_normal(&mut stream(seed, name), count * self.input_dim);
        let targets = inputs.chunks_exact(self.input_dim).map(|x| self.output(x)).collect();
        RawSplit { n: count, inputs: SplitInputs::Real(inputs), labels: Vec::new(), targets: Some(targets) }
    }

    fn output(&self, x: &[f64]) -> f64 {
        let scale = (self.input_dim as f64).sqrt();
        let sum: f64 = self
            .first
            .chunks_exact(self.input_dim)
            .zip(&self.second)
            .map(|(w, a)| a * (w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() / scale).max(0.0))
            .sum();
        (2.0 / self.second.len() as f64).sqrt() * sum
    }
}

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, sampling};

    use super::{TeacherStudentParameters, dataset};
    use crate::error::DataError;

    #[test]
    fn the_mean_square_target_over_teachers_is_one() {
        // Each teacher and each input gives one draw of f^2, taken once per seed so that the draws are independent.
        let parameters =
            TeacherStudentParameters { train: 1, test: 1, teacher_width: 3, ..TeacherStudentParameters::default() };
        let squares: Vec<f64> =
            (0..4000).map(|seed| dataset(&parameters, seed).unwrap().train.targets.unwrap()[0].powi(2)).collect();
        let n = squares.len() as f64;
        let mean = squares.iter().sum::<f64>() / n;
        let variance = squares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        assert_near(mean, 1.0, sampling((variance / n).sqrt()));
    }

    #[test]
    fn noise_moves_training_targets_only() {
        let quiet = dataset(&TeacherStudentParameters::default(), 5).unwrap();
        let noisy =
            dataset(&TeacherStudentParameters { noise: 0.5, ..TeacherStudentParameters::default() }, 5).unwrap();
        assert_eq!(quiet.test, noisy.test);
        assert_eq!(quiet.train.inputs, noisy.train.inputs);
        let (quiet, noisy) = (quiet.train.targets.unwrap(), noisy.train.targets.unwrap());
        let n = quiet.len() as f64;
        let variance = quiet.iter().zip(&noisy).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / n;
        assert_near(variance, 0.25, sampling(0.25 * (2.0 / n).sqrt()));
    }

    #[test]
    fn bad_parameters_are_named() {
        let bad = dataset(&TeacherStudentParameters { teacher_width: 0, ..TeacherStudentParameters::default() }, 0);
        assert!(matches!(bad, Err(DataError::Parameter { parameter: "teacher_width", .. })));
        let bad = dataset(&TeacherStudentParameters { noise: f64::NAN, ..TeacherStudentParameters::default() }, 0);
        assert!(matches!(bad, Err(DataError::Parameter { parameter: "noise", .. })));
    }
}
