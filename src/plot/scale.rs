//! Scales: from a value to a position in `0..=1` along an axis, and the ticks of that axis.

use crate::plot::number::{exponent_of, fixed, power_of_ten};

/// A mark on an axis; a tick without label is a minor one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Where, in `0..=1`.
    pub(crate) position: f64,
    /// What accompanies it.
    pub(crate) label: Option<String>,
}

/// How values map to positions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// Straight.
    Linear {
        /// Value at 0.
        low: f64,
        /// Value at 1.
        high: f64,
    },
    /// Logarithmic; values at or below zero sit at position 0.
    Log {
        /// Value at 0.
        low: f64,
        /// Value at 1.
        high: f64,
    },
    /// Training steps: logarithmic from `first` on, with step 0 in a slot of its own before a break of the axis.
    Steps {
        /// Smallest positive step.
        first: f64,
        /// Largest step.
        last: f64,
        /// Whether step 0 has to be shown.
        zero: bool,
    },
    /// Whole numbers, half a unit of room at both ends.
    Whole {
        /// Smallest.
        first: usize,
        /// Largest.
        last: usize,
    },
    /// `asinh(value / 2)`: straight within a few units of zero, logarithmic beyond, symmetric.
    SignedLog {
        /// Value at 1; its negative is at 0.
        limit: f64,
    },
}

/// Position of step 0 and of the end of a step axis.
const MARGIN: f64 = 0.03;
/// Room between step 0 and the first positive step.
const SLOT: f64 = 0.1;
/// Sizes that an axis shows: what is smaller is drawn as zero, what is larger at the end, and no distance or ratio of two of
/// them, with some room around, overflows.
const SIZES: [f64; 2] = [1e-145, 1e145];

