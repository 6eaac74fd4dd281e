//! Gaussian and Student-t posteriors, and the limits of training that sample them.

use faer::{Mat, mat};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution, Gamma, StandardNormal};
use statrs::distribution::{ContinuousCDF, StudentsT};
use widthwise_testing::{assert_relative, assert_within, round_off, sampling};
use widthwise_theory::TheoryError;
use widthwise_theory::bayes::{InverseGamma, Regularization, gaussian_process_posterior, student_t_posterior};
use widthwise_theory::dynamics::{KernelDynamics, Training};

/// Two kernels on five training and three test examples; the second exceeds the first by a third one.
fn kernels() -> [Mat<f64>; 2] {
    let nngp = Mat::from_fn(8, 8, |i, j| (-0.3 * (i as f64 - j as f64).powi(2)).exp());
    let ntk = Mat::from_fn(8, 8, |i, j| nngp[(i, j)] + (-0.7 * (i as f64 - j as f64).abs()).exp());
    [nngp, ntk]
}

struct Parts {
    train: Mat<f64>,
    cross: Mat<f64>,
    test: Mat<f64>,
}

fn parts(kernel: &Mat<f64>) -> Parts {
    let part = |row: usize, rows: usize, column: usize, columns: usize| {
        kernel.submatrix(row, column, rows, columns).to_owned()
    };
    Parts { train: part(0, 5, 0, 5), cross: part(5, 3, 0, 5), test: part(5, 3, 5, 3) }
}

fn targets() -> Mat<f64> {
    Mat::from_fn(5, 1, |i, _| (2.0 * i as f64).sin())
}

#[test]
fn networks_with_a_frozen_function_sample_the_tangent_kernel_posterior() -> Result<(), TheoryError> {
    let [_, ntk] = kernels();
    let parts = parts(&ntk);
    let forever = [
        Training::Flow { flow_time: f64::INFINITY },
        Training::GradientDescent { learning_rate: 0.1, steps: Training::FOREVER },
        Training::Momentum { learning_rate: 0.1, beta: 0.9, steps: Training::FOREVER },
        Training::Nesterov { learning_rate: 0.1, beta: 0.9, steps: Training::FOREVER },
    ];
    for noise in [0.0, 0.2] {
        let posterior = gaussian_process_posterior(
            parts.train.as_ref(),
            parts.cross.as_ref(),
            parts.test.as_ref(),
            targets().as_ref(),
            Regularization::noise(noise),
        )?;
        let dynamics = KernelDynamics::new(parts.train.as_ref(), parts.train.as_ref())?
            .with_test(parts.cross.as_ref(), parts.cross.as_ref(), parts.test.as_ref())?
            .with_ridge(noise)
            .with_label_noise(noise);
        let bound = round_off(100) * dynamics.spectrum().condition_number();
        for training in forever {
            let ensemble = dynamics.test_prediction(targets().as_ref(), &training)?;
            assert_within((&ensemble.mean - &posterior.prediction.mean).norm_max(), 0.0, bound, "mean");
            let difference = &ensemble.covariance - &posterior.prediction.covariance;
            assert_within(difference.norm_max(), 0.0, bound, "covariance");
            // On the training examples the posterior is that with test examples repeated.
            let train = dynamics.train_prediction(targets().as_ref(), &training)?;
            let repeated = gaussian_process_posterior(
                parts.train.as_ref(),
                parts.train.as_ref(),
                parts.train.as_ref(),
                targets().as_ref(),
                Regularization::noise(noise),
            )?;
            let difference = &train.covariance - &repeated.prediction.covariance;
            assert_within(difference.norm_max(), 0.0, bound, "training covariance");
            let loss = dynamics.expected_train_losses(targets().as_ref(), &[training])?[0];
            assert_relative(train.expected_loss(targets().as_ref())?, loss, bound, "expected loss");
        }
    }
    Ok(())
}

