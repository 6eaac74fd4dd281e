//! Classifiers of infinite depth.

use faer::{Mat, mat};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::infinite_depth::{InfiniteDepth, SingularKernel};

/// `2^{-d/4} he_3 + sqrt(1 - 2^{1-d/2}) he_2 + 2^{-d/4} he_1`, whose exponent is `d`, by its Hermite coefficients.
fn activation(dimension: f64) -> Activation {
    let (outer, middle) = (2.0_f64.powf(-0.25 * dimension), (1.0 - 2.0_f64.powf(1.0 - 0.5 * dimension)).sqrt());
    let (cubic, square) = (outer / 6.0_f64.sqrt(), middle / 2.0_f64.sqrt());
    Activation::Polynomial { coefficients: vec![-square, outer - 3.0 * cubic, square, cubic] }
}

fn singular(activation: &Activation) -> Result<SingularKernel, TheoryError> {
    match InfiniteDepth::of(activation)? {
        InfiniteDepth::Singular(kernel) => Ok(kernel),
        other => panic!("{activation:?} is {other:?}"),
    }
}

/// Slope of `ln f` by `ln |x - x'|` between two distances.
fn slope(f: impl Fn(f64) -> Result<f64, TheoryError>, distances: [f64; 2]) -> Result<f64, TheoryError> {
    let at = |distance: f64| f(0.5 * distance * distance);
    Ok((at(distances[1])? / at(distances[0])?).ln() / (distances[1] / distances[0]).ln())
}

#[test]
fn exponents_are_the_dimensions_that_they_were_made_for() -> Result<(), TheoryError> {
    // Slopes of R between distances 1e-4 and 1e-3, and 1e-3 and 1e-2, as printed by an independent program.
    for (dimension, near, far) in [
        (2.0, (-2.0000001, 7), (-2.00002, 5)),
        (3.0, (-3.0000002, 7), (-3.00002, 5)),
        (4.0, (-4.0000002, 7), (-4.00003, 5)),
    ] {
        let kernel = singular(&activation(dimension))?;
        assert_within(kernel.exponent(), dimension, round_off(100), "alpha");
        assert_within(kernel.separation(), 2.0, round_off(100), "kappa'(1)");
        assert_within(kernel.decay(), 2.0_f64.powf(-0.5 * dimension), round_off(10), "a_1^2");
        let value = |gap| kernel.value(gap);
        for ((expected, decimals), distances) in [(near, [1e-4, 1e-3]), (far, [1e-3, 1e-2])] {
            assert_within(slope(value, distances)?, expected, reference(decimals), "slope of R");
        }
        // Closer still there are no corrections left. `R |x - x'|^alpha` may swing with `ln |x - x'|^2 / ln kappa'(1)` (it
        // does, by 1e-8), so the distances are six periods apart.
        assert_within(slope(value, [1e-9, 64e-9])?, -dimension, round_off(10_000), "slope of R");
    }
    Ok(())
}

#[test]
fn value_solves_its_functional_equation() -> Result<(), TheoryError> {
    for activation in [activation(2.0), activation(3.0), Activation::Erf, Activation::Tanh] {
        let kernel = singular(&activation)?;
        let scale = activation.dual(1.0, 1.0, 1.0);
        for rho in [-0.9, -0.3, 0.05, 0.4, 0.8] {
            let image = activation.dual(1.0, rho, 1.0) / scale;
            let (before, after) = (kernel.value(1.0 - rho)?, kernel.value(1.0 - image)?);
            // R(kappa(rho)) = a_1^2 R(rho); 1e-10 is what the duals of tanh by series and quadrature agree to, layer by layer.
            assert_relative(after / (kernel.decay() * before), 1.0, 1e-10, &format!("{activation:?} at {rho}"));
        }
        // Near the origin R(rho) is rho.
        assert_within(kernel.value(1.0 - 1e-9)? / 1e-9, 1.0, 1e-7, "R(rho) ~ rho");
        assert_eq!(kernel.value(1.0)?, 0.0);
        assert!(kernel.value(0.0)?.is_infinite());
        assert!(kernel.value(-0.1).is_err() && kernel.value(2.1).is_err() && kernel.value(f64::NAN).is_err());
    }
    Ok(())
}

#[test]
fn value_is_the_limit_of_plain_iteration() -> Result<(), TheoryError> {
    // Where nothing cancels, the dual alone gives the same number.
    let activation = activation(3.0);
    let kernel = singular(&activation)?;
    for rho in [-0.7, 0.2, 0.5, 0.7] {
        let mut iterate = rho;
        for _ in 0..30 {
            iterate = activation.dual(1.0, iterate, 1.0);
        }
        let plain = iterate / kernel.decay().powi(30);
        // What remains of the square is of the order of the iterate.
        let bound = 10.0 * iterate.abs() + round_off(10_000);
        assert_relative(kernel.value(1.0 - rho)? / plain, 1.0, bound, "R");
        assert_relative(kernel.at_depth(1.0 - rho, 30)?.nngp / plain, 1.0, round_off(10_000), "kappa^30");
    }
    Ok(())
}

