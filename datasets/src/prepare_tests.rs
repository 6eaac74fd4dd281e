//! Preprocessing held to its definitions.

use widthwise_testing::{assert_near, assert_relative, reference, round_off, sampling};

use crate::bundled;
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::prepare::{Prepared, prepare};
use crate::prepare_error::PrepareError;
use crate::preprocessing::{ColourMode, InputScale, Normalize, Preprocessing, TargetForm};
use crate::shape::ImageShape;
use crate::stream::stream;
use crate::synthetic::{gaussian_mixture, teacher_student, uniform_sphere};
use rand::RngExt;

/// A colour data set of random pixels whose channels have different ranges.
fn colour_dataset() -> Dataset {
    let shape = ImageShape { channels: 3, height: 2, width: 3 };
    let split = |name: &str, n: usize| {
        let mut rng = stream(1, name);
        let inputs = (0..n * shape.len()).map(|at| rng.random_range(0..=(100 + 70 * (at / 6 % 3)) as u8)).collect();
        RawSplit {
            n,
            inputs: SplitInputs::Bytes(inputs),
            labels: (0..n).map(|at| (at % 4) as u8).collect(),
            targets: None,
        }
    };
    Dataset {
        name: "colour".to_owned(),
        source: "random pixels".to_owned(),
        shape,
        classes: 4,
        outputs: None,
        train: split("train", 60),
        test: split("test", 20),
    }
}

fn prepared(raw: &Dataset, options: &Preprocessing) -> Prepared {
    let prepared = prepare(raw, options, 11).unwrap();
    for examples in [&prepared.train, &prepared.test] {
        assert_eq!(examples.inputs.len(), examples.n * prepared.shape.len());
        assert_eq!(examples.targets.len(), examples.n * prepared.outputs);
    }
    prepared
}

fn raw_options() -> Preprocessing {
    Preprocessing { scale: InputScale::None, ..Preprocessing::default() }
}

#[test]
fn the_default_maps_pixels_to_the_unit_interval_and_centres_targets() {
    let data = bundled::mnist().unwrap();
    let result = prepared(&data, &Preprocessing::default());
    assert_eq!((result.train.n, result.test.n, result.outputs, result.tasks), (5000, 1000, 10, 1));
    assert!(result.train.inputs.iter().all(|value| (0.0..=1.0).contains(value)));
    // The bundled subset's own mean, from a Python sum over its file.
    let mean = result.train.inputs.iter().sum::<f64>() / result.train.inputs.len() as f64;
    assert_near(mean, 0.131320, reference(6));
    for (row, &label) in result.train.targets.chunks_exact(10).zip(&result.train.labels) {
        for (class, &value) in row.iter().enumerate() {
            assert_near(value, if class == usize::from(label) { 0.9 } else { -0.1 }, round_off(2));
        }
    }
}

#[test]
fn subsets_of_one_seed_are_nested_and_match_their_rows() {
    let data = colour_dataset();
    let small = prepared(&data, &Preprocessing { train: Some(10), ..raw_options() });
    let large = prepared(&data, &Preprocessing { train: Some(40), ..raw_options() });
    assert_eq!(small.train.inputs[..], large.train.inputs[..10 * 18]);
    let other = prepare(&data, &Preprocessing { train: Some(10), ..raw_options() }, 12).unwrap();
    assert_ne!(small.train.inputs, other.train.inputs);
    // Every chosen row is one of the originals with its own label, and none comes twice.
    let mut row = [0.0; 18];
    let mut used = Vec::new();
    for (inputs, label) in large.train.inputs.chunks_exact(18).zip(&large.train.labels) {
        let found = (0..data.train.n).find(|&at| {
            data.train.copy_row(at, &mut row);
            row == inputs
        });
        let at = found.unwrap();
        assert!(data.train.labels[at] == *label && !used.contains(&at));
        used.push(at);
    }
}

#[test]
fn standardized_channels_have_mean_zero_and_variance_one() {
    let result =
        prepared(&colour_dataset(), &Preprocessing { scale: InputScale::Standardize, ..Preprocessing::default() });
    for channel in 0..3 {
        let values: Vec<f64> =
            result.train.inputs.chunks_exact(6).skip(channel).step_by(3).flatten().copied().collect();
        let n = values.len();
        assert_near(values.iter().sum::<f64>() / n as f64, 0.0, round_off(n));
        assert_near(values.iter().map(|value| value * value).sum::<f64>() / n as f64, 1.0, round_off(n));
    }
}