#[test]
fn limits_of_infinitely_many_steps_exist_or_are_refused() -> Result<(), TheoryError> {
    let [nngp, ntk] = kernels();
    let (nngp, ntk) = (parts(&nngp), parts(&ntk));
    let dynamics = KernelDynamics::new(ntk.train.as_ref(), nngp.train.as_ref())?.with_test(
        ntk.cross.as_ref(),
        nngp.cross.as_ref(),
        nngp.test.as_ref(),
    )?;
    let build = |kind: usize, learning_rate: f64, steps: u64| match kind {
        0 => Training::GradientDescent { learning_rate, steps },
        1 => Training::Momentum { learning_rate, beta: 0.6, steps },
        _ => Training::Nesterov { learning_rate, beta: 0.6, steps },
    };
    for kind in 0..3 {
        let stable = dynamics.stable_learning_rate(&build(kind, 1.0, 1));
        let (limit, long) = (build(kind, 0.9 * stable, Training::FOREVER), build(kind, 0.9 * stable, 20_000));
        assert!(limit.is_limit() && !long.is_limit());
        let (limit, long) = (
            dynamics.test_prediction(targets().as_ref(), &limit)?,
            dynamics.test_prediction(targets().as_ref(), &long)?,
        );
        let bound = round_off(1000) * dynamics.spectrum().condition_number();
        assert_within((limit.mean - long.mean).norm_max(), 0.0, bound, "mean");
        assert_within((limit.covariance - long.covariance).norm_max(), 0.0, bound, "covariance");
        let unstable = build(kind, 1.01 * stable, Training::FOREVER);
        let error = dynamics.test_prediction(targets().as_ref(), &unstable).unwrap_err();
        assert!(error.to_string().contains("no limit"), "{error}");
        assert!(dynamics.train_prediction(targets().as_ref(), &unstable).is_err());
        assert!(dynamics.expected_train_losses(targets().as_ref(), &[unstable]).is_err());
    }
    // A flat mode stays where it is, forever.
    let ones = mat![[1.0, 1.0], [1.0, 1.0]];
    let dynamics = KernelDynamics::new(ones.as_ref(), ones.as_ref())?;
    let forever = build(0, 0.5, Training::FOREVER);
    assert_eq!((forever.residual_factor(0.0), forever.residual_factor(1.0)), (1.0, 0.0));
    let outputs = dynamics.train_outputs(mat![[1.0], [0.0]].as_ref(), mat![[0.0], [0.0]].as_ref(), &forever)?;
    assert_within((outputs - mat![[0.5], [0.5]]).norm_max(), 0.0, round_off(10), "mean of the labels");
    Ok(())
}

#[test]
fn jitter_is_asked_for_and_repeated() -> Result<(), TheoryError> {
    // Two equal examples: singular without a diagonal.
    let ones = mat![[1.0, 1.0], [1.0, 1.0]];
    let posterior = |noise: f64, jitter: f64| {
        let regularization = Regularization { noise, jitter };
        let targets = mat![[1.0], [0.0]];
        gaussian_process_posterior(ones.as_ref(), ones.as_ref(), ones.as_ref(), targets.as_ref(), regularization)
    };
    assert!(matches!(posterior(0.0, 0.0), Err(TheoryError::Solve { .. })));
    let (noisy, jittered) = (posterior(0.5, 0.0)?, posterior(0.0, 0.5)?);
    assert_eq!((noisy.regularization.noise, noisy.regularization.jitter), (0.5, 0.0));
    assert_eq!((jittered.regularization.noise, jittered.regularization.jitter), (0.0, 0.5));
    assert_eq!(noisy.prediction, jittered.prediction);
    assert_eq!(noisy.log_evidence, jittered.log_evidence);
    assert!(noisy.spectrum.condition_number().is_infinite() && noisy.spectrum.rank() == 1);
    assert_within(noisy.spectrum.largest(), 2.0, round_off(10), "largest eigenvalue");
    assert_within(jittered.solved_condition_number(), 5.0, round_off(20), "condition number of what was solved");
    Ok(())
}

const PRIOR: InverseGamma = InverseGamma { shape: 2.0, scale: 3.0 };

#[test]
fn student_posterior_has_its_closed_form() -> Result<(), TheoryError> {
    // One example, by hand: K = 2, y = 1.5, k = 0.8, k_xx = 1.
    let posterior = student_t_posterior(
        mat![[2.0]].as_ref(),
        mat![[0.8]].as_ref(),
        mat![[1.0]].as_ref(),
        mat![[1.5]].as_ref(),
        PRIOR,
        Regularization::default(),
    )?;
    let beta = 1.5 * 1.5 / 2.0;
    assert_eq!(posterior.degrees_of_freedom, 5.0);
    assert_within(posterior.mean[(0, 0)], 0.6, round_off(10), "mean");
    assert_within(posterior.scale[(0, 0)], (6.0 + beta) / 5.0 * (1.0 - 0.32), round_off(10), "scale");
    let prediction = posterior.prediction().unwrap();
    assert_within(prediction.covariance[(0, 0)], (6.0 + beta) / 3.0 * 0.68, round_off(20), "variance");
    // E[s^2 | y] = (b + beta/2) / (a + m/2 - 1).
    assert_within(posterior.readout_variance.mean().unwrap(), (3.0 + beta / 2.0) / 1.5, round_off(10), "E[s^2|y]");
    // The prior of y is t with nu = 4 and squared scale (b/a) K = 3.
    let t = t_density(1.5 / 3.0_f64.sqrt(), 4.0) / 3.0_f64.sqrt();
    assert_within(posterior.log_evidence, t.ln(), round_off(100), "log evidence");
    let heavy = InverseGamma { shape: 0.4, scale: 1.0 };
    assert!(heavy.mean().is_none());
    Ok(())
}

