//! Large kernel regression against plain `f64` algebra, on kernels small enough for both.

use faer::{Mat, MatMut, MatRef, Side};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use widthwise_testing::{assert_within, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::regression::{
    JitterSearch, KernelOperator, KernelStore, RegressionError, RidgeOptions, StopReason, solve_directly,
};

/// Rounding of one number in single precision.
const SINGLE: f64 = f32::EPSILON as f64;

/// Eigenvalues from 1 down to `smallest`, equally spaced in their logarithms.
fn kernel(size: usize, smallest: f64) -> Mat<f64> {
    with_spectrum(size, |j| smallest.powf(j as f64 / (size - 1) as f64))
}

/// Random eigenvectors and the given eigenvalues.
fn with_spectrum(size: usize, eigenvalue: impl Fn(usize) -> f64) -> Mat<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let random: Mat<f64> = Mat::from_fn(size, size, |_, _| StandardNormal.sample(&mut rng));
    let basis: Mat<f64> = random.qr().compute_Q();
    let scaled = Mat::from_fn(size, size, |i, j| basis[(i, j)] * eigenvalue(j));
    let product = &scaled * basis.transpose();
    Mat::from_fn(size, size, |i, j| 0.5 * (product[(i, j)] + product[(j, i)]))
}

fn targets(size: usize) -> Mat<f64> {
    Mat::from_fn(size, 3, |i, o| ((i * (o + 2)) as f64).sin() + o as f64)
}

fn stored(kernel: &Mat<f64>, tile_size: usize) -> Result<KernelStore, RegressionError> {
    let mut store = KernelStore::new(kernel.nrows())?;
    store.fill(tile_size, |rows, columns, mut tile| {
        assert!(rows.start <= columns.start && rows.len() <= tile_size && columns.len() <= tile_size);
        tile.copy_from(kernel.submatrix(rows.start, columns.start, rows.len(), columns.len()));
        Ok(())
    })?;
    Ok(store)
}

/// The kernel that a store holds, in `f64`.
fn read_back(store: &KernelStore) -> Mat<f64> {
    Mat::from_fn(store.examples(), store.examples(), |i, j| store.entry(i, j))
}

fn largest_column(matrix: &Mat<f64>) -> f64 {
    (0..matrix.ncols()).map(|o| matrix.col(o).norm_l2()).fold(0.0, f64::max)
}

#[test]
fn kernel_keeps_its_entries_through_every_tiling_and_the_factorization() -> Result<(), RegressionError> {
    let kernel = kernel(300, 1e-3);
    for tile_size in [1, 7, 64, 300, 1000] {
        let mut store = stored(&kernel, tile_size)?;
        let before = read_back(&store);
        assert!((0..300).all(|j| (0..300).all(|i| before[(i, j)] == f64::from(kernel[(i, j)] as f32) || i == j)));
        assert!((0..300).all(|i| store.diagonal()[i] == kernel[(i, i)]));
        store.factor(&JitterSearch { start: 1e-4, tries: 1 })?;
        assert_eq!(read_back(&store), before);
    }
    Ok(())
}

#[test]
fn factor_squares_to_the_kernel_with_jitter() -> Result<(), RegressionError> {
    // Three panels, the last of them short, with several tasks below the first.
    let size = 1000;
    let kernel = kernel(size, 1e-3);
    let mut store = stored(&kernel, 256)?;
    let expected = read_back(&store);
    let factored = store.factor(&JitterSearch { start: 1e-2, tries: 1 })?;
    let factor = Mat::from_fn(size, size, |i, j| factored.factor_entry(i, j));
    let difference = &factor * factor.transpose() - &expected;
    let diagonal = (0..size).map(|i| expected[(i, i)]).fold(0.0, f64::max) + 1e-2;
    for j in 0..size {
        for i in 0..size {
            let jitter = if i == j { 1e-2 } else { 0.0 };
            // Columnwise bound of Higham, "Accuracy and stability of numerical algorithms", theorem 10.3; sums of random sign
            // grow like the root of their length.
            assert_within(difference[(i, j)], jitter, (size as f64).sqrt() * SINGLE * diagonal, "L L^T");
        }
    }
    let determinant: f64 = {
        let mut matrix = expected.clone();
        (0..size).for_each(|i| matrix[(i, i)] += 1e-2);
        matrix.llt(Side::Lower).unwrap().L().diagonal().column_vector().iter().map(|l| 2.0 * l.ln()).sum()
    };
    // Every eigenvalue is at least the jitter, so its logarithm moves by the rounding over the jitter.
    let bound = size as f64 * (size as f64).sqrt() * SINGLE * diagonal / 1e-2;
    assert_within(factored.log_determinant(), determinant, bound, "log determinant");
    Ok(())
}

