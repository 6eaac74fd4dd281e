//! Rows of pairs against single pairs, approximations against libm, and the speed of both.

use std::hint::black_box;
use std::time::Instant;

use proptest::prelude::*;

use super::Dual;
use super::closed_form::{ClosedForm, GaussianPair, Visitor};
use super::near::NearPair;
use super::real::{Lane, Real};
use super::slice::{FirstGaussians, Variances};
use super::table::{FirstColumn, SeriesPair, SeriesTable};
use crate::activation::{Activation, Expression, Parity, one_of_each};

fn closed_forms() -> Vec<Activation> {
    vec![
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Abs,
        Activation::Erf,
        Activation::Gelu,
        Activation::Sin { frequency: 1.5, phase: 0.3 },
        Activation::Cos { frequency: 1.0, phase: 0.0 },
        Activation::Gaussian,
        Activation::Exp,
        Activation::Rbf { gamma: 0.4 },
        Activation::Sign,
    ]
}

fn series() -> Vec<Activation> {
    let coefficients = vec![0.3, -0.7, 0.2, 0.1];
    vec![
        Activation::Tanh,
        Activation::Silu,
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::Polynomial { coefficients },
    ]
}

#[test]
fn every_activation_is_tested_by_closed_form_or_series() {
    let listed: Vec<Activation> = closed_forms().into_iter().chain(series()).collect();
    for phi in one_of_each().unwrap() {
        // Polynomials again, and formulas that have a test of their own.
        let is_elsewhere = matches!(phi, Activation::Hermite { .. } | Activation::Expression { .. });
        assert!(is_elsewhere || listed.iter().any(|other| other.name() == phi.name()), "{phi:?}");
    }
}

/// Distance in units of the last digit of `exact`, rounded to the type of that digit.
fn ulps(found: f64, exact: f64, epsilon: f64) -> f64 {
    let digit = epsilon * exact.abs().log2().floor().exp2();
    (found - exact).abs() / digit
}

#[test]
fn approximations_keep_their_stated_errors() {
    let count = 400_000;
    let mut worst = [0.0_f64; 8];
    let mut note = |index: usize, error: f64| worst[index] = worst[index].max(error);
    for i in 0..count {
        let share = (f64::from(i) + 0.37) / f64::from(count);
        let turn = share * std::f64::consts::PI;
        let (y, x) = (3.0 * turn.sin(), 3.0 * turn.cos());
        let (exact, radius) = (y.atan2(x), x.hypot(y));
        note(0, ulps(Lane::<f64, true>(y).angle(Lane(x), Lane(radius)).0, exact, f64::EPSILON));
        note(1, ulps(Lane::<f64, false>(y).angle(Lane(x), Lane(radius)).0, exact, f64::EPSILON));
        let (y, x) = (y as f32, x as f32);
        let exact = f64::from(y).atan2(f64::from(x));
        let found = Lane::<f32, true>(y).angle(Lane(x), Lane(f64::from(x).hypot(f64::from(y)) as f32)).0;
        note(2, ulps(f64::from(found), exact, f64::from(f32::EPSILON)));
        let tangent = (turn - std::f64::consts::FRAC_PI_2).tan();
        note(3, ulps(Lane::<f64, true>(tangent).slope_angle(Lane(1.0)).0, tangent.atan(), f64::EPSILON));
        let found = Lane::<f32, true>(tangent as f32).slope_angle(Lane(1.0)).0;
        note(4, ulps(f64::from(found), f64::from(tangent as f32).atan(), f64::from(f32::EPSILON)));
        let power = 1400.0 * share - 700.0;
        note(5, ulps(Lane::<f64, true>(power).exp().0, power.exp(), f64::EPSILON));
        note(6, ulps(Lane::<f64, false>(power).exp().0, power.exp(), f64::EPSILON));
        let power = (160.0 * share - 80.0) as f32;
        note(7, ulps(f64::from(Lane::<f32, true>(power).exp().0), f64::from(power).exp(), f64::from(f32::EPSILON)));
    }
    println!("{worst:?}");
    let stated = [3.0, 3.0, 2.6, 2.0, 2.1, 1.0, 1.0, 1.1];
    for (found, stated) in worst.iter().zip(stated) {
        assert!(*found <= stated, "{worst:?} instead of at most {stated:?}");
    }
}