/// Density of the t distribution, from the definition.
fn t_density(t: f64, nu: f64) -> f64 {
    let constant = libm::lgamma(0.5 * (nu + 1.0)) - libm::lgamma(0.5 * nu);
    constant.exp() / (nu * std::f64::consts::PI).sqrt() * (1.0 + t * t / nu).powf(-0.5 * (nu + 1.0))
}

#[test]
fn student_evidence_is_a_chain_of_predictions() -> Result<(), TheoryError> {
    // p(y_1, ..., y_m) = prod p(y_i | those before), each a t density: two ways to the evidence.
    let [nngp, _] = kernels();
    let (train, targets) = (parts(&nngp).train, targets());
    let regularization = Regularization::noise(0.1);
    let evidence = |size: usize| {
        let train = train.as_ref().get(..size, ..size);
        let targets = targets.as_ref().get(..size, ..);
        student_t_posterior(train, train, train, targets, PRIOR, regularization)
    };
    for size in 1..5 {
        let (before, after) = (evidence(size)?, evidence(size + 1)?);
        let next = student_t_posterior(
            train.as_ref().get(..size, ..size),
            train.as_ref().submatrix(size, 0, 1, size),
            train.as_ref().submatrix(size, size, 1, 1),
            targets.as_ref().get(..size, ..),
            PRIOR,
            regularization,
        )?;
        // The noise of the next target is scaled with s^2 as well.
        let noise = 0.1 * next.readout_variance.scale / next.readout_variance.shape;
        let width = (next.scale[(0, 0)] + noise).sqrt();
        let t = (targets[(size, 0)] - next.mean[(0, 0)]) / width;
        let expected = (t_density(t, next.degrees_of_freedom) / width).ln();
        assert_within(after.log_evidence - before.log_evidence, expected, round_off(1000), "one more target");
    }
    Ok(())
}

#[test]
fn student_process_with_a_known_scale_is_gaussian() -> Result<(), TheoryError> {
    let [nngp, _] = kernels();
    let parts = parts(&nngp);
    let targets = Mat::from_fn(5, 2, |i, o| ((2 * i + o) as f64).sin());
    // Shape and scale this large leave 1e-12 for the relative variance of s^2 around 1.
    let certain = InverseGamma { shape: 1e12, scale: 1e12 };
    let regularization = Regularization { noise: 0.05, jitter: 0.0 };
    let args = (parts.train.as_ref(), parts.cross.as_ref(), parts.test.as_ref());
    let student = student_t_posterior(args.0, args.1, args.2, targets.as_ref(), certain, regularization)?;
    let gaussian = gaussian_process_posterior(args.0, args.1, args.2, targets.as_ref(), regularization)?;
    assert_eq!(student.mean, gaussian.prediction.mean);
    assert_eq!(student.spectrum, gaussian.spectrum);
    assert_eq!(student.regularization, regularization);
    let difference = student.prediction().unwrap().covariance - gaussian.prediction.covariance;
    // beta is about 100 here.
    assert_within(difference.norm_max(), 0.0, 200.0 * 1e-12, "covariance");
    let error = InverseGamma { shape: 0.0, scale: 1.0 };
    assert!(student_t_posterior(args.0, args.1, args.2, targets.as_ref(), error, regularization).is_err());
    Ok(())
}