#[test]
fn solution_equals_the_double_precision_one_at_condition_number_1e8() -> Result<(), RegressionError> {
    for size in [300, 700] {
        let mut store = stored(&kernel(size, 1e-8), 128)?;
        let kernel = read_back(&store);
        let targets = targets(size);
        // Rounding to f32 has moved the small eigenvalues; the ridge sets the smallest.
        let spectrum = solve_directly(kernel.as_ref(), targets.as_ref(), 1e-3, 0.0)?.spectrum;
        let ridge = 1e-8 * spectrum.largest() - spectrum.smallest();
        assert!(ridge > 0.0);
        let oracle = solve_directly(kernel.as_ref(), targets.as_ref(), ridge, 0.0)?;
        let factored = store.factor(&JitterSearch { start: 1e-6, tries: 1 })?;
        let options = RidgeOptions { ridge, tolerance: 1e-7, ..RidgeOptions::default() };
        let solution = factored.solve(targets.as_ref(), &options, None)?;
        assert_eq!(solution.end, StopReason::Converged);
        assert!(solution.residuals.iter().all(|residual| *residual <= 1e-7), "{:?}", solution.residuals);
        // The stated residuals are the true ones.
        let mut matrix = kernel.clone();
        (0..size).for_each(|i| matrix[(i, i)] += ridge);
        let error = &targets - &matrix * &solution.weights;
        for o in 0..3 {
            let residual = error.col(o).norm_l2() / targets.col(o).norm_l2();
            let rounding = round_off(size) * solution.weights.col(o).norm_l2() / targets.col(o).norm_l2();
            assert_within(residual, solution.residuals[o], rounding, "residual");
        }
        // Error of a solution: residual over the smallest eigenvalue, for both.
        let both = 1e-7 + oracle.residuals.iter().fold(0.0_f64, |a, b| a.max(*b));
        let bound = both * largest_column(&targets) / (1e-8 * spectrum.largest());
        assert_within(largest_column(&(&solution.weights - &oracle.weights)), 0.0, bound, "weights");
        assert!(bound < 1e-3 * largest_column(&oracle.weights), "the bound says something");
        assert!(solution.jitter > ridge, "the preconditioner is of another matrix");
    }
    Ok(())
}

#[test]
fn jitter_grows_by_ten_and_every_try_is_reported() {
    let mut store = stored(&kernel(400, 1e-12), 100).unwrap();
    let search = JitterSearch { start: 1e-11, tries: 12 };
    let factored = store.factor(&search).unwrap();
    let tries = factored.tries().to_vec();
    assert!(tries.len() > 2 && factored.jitter() == tries[tries.len() - 1].jitter);
    for (index, try_) in tries.iter().enumerate() {
        assert_within(try_.jitter / 1e-11, 10_f64.powi(index as i32), round_off(20) * 1e12, "jitter");
        assert_eq!(try_.failed_pivot.is_some(), index + 1 < tries.len());
        assert!(try_.failed_pivot.is_none_or(|pivot| pivot < 400));
    }
    // Without jitter there is nothing to grow from; a try too few says so.
    let error = store.factor(&JitterSearch { start: 0.0, tries: 5 }).unwrap_err();
    assert!(matches!(error, RegressionError::NotPositiveDefinite { tries } if tries.len() == 1));
    let error = store.factor(&JitterSearch { start: 1e-11, tries: tries.len() - 1 }).unwrap_err();
    assert!(error.to_string().contains("1e-11"), "{error}");
}

struct Exact(Mat<f64>);

impl KernelOperator for Exact {
    fn examples(&self) -> usize {
        self.0.nrows()
    }

    fn multiply(&self, vectors: MatRef<'_, f64>, mut product: MatMut<'_, f64>) -> Result<(), RegressionError> {
        product.copy_from(&self.0 * vectors);
        Ok(())
    }
}

