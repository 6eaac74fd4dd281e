//! Norms of near pairs and what is missing to collinearity in closed form, against 60 digits of mpmath and against quadrature.

use super::near::NearPair;
use crate::activation::Activation;

/// A function, both `sqrt(q)`, the difference of the norms of its images and `G` over their product.
const NORMS: [(Activation, [f64; 2], f64, f64); 27] = [
    (Activation::Erf, [1.3, 1.3000000000009095], -1.647_020_845_671_992_7e-13, 1.924_031_825_215_153_7e-26),
    (Activation::Erf, [0.7, 0.6999990463256835], 4.345_965_164_549_032e-07, 5.842_502_549_716_114e-14),
    (Activation::Erf, [2.0, 2.03125], -0.002_530_680_775_663_85, 7.830_806_044_491_714e-06),
    (Activation::Erf, [0.75, 1.0], -0.085_620_379_431_552_5, 0.003_021_111_692_657_588_8),
    (Activation::Erf, [4.0, 1.5], 0.137_035_365_446_297_82, 0.024_353_769_516_767_86),
    (Activation::Erf, [0.125, 8.0], -0.820_616_348_733_645_9, 0.167_540_082_356_161_27),
    (Activation::Erf, [50.0, 51.0], -0.000_125_590_958_463_675_64, 6.177_526_299_589_823e-07),
    (Activation::Erf, [0.0009765625, 0.001], -2.644_630_923_485_637e-05, 7.153_507_298_809_796e-16),
    (Activation::Erf, [1000000.0, 1500000.0], -1.061_033_235_393_348_1e-07, 1.050_629_664_536_779_5e-08),
    (Activation::Gelu, [1.3, 1.3000000000009095], -6.752_836_335_145_126e-13, 8.278_160_530_039_843e-27),
    (Activation::Gelu, [0.7, 0.6999990463256835], 6.927_452_701_800_661e-07, 7.348_951_516_351_673e-14),
    (Activation::Gelu, [2.0, 2.03125], -0.022_673_274_486_122_746, 1.685_009_339_763_71e-06),
    (Activation::Gelu, [0.75, 1.0], -0.185_387_067_283_730_56, 0.002_553_232_488_008_197),
    (Activation::Gelu, [4.0, 1.5], 1.797_154_061_226_679_9, 0.004_025_033_808_396_913_6),
    (Activation::Gelu, [0.125, 8.0], -5.591_420_263_467_372, 0.192_878_644_705_285_62),
    (Activation::Gelu, [50.0, 51.0], -0.707_108_839_167_078_8, 2.569_095_601_079_843_4e-10),
    (Activation::Gelu, [0.0009765625, 0.001], -1.171_878_279_094_072e-05, 5.245_540_093_649_691e-10),
    (Activation::Gelu, [1000000.0, 1500000.0], -353553.390_593_273_74, 7.539_932_859_498_3e-21),
    (Activation::Gaussian, [1.3, 1.3000000000009095], 1.825_771_274_292_075_7e-13, 9.285_891_401_941_564e-26),
    (Activation::Gaussian, [0.7, 0.6999990463256835], -3.438_853_522_250_141_6e-07, 2.034_571_771_288_711e-13),
    (Activation::Gaussian, [2.0, 2.03125], 0.003_583_317_915_681_034_4, 5.332_584_023_989_121e-05),
    (Activation::Gaussian, [0.75, 1.0], 0.076_041_674_011_542_7, 0.011_443_798_547_534_663),
    (Activation::Gaussian, [4.0, 1.5], -0.210_155_671_608_025_45, 0.175_458_146_314_550_03),
    (Activation::Gaussian, [0.125, 8.0], 0.735_201_667_330_162_8, 0.642_135_957_714_732_5),
    (Activation::Gaussian, [50.0, 51.0], 0.000_985_124_962_920_338_3, 9.800_558_372_883_44e-05),
    (Activation::Gaussian, [0.0009765625, 0.001], 4.632_545_733_149_926e-08, 2.146_052_189_647_305_6e-15),
    (Activation::Gaussian, [1000000.0, 1500000.0], 0.000_129_756_511_996_893_6, 0.039_231_077_169_464_37),
];