#[test]
fn tangent_kernel_of_finite_depth_has_another_exponent() -> Result<(), TheoryError> {
    for (dimension, expected) in [(2.0, -3.99998), (3.0, -4.99998), (4.0, -5.99999)] {
        let kernel = singular(&activation(dimension))?;
        let near = [1e-4, 1e-3];
        let ntk = |gap: f64| Ok(kernel.at_depth(gap, 240)?.ntk);
        assert_within(slope(ntk, near)?, expected, reference(5), "slope of the tangent kernel at depth 240");
        let nngp = |gap: f64| Ok(kernel.at_depth(gap, 240)?.nngp);
        assert_within(slope(nngp, near)?, -dimension, 1e-6, "slope of the covariance at depth 240");
        // What grows with depth is R.
        for gap in [1e-6, 1e-3, 0.1, 1.2] {
            let growth = (kernel.at_depth(gap, 480)?.ntk - kernel.at_depth(gap, 240)?.ntk) / 240.0;
            let lost = round_off(10_000) * kernel.at_depth(gap, 240)?.ntk / kernel.value(gap)?;
            assert_within(
                growth / kernel.value(gap)?,
                1.0,
                lost.abs() + round_off(10_000),
                "growth of the tangent kernel",
            );
        }
    }
    Ok(())
}

#[test]
fn shallow_kernels_are_those_of_the_recursion() -> Result<(), TheoryError> {
    let activation = activation(2.0);
    let kernel = singular(&activation)?;
    let rho = 0.6;
    let (first, second) = (activation.dual(1.0, rho, 1.0), activation.dual(1.0, activation.dual(1.0, rho, 1.0), 1.0));
    let slopes = [activation.dual_derivative(1.0, rho, 1.0), activation.dual_derivative(1.0, first, 1.0)];
    let ntk = second + slopes[1] * (first + slopes[0] * rho);
    let found = kernel.at_depth(1.0 - rho, 2)?;
    assert_relative(found.nngp * kernel.decay().powi(2), second, round_off(100), "covariance");
    assert_relative(found.ntk * kernel.decay().powi(2), ntk, round_off(100), "tangent kernel");
    Ok(())
}

/// Random points of the unit sphere in `dimension + 1` coordinates.
fn sphere(count: usize, dimension: usize, seed: u64) -> Mat<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let points: Mat<f64> = Mat::from_fn(count, dimension + 1, |_, _| StandardNormal.sample(&mut rng));
    Mat::from_fn(count, dimension + 1, |i, j| points[(i, j)] / points.row(i).norm_l2())
}

#[test]
fn singular_classifier_is_the_weighted_vote_and_repeats_labels() -> Result<(), TheoryError> {
    let (train, test) = (sphere(60, 2, 1), sphere(200, 2, 2));
    // Every fifth label is wrong: the classifier still repeats it.
    let label = |points: &Mat<f64>, i: usize| if points[(i, 0)] > 0.0 { 1.0 } else { -1.0 };
    let targets = Mat::from_fn(60, 1, |i, _| if i % 5 == 0 { -label(&train, i) } else { label(&train, i) });
    let kernel = singular(&activation(2.0))?;
    let classifier = InfiniteDepth::Singular(kernel.clone());
    assert_eq!(classifier.classify(train.as_ref(), targets.as_ref(), train.as_ref())?, targets);
    let scores = classifier.classify(train.as_ref(), targets.as_ref(), test.as_ref())?;
    let mut right = 0;
    for t in 0..200 {
        let value = |i: usize| kernel.value(0.5 * (test.row(t) - train.row(i)).squared_norm_l2());
        let values: Vec<f64> = (0..60).map(value).collect::<Result<_, _>>()?;
        let vote: f64 = values.iter().enumerate().map(|(i, r)| r * targets[(i, 0)]).sum();
        let size: f64 = values.iter().map(|r| r.abs()).sum();
        assert_within(scores[(t, 0)], vote / size, round_off(10_000), "score");
        assert!(scores[(t, 0)].abs() <= 1.0);
        right += usize::from(scores[(t, 0)] * label(&test, t) > 0.0);
    }
    // Guessing gives 100 +- 7.
    assert!(right > 140, "{right} of 200");
    Ok(())
}

#[test]
fn other_activations_vote_or_take_the_nearest() -> Result<(), TheoryError> {
    assert!(matches!(InfiniteDepth::of(&Activation::Relu)?, InfiniteDepth::MajorityVote));
    let second = Activation::Polynomial { coefficients: vec![-1.0, 0.0, 1.0] };
    let nearest = InfiniteDepth::of(&second)?;
    assert!(matches!(nearest, InfiniteDepth::NearestNeighbour));
    let train = mat![[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
    let targets = mat![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
    let test = mat![[0.8, 0.6], [0.6, 0.8], [0.0, -1.0]];
    let classify = |classifier: &InfiniteDepth| classifier.classify(train.as_ref(), targets.as_ref(), test.as_ref());
    // The last input is as far from the first as from the third.
    assert_eq!(classify(&nearest)?, mat![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
    let votes = classify(&InfiniteDepth::MajorityVote)?;
    assert!((0..3).all(|t| votes[(t, 0)] == 2.0 / 3.0 && votes[(t, 1)] == 1.0 / 3.0));
    assert!(matches!(InfiniteDepth::of(&Activation::Identity), Err(TheoryError::NoPrediction { .. })));
    assert!(InfiniteDepth::of(&Activation::Polynomial { coefficients: vec![0.0] }).is_err());
    let long = mat![[0.8, 0.7]];
    assert!(nearest.classify(train.as_ref(), targets.as_ref(), long.as_ref()).is_err());
    assert!(nearest.classify(train.as_ref(), long.as_ref(), train.as_ref()).is_err());
    let nothing = train.as_ref().get(0..0, ..);
    assert!(nearest.classify(nothing, targets.as_ref().get(0..0, ..), train.as_ref()).is_err());
    Ok(())
}