impl Scale {
    /// A straight scale that shows all finite `values` with a little room.
    pub(crate) fn linear(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values)?;
        let spread = high - low;
        let room = if spread > 1e-12 * high.abs().max(low.abs()) {
            0.06 * spread
        } else if high == 0.0 {
            1.0
        } else {
            0.05 * high.abs()
        };
        let bottom = if low > 0.0 { (low - room).max(0.0) } else { low - room };
        Some(Self::Linear { low: bottom, high: high + room })
    }

    /// A logarithmic scale where all finite `values` are positive and span a factor of four, else a straight one.
    pub(crate) fn log_if_wide(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let (low, high) = extent(values.iter().copied())?;
        if low <= 0.0 || high / low < 4.0 {
            return Self::linear(values);
        }
        let room = (high / low).powf(0.06);
        Some(Self::Log { low: low / room, high: high * room })
    }

    /// The scale of the training steps that occur; a lone step stands in the middle.
    pub(crate) fn steps(steps: impl IntoIterator<Item = u64>) -> Option<Self> {
        let steps: Vec<u64> = steps.into_iter().collect();
        let last = *steps.iter().max()?;
        if steps.iter().all(|&s| s == last) {
            let only = usize::try_from(last).ok()?;
            return Some(Self::Whole { first: only, last: only });
        }
        let first = steps.iter().copied().filter(|&s| s > 0).min()?;
        Some(Self::Steps { first: first as f64, last: last as f64, zero: steps.contains(&0) })
    }

    /// The scale of the layers that occur.
    pub(crate) fn layers(layers: impl IntoIterator<Item = usize>) -> Option<Self> {
        let (first, last) = layers
            .into_iter()
            .fold(None, |e: Option<(usize, usize)>, l| Some(e.map_or((l, l), |e| (e.0.min(l), e.1.max(l)))))?;
        Some(Self::Whole { first, last })
    }

    /// Whether equal factors take equal room.
    pub(crate) fn is_log(&self) -> bool {
        matches!(self, Self::Log { .. })
    }

    /// Where `value` lies, kept within `0..=1`.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let raw = match *self {
            Self::Linear { low, high } => (shown(value) - low) / (high - low),
            Self::Log { low, high } => {
                if value > 0.0 {
                    (value / low).ln() / (high / low).ln()
                } else {
                    0.0
                }
            }
            Self::Steps { first, last, zero } => {
                let start = MARGIN + if zero { SLOT } else { 0.0 };
                if value < first {
                    MARGIN
                } else if last > first {
                    start + (1.0 - MARGIN - start) * (value / first).ln() / (last / first).ln()
                } else {
                    start
                }
            }
            Self::Whole { first, last } => (value - first as f64 + 0.5) / (last - first + 1) as f64,
            Self::SignedLog { limit } => 0.5 + 0.5 * (shown(value) / 2.0).asinh() / (limit.min(SIZES[1]) / 2.0).asinh(),
        };
        raw.clamp(0.0, 1.0)
    }

    /// Where the axis is broken: between step 0 and the first positive step.
    pub(crate) fn break_at(&self) -> Option<f64> {
        match *self {
            Self::Steps { zero: true, .. } => Some(MARGIN + 0.5 * SLOT),
            _ => None,
        }
    }

    /// Ticks in ascending order.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        match *self {
            Self::Linear { low, high } => self.labelled(&linear_ticks(low, high)),
            Self::Log { low, high } => self.log_ticks(low, high),
            Self::Steps { first, last, zero } => {
                let mut ticks = Vec::new();
                if zero {
                    ticks.push(Tick { position: MARGIN, label: Some("0".to_owned()) });
                }
                ticks.extend(self.step_ticks(first, last));
                ticks
            }
            Self::Whole { first, last } => {
                let stride = (last - first) / 12 + 1;
                (first..=last)
                    .map(|layer| Tick {
                        position: self.position(layer as f64),
                        label: (layer - first).is_multiple_of(stride).then(|| layer.to_string()),
                    })
                    .collect()
            }
            Self::SignedLog { limit } => {
                let mut values = vec![0.0];
                let mut size = 4.0;
                let limit = limit.min(SIZES[1]);
                while size <= limit {
                    values.extend([size, -size]);
                    // 4, 10, 30, 100, ... as long as they have room, then 10, 100, ...
                    size = match size {
                        4.0 => 10.0,
                        _ if limit > 3000.0 => size * 10.0,
                        _ if size.to_string().starts_with('1') => size * 3.0,
                        _ => size / 3.0 * 10.0,
                    };
                }
                if limit < 60.0 {
                    values.extend([2.0, -2.0]);
                }
                values.sort_by(f64::total_cmp);
                values.into_iter().map(|v| Tick { position: self.position(v), label: Some(decade_label(v)) }).collect()
            }
        }
    }

    fn labelled(&self, ticks: &[(f64, String)]) -> Vec<Tick> {
        ticks.iter().map(|(v, label)| Tick { position: self.position(*v), label: Some(label.clone()) }).collect()
    }

    fn log_ticks(&self, low: f64, high: f64) -> Vec<Tick> {
        let multiples = log_multiples(low, high);
        let decades = multiples.iter().filter(|m| m.0 == 1).count();
        if decades < 2 {
            let coarse = [1, 2, 5];
            let count = multiples.iter().filter(|m| coarse.contains(&m.0)).count();
            if count < 3 {
                return self.labelled(&linear_ticks(low, high));
            }
            return self.thinned(&multiples, |m, _| coarse.contains(&m));
        }
        let stride = decades.div_ceil(6) as i32;
        self.thinned(&multiples, |m, e| m == 1 && e.rem_euclid(stride) == 0)
    }

    fn step_ticks(&self, first: f64, last: f64) -> Vec<Tick> {
        let mut multiples = log_multiples(first, last);
        let decades = multiples.iter().filter(|m| m.0 == 1).count();
        if decades >= 2 {
            let stride = decades.div_ceil(6) as i32;
            return self.thinned(&multiples, |m, e| m == 1 && e.rem_euclid(stride) == 0);
        }
        if multiples.len() > 6 {
            multiples.retain(|m| [1, 2, 5].contains(&m.0));
        }
        if multiples.is_empty() {
            return vec![Tick { position: self.position(first), label: Some(fixed(first, 0)) }];
        }
        self.thinned(&multiples, |_, _| true)
    }

    /// Ticks at `multiples`, with a label where `keep` says so; minor ones are dropped where they would crowd.
    fn thinned(&self, multiples: &[(i32, i32)], keep: impl Fn(i32, i32) -> bool) -> Vec<Tick> {
        let crowded = multiples.iter().filter(|m| m.0 == 1).count() > 5;
        multiples
            .iter()
            .filter(|&&(m, e)| keep(m, e) || m == 1 || !crowded)
            .map(|&(m, e)| {
                let value = f64::from(m) * 10f64.powi(e);
                Tick { position: self.position(value), label: keep(m, e).then(|| decade_label(value)) }
            })
            .collect()
    }
}

/// What an axis shows of a finite value.
fn shown(value: f64) -> f64 {
    let [smallest, largest] = SIZES;
    if value.abs() < smallest { 0.0 } else { value.clamp(-largest, largest) }
}

/// Smallest and largest finite value, as far as they are shown.
fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .map(shown)
        .fold(None, |e, v| Some(e.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v)))))
}

/// All `(digit, exponent)` with `low <= digit * 10^exponent <= high`, digit in `1..=9`, ascending.
fn log_multiples(low: f64, high: f64) -> Vec<(i32, i32)> {
    let mut multiples = Vec::new();
    for exponent in exponent_of(low)..=exponent_of(high) {
        for digit in 1..=9 {
            let value = f64::from(digit) * 10f64.powi(exponent);
            // A relative margin of a few ulp, so that 10^k computed here equals a bound that is 10^k.
            if value >= low * (1.0 - 1e-12) && value <= high * (1.0 + 1e-12) {
                multiples.push((digit, exponent));
            }
        }
    }
    multiples
}