#[test]
fn exponentials_end_well() {
    let double = |x: f64| Lane::<f64, true>(x).exp().0;
    let single = |x: f32| Lane::<f32, true>(x).exp().0;
    assert_eq!([double(-1e300), double(f64::NEG_INFINITY), double(0.0), double(710.0)], [0.0, 0.0, 1.0, f64::INFINITY]);
    assert_eq!([single(-1e30), single(f32::NEG_INFINITY), single(0.0), single(89.0)], [0.0, 0.0, 1.0, f32::INFINITY]);
    assert!(double(f64::NAN).is_nan() && single(f32::NAN).is_nan());
}

/// The closed form with libm, from the same rounded `sqrt(ab)`.
struct Plain(GaussianPair<f64>);

impl Visitor for Plain {
    type Output = [f64; 2];

    fn visit(self, form: impl ClosedForm) -> [f64; 2] {
        form.dual(self.0)
    }
}

/// A row of pairs: variances of the second Gaussians and covariances.
fn row(a: f64, pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let variances: Vec<f64> = pairs.iter().map(|(b, _)| *b).collect();
    let roots: Vec<f64> = variances.iter().map(|b| b.sqrt()).collect();
    let covariances = pairs.iter().zip(&roots).map(|((_, rho), root)| rho * a.sqrt() * root).collect();
    (variances, roots, covariances)
}

/// Correlations with the hard ones among them.
fn correlations() -> impl Strategy<Value = f64> {
    prop_oneof![-1.0..=1.0, Just(1.0), Just(-1.0), Just(0.0), (1.0..15.0).prop_map(|d: f64| 1.0 - 10.0_f64.powf(-d))]
}

/// Variances with zero among them.
fn variances() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.01..6.0, 1 => Just(0.0)]
}