#[test]
fn refinement_reaches_the_solution_of_the_exact_kernel() -> Result<(), RegressionError> {
    let size = 500;
    let kernel = kernel(size, 1e-3);
    let targets = targets(size);
    let oracle = solve_directly(kernel.as_ref(), targets.as_ref(), 1e-4, 0.0)?;
    let mut store = stored(&kernel, 256)?;
    let factored = store.factor(&JitterSearch { start: 1e-3, tries: 1 })?;
    let options = RidgeOptions { ridge: 1e-4, tolerance: 1e-11, ..RidgeOptions::default() };
    let exact = Exact(kernel);
    let stored_only =
        factored.solve(targets.as_ref(), &RidgeOptions { max_refinements: 0, ..options }, Some(&exact))?;
    assert_eq!((stored_only.end, stored_only.refinements), (StopReason::RefinementLimit, 0));
    let solution = factored.solve(targets.as_ref(), &options, Some(&exact))?;
    let residuals = solution.exact_residuals.clone().unwrap();
    assert_eq!(solution.end, StopReason::Converged);
    assert!(solution.refinements > 0 && residuals.iter().all(|residual| *residual <= 1e-11), "{residuals:?}");
    let bound = 2e-11 * largest_column(&targets) / (1e-3 + 1e-4);
    assert_within(largest_column(&(&solution.weights - &oracle.weights)), 0.0, bound, "weights");
    let without = largest_column(&(&stored_only.weights - &oracle.weights));
    assert!(without > bound, "rounding the kernel to f32 is visible: {without:e}");
    Ok(())
}

#[test]
fn threads_change_no_bit() {
    let (kernel, targets) = (kernel(900, 1e-6), targets(900));
    let solve = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut store = stored(&kernel, 100).unwrap();
            let factored = store.factor(&JitterSearch { start: 1e-5, tries: 4 }).unwrap();
            let options = RidgeOptions { ridge: 1e-6, ..RidgeOptions::default() };
            factored.solve(targets.as_ref(), &options, None).unwrap()
        })
    };
    let (one, three) = (solve(1), solve(3));
    assert_eq!(one.weights, three.weights);
    assert_eq!((one.iterations, one.spectrum), (three.iterations, three.spectrum));
}

#[test]
fn spectrum_is_estimated_from_the_right_sides() -> Result<(), RegressionError> {
    let size = 600;
    // One small eigenvalue apart from the others, which the iteration must find.
    let kernel = with_spectrum(size, |j| if j == 0 { 1e-4 } else { 0.01_f64.powf(j as f64 / (size - 1) as f64) });
    let targets = targets(size);
    let mut store = stored(&kernel, 256)?;
    let truth = solve_directly(read_back(&store).as_ref(), targets.as_ref(), 1e-5, 0.0)?.spectrum;
    let (smallest, largest) = (truth.smallest() + 1e-5, truth.largest() + 1e-5);
    let factored = store.factor(&JitterSearch { start: 1e-2, tries: 1 })?;
    let options = RidgeOptions { ridge: 1e-5, tolerance: 1e-10, ..RidgeOptions::default() };
    let solution = factored.solve(targets.as_ref(), &options, None)?;
    let spectrum = solution.spectrum;
    let (found_largest, bound) = (spectrum.largest.unwrap(), spectrum.smallest_bound.unwrap());
    assert!(found_largest <= largest * (1.0 + round_off(size)) && found_largest > 0.9 * largest, "{spectrum:?}");
    assert!(bound >= smallest * (1.0 - round_off(size) * largest / smallest), "{spectrum:?}");
    // The preconditioned eigenvalues are (lambda + ridge) / (lambda + jitter); the factor's rounding moves lambda + jitter by
    // sqrt(N) eps at most.
    let rounding = (size as f64).sqrt() * SINGLE / 1e-2;
    let mu = smallest / (truth.smallest() + 1e-2);
    assert_within(spectrum.preconditioned_smallest.unwrap() / mu, 1.0, rounding + 1e-6, "smallest Ritz value");
    assert_within(
        spectrum.smallest_from_iteration.unwrap() / smallest,
        1.0,
        2.0 * rounding + 1e-6,
        "smallest eigenvalue",
    );
    let condition = spectrum.condition_number().unwrap();
    assert!(condition > 0.9 * largest / smallest && condition < 1.1 * largest / smallest, "{condition}");
    // With jitter below ridge the other end of the preconditioned spectrum is the small eigenvalues.
    let factored = store.factor(&JitterSearch { start: 1e-3, tries: 1 })?;
    let options = RidgeOptions { ridge: 1e-2, tolerance: 1e-12, ..options };
    let spectrum = factored.solve(targets.as_ref(), &options, None)?.spectrum;
    let expected = truth.smallest() + 1e-2;
    let rounding = (size as f64).sqrt() * SINGLE / 1e-3;
    assert_within(spectrum.smallest_from_iteration.unwrap() / expected, 1.0, rounding + 1e-4, "jitter below ridge");
    let quiet = RidgeOptions { estimate_spectrum: false, ..options };
    let spectrum = factored.solve(targets.as_ref(), &quiet, None)?.spectrum;
    assert!(spectrum.largest.is_none() && spectrum.smallest_bound.is_none() && spectrum.smallest().is_some());
    Ok(())
}