#[test]
fn statistics_come_from_the_training_subset_alone() {
    let mut data = colour_dataset();
    for options in [
        Preprocessing { scale: InputScale::Standardize, ..Preprocessing::default() },
        Preprocessing { zca: Some(0.1), ..Preprocessing::default() },
    ] {
        let before = prepared(&data, &options);
        data.test.inputs = SplitInputs::Bytes(vec![9; data.test.inputs.len()]);
        let after = prepared(&data, &options);
        assert_eq!(before.train, after.train);
        assert_ne!(before.test.inputs, after.test.inputs);
        data = colour_dataset();
    }
}

#[test]
fn zca_whitens_the_training_inputs_and_stays_symmetric() {
    let epsilon = 1e-12;
    let data = colour_dataset();
    let result = prepared(&data, &Preprocessing { zca: Some(epsilon), ..Preprocessing::default() });
    let plain = prepared(&data, &Preprocessing::default());
    let (n, d) = (result.train.n, 18);
    let covariance = |a: &[f64], b: &[f64], i: usize, j: usize| {
        let mean = |x: &[f64], i: usize| (0..n).map(|row| x[row * d + i]).sum::<f64>() / n as f64;
        let (mean_a, mean_b) = (mean(a, i), mean(b, j));
        (0..n).map(|row| (a[row * d + i] - mean_a) * (b[row * d + j] - mean_b)).sum::<f64>() / n as f64
    };
    let (white, plain) = (&result.train.inputs, &plain.train.inputs);
    for i in 0..d {
        for j in 0..d {
            // The regularization moves each variance by up to epsilon times the condition number of about 100.
            assert_near(covariance(white, white, i, j), f64::from(u8::from(i == j)), reference(9));
            // W = W^T makes Cov(Wx, x) = W Cov(x) = Cov(x)^(1/2) symmetric, which no other whitening does.
            assert_near(covariance(white, plain, i, j), covariance(white, plain, j, i), round_off(n * d * d));
        }
    }
}

#[test]
fn normalized_inputs_have_the_norm_asked_for() {
    for (normalize, square) in [(Normalize::UnitNorm, 1.0), (Normalize::SqrtDim, 18.0)] {
        let result = prepared(&colour_dataset(), &Preprocessing { normalize, ..Preprocessing::default() });
        for examples in [&result.train, &result.test] {
            for row in examples.inputs.chunks_exact(18) {
                assert_relative(row.iter().map(|value| value * value).sum(), square, round_off(18), "square norm");
            }
        }
    }
}

#[test]
fn a_black_image_cannot_be_normalized() {
    let mut data = colour_dataset();
    data.test.inputs = SplitInputs::Bytes(vec![0; data.test.inputs.len()]);
    let options = Preprocessing { normalize: Normalize::UnitNorm, ..Preprocessing::default() };
    assert_eq!(prepare(&data, &options, 0), Err(PrepareError::ZeroNorm { split: "test", index: 0 }));
}

#[test]
fn grey_is_the_weighted_sum_of_the_channels() {
    let data = colour_dataset();
    let colour = prepared(&data, &raw_options());
    let grey = prepared(&data, &Preprocessing { colour: ColourMode::Grey, ..raw_options() });
    assert_eq!(grey.shape, ImageShape { channels: 1, height: 2, width: 3 });
    for (colour, grey) in colour.train.inputs.chunks_exact(18).zip(grey.train.inputs.chunks_exact(6)) {
        for at in 0..6 {
            assert_near(grey[at], 0.299 * colour[at] + 0.587 * colour[6 + at] + 0.114 * colour[12 + at], round_off(4));
        }
    }
}

#[test]
fn chosen_classes_are_numbered_in_the_order_given() {
    let data = colour_dataset();
    let result = prepared(&data, &Preprocessing { classes: Some(vec![3, 1]), ..raw_options() });
    assert_eq!((result.classes, result.outputs, result.train.n), (2, 2, 30));
    let mut row = [0.0; 18];
    for (inputs, &class) in result.train.inputs.chunks_exact(18).zip(&result.train.labels) {
        let at = (0..data.train.n).find(|&at| {
            data.train.copy_row(at, &mut row);
            row == inputs
        });
        assert_eq!(data.train.labels[at.unwrap()], [3, 1][usize::from(class)]);
    }
}

