use std::convert::Infallible;

use super::*;

fn matrix() -> Mat<f64> {
    Mat::from_fn(60, 60, |i, j| (-((i as f64 - j as f64) / 8.0).powi(2)).exp() * (1.0 + i as f64) * (1.0 + j as f64))
}

fn image(matrix: &Mat<f64>, vector: &[f64]) -> Vec<f64> {
    (0..matrix.nrows()).map(|i| (0..matrix.ncols()).map(|j| matrix[(i, j)] * vector[j]).sum()).collect()
}

#[test]
fn eigenpairs_are_those_of_the_dense_decomposition() {
    let matrix = matrix();
    let mut lanczos = Lanczos::new((0..60).map(|i| 1.0 + (i as f64).sin()).collect());
    while lanczos.steps() < 45 && lanczos.step(|v| Ok::<_, Infallible>(image(&matrix, v))).unwrap() {}
    let all = matrix.self_adjoint_eigen(Side::Lower).unwrap();
    let largest = all.S()[59];
    // The round-off of sixty additions at the size of the largest eigenvalue.
    let bound = 60.0 * 4.0 * f64::EPSILON * largest;
    for (k, pair) in lanczos.largest(5).iter().enumerate() {
        assert!((pair.value - all.S()[59 - k]).abs() <= bound, "{k}: {} against {}", pair.value, all.S()[59 - k]);
        let defect: f64 = image(&matrix, &pair.vector)
            .iter()
            .zip(&pair.vector)
            .map(|(image, v)| (image - pair.value * v).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!((defect - pair.residual).abs() <= bound, "{k}: {defect:e} against {:e}", pair.residual);
        assert_eq!(lanczos.estimates(5)[k], (pair.value, pair.residual));
    }
}

/// Orthogonal: reflections at three vectors, one after the other.
fn turned(eigenvalues: &[f64]) -> Mat<f64> {
    let n = eigenvalues.len();
    let mut q = Mat::<f64>::identity(n, n);
    for seed in 1..4 {
        let v: Vec<f64> = (0..n).map(|i| ((seed * (i + 2)) as f64 * 1.7).sin()).collect();
        let square = dot(&v, &v);
        q = Mat::from_fn(n, n, |i, j| {
            let along: f64 = (0..n).map(|k| q[(i, k)] * v[k]).sum();
            q[(i, j)] - 2.0 * along * v[j] / square
        });
    }
    Mat::from_fn(n, n, |i, j| (0..n).map(|k| q[(i, k)] * eigenvalues[k] * q[(j, k)]).sum())
}

/// Start vectors that are the same every time.
fn starts(size: usize) -> impl FnMut() -> Vec<f64> {
    let mut state = 1_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    move || (0..size).map(|_| next()).collect()
}

/// Held against the sorted list, with the residuals of the vectors as they are and their angles.
fn expect_largest(eigenvalues: &[f64], count: usize, tolerance: f64, vectors: usize, noise: f64) {
    let size = eigenvalues.len();
    let matrix = turned(eigenvalues);
    let mut sorted = eigenvalues.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let scale = sorted[0].abs().max(f64::MIN_POSITIVE);
    let single = |v: &[f64]| {
        let image = image(&matrix, v).into_iter().enumerate();
        Ok::<_, Infallible>(image.map(|(i, x)| x * (1.0 + noise * (i as f64 * 12.9898).sin())).collect())
    };
    let search = Search { size, count, tolerance, vectors };
    let found = largest_eigenpairs(&search, starts(size), single).unwrap();
    assert!(found.is_complete && found.pairs.len() == count.min(size), "{} of {count}", found.pairs.len());
    let bound = (tolerance + 10.0 * noise + 64.0 * f64::EPSILON * size as f64) * scale;
    for (k, pair) in found.pairs.iter().enumerate() {
        assert!((pair.value - sorted[k]).abs() <= bound, "{k}: {} against {}", pair.value, sorted[k]);
        let square: f64 =
            image(&matrix, &pair.vector).iter().zip(&pair.vector).map(|(a, v)| (a - pair.value * v).powi(2)).sum();
        assert!(square.sqrt() <= 2.0 * bound, "{k}: {:e}", square.sqrt());
        for (l, other) in found.pairs.iter().enumerate() {
            let expected = if k == l { 1.0 } else { 0.0 };
            assert!((dot(&pair.vector, &other.vector) - expected).abs() < 1e-9, "{k}, {l}");
        }
    }
}

/// Spectra with repetitions, each in double precision and with products that are wrong in the seventh digit.
fn expect_in_both_precisions(eigenvalues: &[f64], count: usize, vectors: usize) {
    expect_largest(eigenvalues, count, 1e-10, vectors, 0.0);
    expect_largest(eigenvalues, count, 1e-5, vectors, 1e-7);
}

#[test]
fn repeated_eigenvalues_are_found_as_often_as_they_are_there() {
    // K (x) I: every eigenvalue ten times.
    let distinct: Vec<f64> = (0..8).map(|k| 0.6_f64.powi(k)).collect();
    let tenfold: Vec<f64> = (0..80).map(|k| distinct[k / 10]).collect();
    for count in [1, 3, 10, 11, 30, 79, 80, 200] {
        expect_in_both_precisions(&tenfold, count, 400);
    }
    // A second copy that is not the largest, among simple ones, and more rows than vectors may be held.
    let mut mixed: Vec<f64> = (0..150).map(|k| 2.0 / (1.0 + k as f64)).collect();
    mixed.extend([0.5, 0.5, 0.4, 0.4, 0.2]);
    expect_in_both_precisions(&mixed, 12, 60);
}

#[test]
fn the_identity_a_low_rank_and_zero_have_all_their_eigenvalues() {
    for vectors in [20, 400] {
        expect_in_both_precisions(&[1.0; 90], 7, vectors);
        expect_in_both_precisions(&[0.0; 70], 5, vectors);
        // More are wanted than there are above zero.
        let low: Vec<f64> = (0..70).map(|k| if k < 4 { 3.0 - (k / 2) as f64 } else { 0.0 }).collect();
        expect_in_both_precisions(&low, 9, vectors);
    }
}

#[test]
fn clusters_are_found_whole() {
    let cluster: Vec<f64> =
        (0..100).map(|k| if k < 6 { 1.0 + 1e-12 * k as f64 } else { 0.9 - 0.008 * (k - 6) as f64 }).collect();
    for count in [3, 6, 8] {
        expect_in_both_precisions(&cluster, count, 50);
    }
}

#[test]
fn a_search_that_gives_up_says_so() {
    let matrix = turned(&(0..40).map(f64::from).collect::<Vec<_>>());
    // Asks for residuals that rounding does not allow.
    let search = Search { size: 40, count: 2, tolerance: 1e-30, vectors: 20 };
    let found = largest_eigenpairs(&search, starts(40), |v| Ok::<_, Infallible>(image(&matrix, v))).unwrap();
    assert!(!found.is_complete && found.products == PRODUCTS_PER_VECTOR * search.room());
}

#[test]
fn an_invariant_space_ends_the_iteration() {
    let mut lanczos = Lanczos::new(vec![1.0, 1.0, 0.0]);
    let twice = |v: &[f64]| Ok::<_, Infallible>(v.iter().map(|x| 2.0 * x).collect());
    assert!(lanczos.step(twice).unwrap());
    assert!(!lanczos.step(twice).unwrap());
    let [smallest, largest] = lanczos.extremes().unwrap();
    assert!((smallest - 2.0).abs() < 8.0 * f64::EPSILON && smallest == largest);
}
