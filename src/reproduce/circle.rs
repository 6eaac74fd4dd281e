//! Points on the unit circle, the inputs of Jacot et al. 2018: `x(gamma) = (cos gamma, sin gamma)`, target `x_1 x_2`.

use std::f64::consts::PI;

use widthwise_datasets::{Examples, ImageShape, Prepared};

/// What a reader of the configurations has to know.
pub(super) const REMARK: &str = "Inputs are points of the unit circle, at the multiples of the golden section for training and at the angles of \
    numbers.csv for tests, with the target x_1 x_2; the configurations name a data set of the same shape in their place.";

/// Training and test examples at these angles.
pub(super) fn prepared(train: &[f64], test: &[f64]) -> Prepared {
    let [train, test] = [train, test].map(examples);
    Prepared { shape: ImageShape::flat(2), outputs: 1, classes: 0, tasks: 1, train, test }
}

fn examples(angles: &[f64]) -> Examples {
    Examples {
        n: angles.len(),
        inputs: angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect(),
        targets: angles.iter().map(|angle| angle.cos() * angle.sin()).collect(),
        labels: Vec::new(),
    }
}

/// `count` angles from `-pi` on, equally far from one another.
pub(super) fn equal_angles(count: usize) -> Vec<f64> {
    (0..count).map(|i| -PI + 2.0 * PI * i as f64 / count as f64).collect()
}

/// `count` angles without symmetry and without close pairs: the multiples of the golden section of the circle.
pub(super) fn scattered_angles(count: usize) -> Vec<f64> {
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    (1..=count).map(|i| -PI + 2.0 * PI * (i as f64 * golden).fract()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_on_the_circle() {
        let angles = [equal_angles(8), scattered_angles(5)].concat();
        let points = examples(&angles);
        assert_eq!((points.n, points.inputs.len()), (13, 26));
        for (x, target) in points.inputs.chunks_exact(2).zip(&points.targets) {
            assert!((x[0].hypot(x[1]) - 1.0).abs() < 4.0 * f64::EPSILON);
            assert_eq!(x[0] * x[1], *target);
        }
        assert_eq!(angles[0], -PI);
        assert!(angles.iter().all(|angle| (-PI..PI).contains(angle)));
    }

    #[test]
    fn scattered_angles_keep_apart() {
        let mut angles = scattered_angles(4);
        angles.sort_by(f64::total_cmp);
        let gaps = angles.windows(2).map(|pair| pair[1] - pair[0]);
        // The three-distance theorem: the least gap of four is 2 pi times the golden section to the fourth power.
        let least = 2.0 * PI * (0.5 * (5.0_f64.sqrt() - 1.0)).powi(4);
        assert!((gaps.fold(f64::INFINITY, f64::min) - least).abs() < 1e2 * f64::EPSILON);
    }
}