#[test]
fn binary_targets_follow_the_class_or_the_positive_list() {
    let data = colour_dataset();
    let two = Preprocessing { classes: Some(vec![0, 2]), targets: TargetForm::Binary, ..raw_options() };
    let result = prepared(&data, &two);
    assert_eq!(result.outputs, 1);
    for (target, label) in result.train.targets.iter().zip(&result.train.labels) {
        assert_eq!(*target, if *label == 1 { 1.0 } else { -1.0 });
    }
    let split = Preprocessing { positive: Some(vec![0, 2]), targets: TargetForm::Binary, ..raw_options() };
    let result = prepared(&data, &split);
    assert_eq!((result.classes, result.train.n), (2, 60));
    assert_eq!(result.train.targets.iter().sum::<f64>(), 0.0);
    // Without noise the same rows are chosen, so the original labels can be compared.
    let original = prepared(&data, &raw_options());
    for (target, label) in result.train.targets.iter().zip(&original.train.labels) {
        assert_eq!(*target == 1.0, label % 2 == 0);
    }
}

#[test]
fn label_noise_replaces_the_exact_share_by_uniform_other_classes() {
    let data = bundled::mnist().unwrap();
    let clean = prepared(&data, &raw_options());
    let noisy = prepared(&data, &Preprocessing { label_noise: 0.3, ..raw_options() });
    assert_eq!(clean.train.inputs, noisy.train.inputs);
    assert_eq!(clean.test, noisy.test);
    let changes: Vec<u8> = clean
        .train
        .labels
        .iter()
        .zip(&noisy.train.labels)
        .filter(|(clean, noisy)| clean != noisy)
        .map(|(clean, noisy)| (10 + noisy - clean) % 10)
        .collect();
    assert_eq!(changes.len(), 1500);
    for step in 1..10 {
        let count = changes.iter().filter(|&&change| change == step).count() as f64;
        assert_near(count, 1500.0 / 9.0, sampling((1500.0 * (1.0 / 9.0) * (8.0 / 9.0_f64)).sqrt()));
    }
}

#[test]
fn permuted_tasks_repeat_the_data_with_a_code_and_fixed_orders() {
    let data = colour_dataset();
    let plain = prepared(&data, &Preprocessing::default());
    let two = prepared(&data, &Preprocessing { permuted_tasks: Some(2), ..Preprocessing::default() });
    let three = prepared(&data, &Preprocessing { permuted_tasks: Some(3), ..Preprocessing::default() });
    assert_eq!((two.shape, two.tasks, two.train.n), (ImageShape::flat(20), 2, 120));
    assert_eq!(two.train.labels, plain.train.labels.repeat(2));
    assert_eq!(two.train.targets, plain.train.targets.repeat(2));
    for (row, original) in plain.train.inputs.chunks_exact(18).enumerate() {
        let in_two = |task: usize| &two.train.inputs[(60 * task + row) * 20..][..20];
        assert_eq!(in_two(0)[..18], *original);
        assert_eq!((&in_two(0)[18..], &in_two(1)[18..]), (&[1.0, 0.0][..], &[0.0, 1.0][..]));
        let mut sorted = in_two(1)[..18].to_vec();
        let mut expected = original.to_vec();
        sorted.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        assert_eq!(sorted, expected);
        // A further task leaves the earlier orders alone.
        assert_eq!(three.train.inputs[(60 + row) * 21..][..18], in_two(1)[..18]);
    }
    assert_ne!(two.train.inputs[60 * 20..][..18], plain.train.inputs[..18]);
}

#[test]
fn regression_data_keep_their_targets_row_by_row() {
    let data = teacher_student::dataset(&teacher_student::TeacherStudentParameters::default(), 4).unwrap();
    let result = prepared(&data, &Preprocessing { train: Some(100), ..Preprocessing::default() });
    assert_eq!((result.outputs, result.classes, result.train.labels.len()), (1, 0, 0));
    let mut row = [0.0; 16];
    let targets = data.train.targets.as_ref().unwrap();
    for (inputs, target) in result.train.inputs.chunks_exact(16).zip(&result.train.targets) {
        let at = (0..data.train.n).find(|&at| {
            data.train.copy_row(at, &mut row);
            row == inputs
        });
        assert_eq!(targets[at.unwrap()], *target);
    }
}