/// Values at multiples of 1, 2 or 5 times a power of ten, about five of them, with their labels.
fn linear_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let raw = (high - low) / 5.0;
    if !raw.is_finite() || raw <= 0.0 {
        return Vec::new();
    }
    let unit = 10f64.powi(raw.log10().floor() as i32);
    let step = unit * [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * unit >= raw * 0.65).unwrap_or(10.0);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    let largest = exponent_of(low.abs().max(high.abs()));
    let smallest = exponent_of(step * 1.0001);
    (first..=last)
        .map(|i| {
            let value = i as f64 * step;
            let label = if i == 0 {
                "0".to_owned()
            } else if largest >= 6 || smallest < -5 {
                format!("{}×{}", fixed(value / 10f64.powi(largest), largest - smallest), power_of_ten(largest))
            } else {
                fixed(value, -smallest)
            };
            (value, label)
        })
        .collect()
}

/// Label of a one-digit multiple of a power of ten.
fn decade_label(value: f64) -> String {
    let exponent = exponent_of(value * 1.0001);
    if (-3..4).contains(&exponent) {
        return fixed(value, -exponent);
    }
    let digit = (value / 10f64.powi(exponent)).round();
    let power = power_of_ten(exponent);
    if digit == 1.0 { power } else { format!("{}×{power}", fixed(digit, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().filter_map(|t| t.label).collect()
    }

    #[test]
    fn step_zero_has_a_slot_of_its_own() {
        let scale = Scale::steps([0, 1, 10, 10_000]).unwrap();
        assert_eq!(labels(&scale), ["0", "1", "10", "100", "1000", "10⁴"]);
        assert!(scale.position(0.0) < scale.break_at().unwrap());
        assert!(scale.break_at().unwrap() < scale.position(1.0));
        assert_eq!(Scale::steps([0, 0]).unwrap().position(0.0), 0.5);
        assert_eq!(Scale::steps([0]).unwrap().break_at(), None);
    }

    #[test]
    fn narrow_or_signed_data_get_a_straight_scale() {
        assert!(!Scale::log_if_wide([1.0, 2.0]).unwrap().is_log());
        assert!(!Scale::log_if_wide([-1.0, 200.0]).unwrap().is_log());
        assert!(Scale::log_if_wide([1e-3, 2.0]).unwrap().is_log());
        assert_eq!(Scale::linear([]), None);
        assert_eq!(Scale::linear([f64::NAN]), None);
    }

    #[test]
    fn ticks_lie_on_the_axis_in_order() {
        let scales = [
            Scale::linear([2.99, 3.01]).unwrap(),
            Scale::linear([5.0]).unwrap(),
            Scale::linear([-1.0e9, 3.0e9]).unwrap(),
            Scale::log_if_wide([1e-9, 1e9]).unwrap(),
            Scale::log_if_wide([0.9, 6.0]).unwrap(),
            Scale::SignedLog { limit: 300.0 },
            Scale::layers([1, 5]).unwrap(),
            Scale::layers(1..60).unwrap(),
        ];
        for scale in scales {
            let ticks = scale.ticks();
            assert!(labels(&scale).len() >= 2, "{scale:?}");
            assert!(labels(&scale).len() <= 13, "{scale:?}");
            assert!(ticks.windows(2).all(|w| w[0].position < w[1].position), "{scale:?}");
            assert!(ticks.iter().all(|t| (0.0..=1.0).contains(&t.position)), "{scale:?}");
        }
    }

    /// Whatever a CSV file may hold has an axis of few ticks, in order.
    #[test]
    fn axes_of_the_smallest_and_largest_numbers_have_few_ticks() {
        let sizes = [5e-324, 1e-320, 2.2250738585072014e-308, 1e-300, 1e-160, 1e-20, 1.0, 1e20, 1e160, 1e300, f64::MAX];
        let signed = || sizes.into_iter().chain([0.0]).flat_map(|size| [size, -size]);
        for first in signed() {
            for second in signed() {
                let made = [Scale::linear([first, second]), Scale::log_if_wide([first, second])];
                let limit = Scale::SignedLog { limit: (1.15 * first.abs().max(second.abs())).max(6.0) };
                for scale in made.into_iter().flatten().chain([limit]) {
                    let ticks = scale.ticks();
                    assert!(labels(&scale).len() <= 300 && ticks.len() <= 300, "{first} {second}: {}", ticks.len());
                    assert!(ticks.windows(2).all(|w| w[0].position <= w[1].position), "{first} {second}");
                    for position in
                        ticks.iter().map(|tick| tick.position).chain([first, second].map(|v| scale.position(v)))
                    {
                        assert!((0.0..=1.0).contains(&position), "{first} {second}: {scale:?}");
                    }
                    assert!(labels(&scale).iter().all(|label| !label.contains("inf") && !label.contains("NaN")));
                }
            }
        }
        // An infinite z has no axis of its own either.
        assert!(Scale::SignedLog { limit: f64::INFINITY }.ticks().len() < 400);
    }

    #[test]
    fn labels_carry_the_digits_of_their_step() {
        assert_eq!(labels(&Scale::Linear { low: 2.98, high: 3.03 }), ["2.98", "2.99", "3.00", "3.01", "3.02", "3.03"]);
        assert_eq!(labels(&Scale::Log { low: 1e-5, high: 1e-3 }), ["10⁻⁵", "10⁻⁴", "0.001"]);
    }
}