proptest! {
    #[test]
    fn rows_equal_single_pairs(a in variances(), pairs in prop::collection::vec((variances(), correlations()), 0..70)) {
        let (b, roots, start) = row(a, &pairs);
        let second = Variances { variances: &b, roots: &roots };
        let (all_a, all_roots) = (vec![a; b.len()], vec![a.sqrt(); b.len()]);
        for phi in closed_forms() {
            let (mut c, mut t) = (start.clone(), vec![3.0; b.len()]);
            let first = FirstGaussians::One { variance: a, root: a.sqrt() };
            prop_assert!(phi.dual_slice(first, second, &mut c, &mut t));
            let (mut each_c, mut each_t) = (start.clone(), vec![3.0; b.len()]);
            let first = FirstGaussians::Each(Variances { variances: &all_a, roots: &all_roots });
            prop_assert!(phi.dual_slice(first, second, &mut each_c, &mut each_t));
            prop_assert_eq!((&c, &t), (&each_c, &each_t));
            let first = FirstGaussians::One { variance: a as f32, root: a.sqrt() as f32 };
            let single = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
            let (b_single, roots_single) = (single(&b), single(&roots));
            let second_single = Variances { variances: &b_single, roots: &roots_single };
            let (mut c_single, mut t_single) = (single(&start), vec![3.0_f32; b.len()]);
            prop_assert!(phi.dual_slice(first, second_single, &mut c_single, &mut t_single));
            for i in 0..b.len() {
                let pair = GaussianPair { a, c: start[i], b: b[i], root: a.sqrt() * roots[i] };
                let Some([value, derivative]) = phi.visit(Plain(pair)) else { panic!("{phi:?}") };
                // A few roundings of the largest intermediate number.
                let size = 1.0 + a + b[i] + value.abs();
                let slope_size = size + derivative.abs();
                prop_assert!((c[i] - value).abs() <= 8.0 * f64::EPSILON * size, "{phi:?} {pair:?}: {} {value}", c[i]);
                prop_assert!((t[i] - 3.0 * derivative).abs() <= 24.0 * f64::EPSILON * slope_size, "{phi:?} {pair:?}");
                // In f32 too, but that angles near rho = 1 are the square root of what rounding does to 1 - rho.
                let rounding = f64::from(f32::EPSILON);
                let [bound, slope_bound] = match phi {
                    Activation::Sign => [8.0 * rounding.sqrt(), f64::INFINITY],
                    _ if phi.negative_slope().is_some() => [40.0 * rounding, 24.0 * rounding.sqrt()],
                    _ => [40.0 * rounding, 120.0 * rounding],
                };
                prop_assert!((f64::from(c_single[i]) - value).abs() <= bound * size, "{phi:?} {pair:?}");
                prop_assert!((f64::from(t_single[i]) - 3.0 * derivative).abs() <= slope_bound * slope_size, "{phi:?} {pair:?}");
            }
        }
    }

    #[test]
    fn an_odd_or_even_function_keeps_its_parity_to_the_last_bit(
        a in variances(),
        pairs in prop::collection::vec((variances(), correlations()), 1..40),
    ) {
        let (b, roots, start) = row(a, &pairs);
        let opposite: Vec<f64> = start.iter().map(|c| -c).collect();
        let second = Variances { variances: &b, roots: &roots };
        let wave = Activation::Sin { frequency: 1.5, phase: 0.0 };
        for phi in closed_forms().into_iter().chain([wave, Activation::Tanh]) {
            let sign = match phi.parity() {
                Parity::Odd => 1.0,
                Parity::Even => -1.0,
                Parity::Neither => continue,
            };
            let both = [&start, &opposite].map(|start| {
                let (mut c, mut t) = (start.clone(), vec![1.0; b.len()]);
                if !phi.dual_slice(FirstGaussians::One { variance: a, root: a.sqrt() }, second, &mut c, &mut t) {
                    let (left, right) = (SeriesTable::new(&phi, &[a]), SeriesTable::new(&phi, &b));
                    phi.dual_table(SeriesPair::new(&left, &right), FirstColumn::One(0), 0, &mut c, &mut t);
                }
                (c, t)
            });
            for i in 0..b.len() {
                let [found, mirrored] = [&both[0], &both[1]].map(|(c, t)| [c[i], t[i]]);
                // A variance of zero has no sides: a convention stands for Vd.
                if a > 0.0 && b[i] > 0.0 && start[i] != 0.0 {
                    prop_assert_eq!(mirrored, [-sign * found[0], sign * found[1]], "{:?} {}", phi, start[i]);
                    let [one, other] = [start[i], -start[i]].map(|c| phi.dual_pair(a, c, b[i]));
                    prop_assert_eq!([other.value, other.derivative], [-sign * one.value, sign * one.derivative]);
                }
            }
        }
    }

    #[test]
    fn rows_of_series_equal_single_pairs(a in variances(), pairs in prop::collection::vec((variances(), correlations()), 1..70)) {
        let (b, _, start) = row(a, &pairs);
        for phi in series() {
            let (left, right) = (SeriesTable::new(&phi, &vec![a; b.len()]), SeriesTable::new(&phi, &b));
            let pair = SeriesPair::new(&left, &right);
            let (mut c, mut t) = (start.clone(), vec![3.0; b.len()]);
            phi.dual_table(pair, FirstColumn::One(0), 0, &mut c, &mut t);
            let (mut each_c, mut each_t) = (start.clone(), vec![3.0_f32; b.len()]);
            let mut stored: Vec<f32> = start.iter().map(|c| *c as f32).collect();
            phi.dual_table(pair, FirstColumn::From(0), 0, &mut each_c, &mut vec![1.0; b.len()]);
            phi.dual_table(pair, FirstColumn::From(0), 0, &mut stored, &mut each_t);
            let series_a = phi.hermite_series(a);
            for i in 0..b.len() {
                let Dual { value, derivative } = phi.dual_in_series((&series_a, a), start[i], (&phi.hermite_series(b[i]), b[i]));
                let bound = 40.0 * f64::EPSILON * (1.0 + a + b[i]).powi(3);
                prop_assert!((c[i] - value).abs() <= bound, "{phi:?} {i}: {} {value}", c[i]);
                prop_assert!((t[i] - 3.0 * derivative).abs() <= 3.0 * bound, "{phi:?} {i}: {} {derivative}", t[i]);
                prop_assert!((each_c[i] - value).abs() <= bound, "{phi:?} {i}: {} {value}", each_c[i]);
                // Half a unit of the last digit each for the covariance before and after.
                let single = 2.0 * f64::from(f32::EPSILON) * (1.0 + a + b[i]).powi(3);
                prop_assert!((f64::from(stored[i]) - value).abs() <= single, "{phi:?} {i}");
                prop_assert!((f64::from(each_t[i]) - 3.0 * derivative).abs() <= 3.0 * single, "{phi:?} {i}");
            }
        }
    }
}