#[test]
fn what_a_data_set_does_not_allow_is_named() {
    let colour = colour_dataset();
    let regression = teacher_student::dataset(&teacher_student::TeacherStudentParameters::default(), 0).unwrap();
    let sphere = uniform_sphere::dataset(&uniform_sphere::UniformSphereParameters::default(), 0).unwrap();
    let default = Preprocessing::default;
    let message = |raw: &Dataset, options: Preprocessing| prepare(raw, &options, 0).unwrap_err().to_string();

    for (raw, options, part) in [
        (
            &colour,
            Preprocessing { train: Some(61), ..default() },
            "61 training examples were asked for but colour has 60",
        ),
        (&colour, Preprocessing { test: Some(11), classes: Some(vec![0, 1]), ..default() }, "10 of the chosen classes"),
        (&colour, Preprocessing { classes: Some(vec![3]), ..default() }, "at least two classes"),
        (
            &colour,
            Preprocessing { classes: Some(vec![3]), targets: TargetForm::OneHot, ..default() },
            "at least two classes",
        ),
        (&colour, Preprocessing { classes: Some(vec![3]), label_noise: 0.5, ..default() }, "at least two classes"),
        (&colour, Preprocessing { train: Some(0), ..default() }, "no training examples"),
        (&colour, Preprocessing { classes: Some(vec![4]), ..default() }, "run from 0 to 3: a label is out of range"),
        (&colour, Preprocessing { classes: Some(vec![1, 1]), ..default() }, "named twice"),
        (&colour, Preprocessing { classes: Some(vec![]), ..default() }, "at least one label"),
        (&colour, Preprocessing { targets: TargetForm::Binary, ..default() }, "exactly two classes but colour has 4"),
        (&colour, Preprocessing { positive: Some(vec![1]), ..default() }, "targets are not binary"),
        (
            &colour,
            Preprocessing { positive: Some(vec![0, 1, 2, 3]), targets: TargetForm::Binary, ..default() },
            "both signs",
        ),
        (&colour, Preprocessing { label_noise: 1.5, ..default() }, "label_noise = 1.5"),
        (&colour, Preprocessing { label_noise: f64::NAN, ..default() }, "label_noise = NaN"),
        (&colour, Preprocessing { zca: Some(0.0), ..default() }, "zca = 0"),
        (&colour, Preprocessing { permuted_tasks: Some(0), ..default() }, "permuted_tasks = 0"),
        (&regression, Preprocessing { classes: Some(vec![0]), ..default() }, "classes needs classes"),
        (&regression, Preprocessing { targets: TargetForm::OneHot, ..default() }, "targets needs classes"),
        (&sphere, Preprocessing { scale: InputScale::UnitInterval, ..default() }, "needs pixels"),
    ] {
        let message = message(raw, options);
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn constant_inputs_cannot_be_standardized_or_whitened() {
    let data = colour_dataset();
    let one = Preprocessing { train: Some(1), zca: Some(0.1), ..Preprocessing::default() };
    assert!(matches!(prepare(&data, &one, 0), Err(PrepareError::Identical { examples: 1 })));
    let mut black = data;
    black.train.inputs = SplitInputs::Bytes(vec![7; black.train.inputs.len()]);
    let options = Preprocessing { scale: InputScale::Standardize, ..Preprocessing::default() };
    assert!(matches!(prepare(&black, &options, 0), Err(PrepareError::Constant { channel: 0, .. })));
}

#[test]
fn the_class_limit_of_labels_holds() {
    let parameters =
        gaussian_mixture::GaussianMixtureParameters { classes: 256, input_dim: 256, train: 256, ..Default::default() };
    let data = gaussian_mixture::dataset(&parameters, 0).unwrap();
    let result = prepared(&data, &Preprocessing { label_noise: 1.0, ..Preprocessing::default() });
    assert_eq!(result.outputs, 256);
}