fn assert_close(found: f64, expected: f64, bound: f64, what: &str) {
    assert!((found - expected).abs() <= bound * expected.abs(), "{what}: {found:e} and not {expected:e}");
}

#[test]
fn norms_in_closed_form_match_mpmath() {
    for (phi, roots, difference, gap) in NORMS {
        let pair = NearPair::new(roots, roots[0] - roots[1], 1e-7);
        let norms = phi.norms_in_closed_form(&pair).unwrap();
        assert_close(norms.difference, difference, 4e-15, &format!("difference of {phi:?} {roots:?}"));
        assert_close(norms.gap, gap, 1e-13, &format!("gap of {phi:?} {roots:?}"));
        for (side, root) in norms.roots.into_iter().zip(roots) {
            assert_close(side.powi(2), phi.dual_diagonal(root * root).value, 4e-15, &format!("{phi:?} {root}"));
        }
    }
}

#[test]
fn norms_in_closed_form_are_those_of_quadrature() {
    let mut count = 0;
    for phi in [Activation::Erf, Activation::Gelu, Activation::Gaussian] {
        for root in [0.1, 0.3, 1.0, 3.0, 30.0] {
            for step in [1e-15, -1e-8, 1e-4, -0.02, 0.1, 0.6, 5.0] {
                let pair = NearPair::new([root * (1.0 + step), root], root * step, 1e-7);
                let Some(found) = phi.norms_in_closed_form(&pair) else { continue };
                let expected = phi.norms_by_panels(&pair);
                count += 1;
                let what = format!("{phi:?} {root} {step}");
                assert_close(found.roots[0], expected.roots[0], 1e-13, &what);
                assert_close(found.difference, expected.difference, 1e-12, &what);
                assert_close(found.gap, expected.gap, 1e-11, &what);
            }
        }
    }
    assert!(count >= 100, "{count}");
}

#[test]
fn the_descent_of_gelu_is_the_integral_of_its_slope() {
    let mut count = 0;
    for roots in [[1.3, 1.3], [0.2, 2.0], [1e-4, 1.0], [40.0, 41.0], [1e-20, 1e-19], [1e12, 1e13]] {
        for complement in [1e-30, 1e-9, 1e-5, 1e-3, 0.05, 0.3] {
            let pair = NearPair::new(roots, roots[0] - roots[1], complement);
            let Some(found) = Activation::Gelu.descent(&pair) else { continue };
            let expected = Activation::Gelu.descent_by_angles(&pair);
            (0..2).for_each(|i| assert_close(found[i], expected[i], 1e-14, &format!("{roots:?} {complement} {i}")));
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

/// Near pairs of equal norms, of norms that differ by rounding, by a little and by a lot.
#[test]
#[ignore = "a measurement, not a check"]
fn nanoseconds_a_near_pair() {
    println!("ns a pair and layer at 1 - rho = 1e-5: norms equal, 1e-15 apart, 1 %, 20 % and a factor of 3");
    for phi in [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.25 },
        Activation::Abs,
        Activation::Sign,
        Activation::Erf,
        Activation::Gelu,
        Activation::Gaussian,
        Activation::Sin { frequency: 1.0, phase: 0.0 },
        Activation::Cos { frequency: 1.0, phase: 0.0 },
        Activation::Rbf { gamma: 0.5 },
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Silu,
    ] {
        let times = [0.0, 1e-15, 0.01, 0.2, 2.0].map(|step| {
            let pair = NearPair::new([1.1 * (1.0 + step), 1.1], 1.1 * step, 1e-5);
            let series = pair.roots.map(|root| phi.hermite_series(root * root));
            let series = if phi.has_closed_form() { None } else { Some([&series[0], &series[1]]) };
            let round = || {
                let start = std::time::Instant::now();
                (0..200).for_each(|_| {
                    std::hint::black_box(phi.near_dual(std::hint::black_box(&pair), series));
                });
                start.elapsed().as_secs_f64() / 200.0 * 1e9
            };
            std::iter::repeat_with(round).take(40).fold(f64::INFINITY, f64::min)
        });
        println!("{:12} {}", phi.name(), times.map(|time| format!("{time:9.0}")).join(" "));
    }
}