#[test]
fn every_end_is_told() -> Result<(), RegressionError> {
    let size = 300;
    let targets = targets(size);
    let mut store = stored(&kernel(size, 1e-8), 64)?;
    let factored = store.factor(&JitterSearch { start: 1e-3, tries: 1 })?;
    let few = RidgeOptions { ridge: 1e-8, max_iterations: 3, ..RidgeOptions::default() };
    let solution = factored.solve(targets.as_ref(), &few, None)?;
    assert_eq!((solution.end, solution.iterations), (StopReason::IterationLimit, 3));
    assert!(solution.residuals.iter().any(|residual| *residual > few.tolerance));
    // No f64 residual is as small as this.
    let impossible = RidgeOptions { ridge: 1e-3, tolerance: 1e-18, ..RidgeOptions::default() };
    assert_eq!(factored.solve(targets.as_ref(), &impossible, None)?.end, StopReason::Stagnated);
    // A zero target is solved by zero next to one that is not.
    let half = Mat::from_fn(size, 2, |i, o| if o == 0 { 0.0 } else { targets[(i, 0)] });
    let solution = factored.solve(half.as_ref(), &RidgeOptions { ridge: 1e-3, ..few }, None)?;
    assert_eq!((solution.weights.col(0).norm_max(), solution.residuals[0]), (0.0, 0.0));
    assert_eq!(solution.end, StopReason::Converged);
    // Jitter makes an indefinite kernel factorable, not solvable.
    let mut indefinite = kernel(size, 1e-8);
    (0..size).for_each(|i| indefinite[(i, i)] -= 1e-3);
    let mut store = stored(&indefinite, 64)?;
    let factored = store.factor(&JitterSearch { start: 1e-2, tries: 1 })?;
    assert_eq!(factored.solve(targets.as_ref(), &RidgeOptions::default(), None)?.end, StopReason::Indefinite);
    Ok(())
}

#[test]
fn wrong_questions_are_refused() {
    assert!(matches!(KernelStore::new(0), Err(RegressionError::Option { .. })));
    assert!(matches!(KernelStore::new(usize::MAX / 2), Err(RegressionError::Memory { .. })));
    let mut store = KernelStore::new(4).unwrap();
    let error = store.fill(2, |_, columns, mut tile| {
        tile.fill(if columns.start == 2 { 1e39 } else { 1.0 });
        Ok(())
    });
    assert!(matches!(error, Err(RegressionError::NotFinite { row: 0, column: 2, .. })), "{error:?}");
    let refused = TheoryError::NoPrediction { reason: "no kernel".into() };
    let error = store.fill(2, |_, _, _| Err(refused.clone()));
    assert_eq!(error, Err(RegressionError::Theory(refused)));
    assert!(matches!(store.fill(0, |_, _, _| Ok(())), Err(RegressionError::Option { what: "tile_size", .. })));
    let mut store = stored(&kernel(5, 0.1), 5).unwrap();
    assert!(store.factor(&JitterSearch { start: -1.0, tries: 1 }).is_err());
    assert!(store.factor(&JitterSearch { start: 1.0, tries: 0 }).is_err());
    let factored = store.factor(&JitterSearch { start: 1e-3, tries: 1 }).unwrap();
    let zeros = |size: usize| Mat::zeros(size, 1);
    assert!(factored.solve(zeros(4).as_ref(), &RidgeOptions::default(), None).is_err());
    let negative = RidgeOptions { ridge: -1.0, ..RidgeOptions::default() };
    assert!(factored.solve(zeros(5).as_ref(), &negative, None).is_err());
    let small = Exact(zeros(1));
    assert!(factored.solve(zeros(5).as_ref(), &RidgeOptions::default(), Some(&small)).is_err());
}

#[test]
fn direct_solution_multiplies_back() -> Result<(), RegressionError> {
    let (kernel, targets) = (kernel(200, 1e-4), targets(200));
    let solution = solve_directly(kernel.as_ref(), targets.as_ref(), 1e-3, 1e-5)?;
    let product = &kernel * &solution.weights + &solution.weights * (1e-3 + 1e-5);
    assert_within((product - &targets).norm_max(), 0.0, round_off(200) * largest_column(&solution.weights), "product");
    assert_within(solution.spectrum.smallest(), 1e-4, round_off(200), "smallest eigenvalue");
    assert_within(solution.spectrum.condition_number(), 1e4, 1e8 * round_off(200), "condition number");
    assert_eq!((solution.ridge, solution.jitter), (1e-3, 1e-5));
    let error = solve_directly((&kernel * -1.0).as_ref(), targets.as_ref(), 0.0, 0.0);
    assert!(matches!(error, Err(RegressionError::Theory(TheoryError::Solve { .. }))));
    Ok(())
}