#[test]
fn readout_variance_agrees_with_importance_sampling_of_the_prior() -> Result<(), TheoryError> {
    let [nngp, _] = kernels();
    let parts = parts(&nngp);
    let (train, targets) = (parts.train, targets());
    let posterior = student_t_posterior(
        train.as_ref(),
        parts.cross.as_ref(),
        parts.test.as_ref(),
        targets.as_ref(),
        PRIOR,
        Regularization::default(),
    )?;
    // beta by another method: the log density of the Gaussian posterior at two scales of the kernel.
    let log_density = |s2: f64| -> Result<f64, TheoryError> {
        let scaled = &train * s2;
        let scaled = scaled.as_ref();
        let regularization = Regularization::default();
        Ok(gaussian_process_posterior(scaled, scaled, scaled, targets.as_ref(), regularization)?.log_evidence)
    };
    // ln N(y; 0, s^2 K) = const - (m/2) ln s^2 - beta / (2 s^2), from two of its values.
    let beta = 2.0 * 2.0 * (log_density(2.0)? - log_density(1.0)? + 2.5 * 2.0_f64.ln());
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let gamma = Gamma::new(PRIOR.shape, 1.0 / PRIOR.scale).unwrap();
    let draws: Vec<f64> = (0..400_000).map(|_| 1.0 / gamma.sample(&mut rng)).collect();
    let weights: Vec<f64> = draws.iter().map(|s2| s2.powf(-2.5) * (-0.5 * beta / s2).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mean = draws.iter().zip(&weights).map(|(s2, w)| s2 * w).sum::<f64>() / total;
    // Of a ratio of sums (the delta method).
    let variance: f64 = draws.iter().zip(&weights).map(|(s2, w)| (w * (s2 - mean)).powi(2)).sum();
    let expected = posterior.readout_variance.mean().unwrap();
    assert_within(mean, expected, sampling(variance.sqrt() / total), "E[s^2 | y]");
    assert!(variance.sqrt() / total < 0.01 * expected);
    Ok(())
}

#[test]
fn samples_of_the_posterior_follow_its_marginal() -> Result<(), TheoryError> {
    // Exact samples: s^2 from its posterior, then a Gaussian process given s^2.
    let [nngp, _] = kernels();
    let parts = parts(&nngp);
    let args = (parts.train.as_ref(), parts.cross.as_ref(), parts.test.as_ref());
    let posterior = student_t_posterior(args.0, args.1, args.2, targets().as_ref(), PRIOR, Regularization::default())?;
    let gaussian = gaussian_process_posterior(args.0, args.1, args.2, targets().as_ref(), Regularization::default())?;
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let InverseGamma { shape, scale } = posterior.readout_variance;
    let gamma = Gamma::new(shape, 1.0 / scale).unwrap();
    let distribution = StudentsT::new(0.0, 1.0, posterior.degrees_of_freedom).unwrap();
    let count = 50_000;
    for test in 0..3 {
        let (mean, variance) = (gaussian.prediction.mean[(test, 0)], gaussian.prediction.variances()[test]);
        let mut draws: Vec<f64> = (0..count)
            .map(|_| {
                let s2: f64 = 1.0 / gamma.sample(&mut rng);
                let z: f64 = StandardNormal.sample(&mut rng);
                mean + (s2 * variance).sqrt() * z
            })
            .collect();
        draws.sort_by(f64::total_cmp);
        let width = posterior.scale[(test, test)].sqrt();
        let cdf = |f: f64| distribution.cdf((f - posterior.mean[(test, 0)]) / width);
        assert!(kolmogorov_smirnov(&draws, cdf) > 1e-3, "test example {test}");
        // The test has power: a Gaussian of the same variance does not pass.
        let sigma = posterior.prediction().unwrap().variances()[test].sqrt();
        let normal = |f: f64| 0.5 * libm::erfc(-(f - mean) / sigma / std::f64::consts::SQRT_2);
        assert!(kolmogorov_smirnov(&draws, normal) < 1e-3, "test example {test}, Gaussian");
    }
    // And the t distribution itself, drawn as a ratio.
    let chi2 = ChiSquared::new(posterior.degrees_of_freedom).unwrap();
    let mut ratios: Vec<f64> = (0..count)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut rng);
            z / (chi2.sample(&mut rng) / posterior.degrees_of_freedom).sqrt()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(kolmogorov_smirnov(&ratios, |t| distribution.cdf(t)) > 1e-3);
    Ok(())
}

/// p-value of the Kolmogorov-Smirnov statistic of sorted draws, by the limit law `2 sum (-1)^(k-1) exp(-2 k^2 n D^2)`.
fn kolmogorov_smirnov(sorted: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let n = sorted.len() as f64;
    let gap = |(i, f): (usize, &f64)| {
        let expected = cdf(*f);
        ((i + 1) as f64 / n - expected).max(expected - i as f64 / n)
    };
    let distance = sorted.iter().enumerate().map(gap).fold(0.0, f64::max);
    let term =
        |k: i32| f64::from(if k % 2 == 1 { 2 } else { -2 }) * (-2.0 * f64::from(k * k) * n * distance.powi(2)).exp();
    (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0)
}