/// Nanoseconds a pair, best of some rounds.
/// Near pairs of either sign, of equal norms, comparable ones and others.
fn near_pairs() -> impl Iterator<Item = NearPair> {
    let roots = [[1.3, 1.3], [1.3, 1.301], [0.2, 2.0]];
    let pairs = roots.into_iter().flat_map(|roots| {
        [0.0, 1e-12, 1e-5, 0.02].map(|complement| NearPair::new(roots, roots[0] - roots[1], complement))
    });
    pairs.flat_map(|pair| [pair, NearPair { sign: -1.0, ..pair }])
}

#[test]
fn near_pairs_of_formulas_are_those_of_their_members() {
    let formula = |text: &str| Activation::Expression { formula: Expression::parse(text).unwrap() };
    let known = [
        ("max(x, 0)", Activation::Relu),
        ("x - 0.75*min(x, 0)", Activation::LeakyRelu { slope: 0.25 }),
        ("sin(2*x + 0.25)", Activation::Sin { frequency: 2.0, phase: 0.25 }),
        ("erf(x)", Activation::Erf),
    ];
    for (text, member) in known {
        for pair in near_pairs() {
            assert_eq!(formula(text).near_dual(&pair, None), member.near_dual(&pair, None), "{text} {pair:?}");
        }
    }
    // A factor is the norms' alone.
    for pair in near_pairs() {
        let (found, of_one) = (formula("-3*max(x, 0)").near_dual(&pair, None), Activation::Relu.near_dual(&pair, None));
        assert_eq!(found.pair, of_one.pair.scaled(3.0), "{pair:?}");
        assert_eq!(found.slope, 9.0 * of_one.slope, "{pair:?}");
    }
}

#[test]
fn near_pairs_of_logistic_functions_at_large_variance_are_their_averages() {
    for phi in [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Silu] {
        let function = phi.logistic().unwrap();
        for roots in [[300.0, 300.0], [300.0, 450.0], [1e5, 1e5]] {
            // So far from collinear that a difference of averages keeps nine digits.
            let pair = NearPair::new(roots, roots[0] - roots[1], 0.01);
            let found = phi.near_dual(&pair, None);
            let [a, b] = roots.map(|root| root * root);
            let direct = function.dual(a, b, 0.99, 1.0 - 0.99 * 0.99);
            let norms = [a, b].map(|q| function.dual(q, q, 1.0, 0.0).value.sqrt());
            let complement = 1.0 - direct.value / norms[0] / norms[1];
            let bound = 1e3 * f64::EPSILON / complement;
            assert!(
                (found.pair.complement / complement - 1.0).abs() < bound.max(1e-11),
                "{phi:?} {found:?} {complement}"
            );
            assert!((found.slope / direct.derivative - 1.0).abs() < 1e-12, "{phi:?} {found:?} {direct:?}");
        }
    }
}

/// Near a correlation of -1 the dual slope of a rectifier is an angle, the root of what a correlation cannot hold.
#[test]
fn opposite_pairs_of_logistic_functions_keep_their_angle() {
    // By `results/kernel_accuracy/logistic.py`.
    for (phi, root, complement, slope) in [
        (Activation::Softplus, 1e10, 1e-14, 2.250_794_492_791_561_5e-8),
        (Activation::Silu, 1e10, 1e-14, 2.250_787_087_995_190_7e-8),
        (Activation::Sigmoid, 1e10, 1e-14, 1.125_393_544_000_642_4e-14),
        (Activation::Softplus, 30.0, 1e-9, 1.327_386_580_467_877_6e-2),
        (Activation::Silu, 30.0, 1e-9, -2.803_205_578_096_579_7e-3),
    ] {
        let pair = NearPair { roots: [root; 2], difference: 0.0, sign: -1.0, complement };
        let found = phi.near_dual(&pair, None).slope;
        assert!((found / slope - 1.0).abs() < 1e-13, "{phi:?} {root:e}: {found:e} instead of {slope:e}");
    }
}

fn time(pairs: usize, mut work: impl FnMut()) -> f64 {
    let repetitions = 200_000 / pairs;
    let round = || {
        let start = Instant::now();
        (0..repetitions).for_each(|_| work());
        start.elapsed().as_secs_f64() / (repetitions * pairs) as f64 * 1e9
    };
    std::iter::repeat_with(round).take(40).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement, not a check"]
fn nanoseconds_a_pair() {
    const PAIRS: usize = 1024;
    let a = 1.3_f64;
    let pairs: Vec<(f64, f64)> =
        (0..PAIRS).map(|i| (0.5 + (i as f64 * 0.37).fract(), 2.0 * (i as f64 * 0.618).fract() - 1.0)).collect();
    let (b, roots, start) = row(a, &pairs);
    let single = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    let (b_single, roots_single, start_single) = (single(&b), single(&roots), single(&start));
    println!("ns a pair: one by one, f64 row with one first, with each its own, f32 row, f32 stored and f64 computed");
    for phi in closed_forms() {
        let first = FirstGaussians::One { variance: a, root: a.sqrt() };
        let first_single = FirstGaussians::One { variance: a as f32, root: a.sqrt() as f32 };
        let second = Variances { variances: &b, roots: &roots };
        let second_single = Variances { variances: &b_single, roots: &roots_single };
        let (mut c, mut t, mut s, mut u) = (start.clone(), vec![1.0; PAIRS], start_single.clone(), vec![1.0; PAIRS]);
        let plain = time(PAIRS, || {
            for i in 0..PAIRS {
                let dual = phi.dual_pair(a, start[i], b[i]);
                (c[i], t[i]) = (dual.value, dual.derivative);
            }
            black_box((&mut c, &mut t));
        });
        let mut double = |first: FirstGaussians<'_, f64>| {
            time(PAIRS, || {
                c.copy_from_slice(&start);
                t.fill(1.0);
                black_box(phi.dual_slice(first, second, &mut c, &mut t));
            })
        };
        let (one, each) = (double(first), double(FirstGaussians::Each(second)));
        let narrow = time(PAIRS, || {
            s.copy_from_slice(&start_single);
            u.fill(1.0);
            black_box(phi.dual_slice(first_single, second_single, &mut s, &mut u));
        });
        let mixed = time(PAIRS, || {
            s.copy_from_slice(&start_single);
            u.fill(1.0);
            black_box(phi.dual_slice(first, second, &mut s, &mut u));
        });
        println!("{:12} {plain:7.2} {one:7.2} {each:7.2} {narrow:7.2} {mixed:7.2}", phi.name());
    }
    println!("ns a pair: one by one, rows of 1024, of 128 (which stay in the cache), table in us an input");
    for phi in series() {
        let build = Instant::now();
        let table = SeriesTable::new(&phi, &b);
        let build = build.elapsed().as_secs_f64() / PAIRS as f64 * 1e6;
        let all: Vec<_> = b.iter().map(|q| phi.hermite_series(*q)).collect();
        let (mut c, mut t) = (start.clone(), vec![1.0; PAIRS]);
        let plain = time(PAIRS, || {
            for i in 0..PAIRS {
                let dual = phi.dual_in_series((&all[3], b[3]), start[i], (&all[i], b[i]));
                (c[i], t[i]) = (dual.value, dual.derivative);
            }
            black_box((&mut c, &mut t));
        });
        let pair = SeriesPair::new(&table, &table);
        let mut rows = |count: usize| {
            time(count, || {
                c[..count].copy_from_slice(&start[..count]);
                phi.dual_table(pair, FirstColumn::One(3), 0, &mut c[..count], &mut t[..count]);
                black_box((&mut c, &mut t));
            })
        };
        let (long, short) = (rows(PAIRS), rows(128));
        println!("{:12} {plain:7.2} {long:7.2} {short:7.2} {build:7.1}", phi.name());
    }
}
