//! Colours that stay apart for colour-blind readers, all drawn on a white card.
//!
//! Categories: Okabe and Ito, "Color Universal Design" (2008). Ramp: matplotlib's plasma, cut before its yellow end,
//! which is too pale on white.

pub(crate) const BLUE: &str = "#0072b2";
pub(crate) const SKY: &str = "#56b4e9";
pub(crate) const GREEN: &str = "#009e73";
pub(crate) const VERMILLION: &str = "#d55e00";
pub(crate) const ORANGE: &str = "#e69f00";
pub(crate) const PURPLE: &str = "#cc79a7";

/// Text, and the dashed line of a prediction.
pub(crate) const INK: &str = "#1f2328";
/// Axes and tick labels.
pub(crate) const AXIS: &str = "#57606a";
/// What Gaussian values would come to, behind what was measured.
pub(crate) const LEVEL: &str = "#b6bdc5";
/// Grid lines.
pub(crate) const GRID: &str = "#e7eaee";

/// Colour of the `index`-th category; they repeat after seven.
pub(crate) fn category(index: usize) -> &'static str {
    const ORDER: [&str; 7] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK];
    ORDER[index % ORDER.len()]
}

/// Colour at `position` in `0..=1` of the sequential ramp.
pub(crate) fn ramp(position: f64) -> String {
    const ANCHORS: [[f64; 3]; 6] = [
        [13.0, 8.0, 135.0],
        [92.0, 1.0, 166.0],
        [156.0, 23.0, 158.0],
        [204.0, 71.0, 120.0],
        [237.0, 121.0, 83.0],
        [248.0, 160.0, 60.0],
    ];
    let scaled = position.clamp(0.0, 1.0) * (ANCHORS.len() - 1) as f64;
    let index = (scaled.floor() as usize).min(ANCHORS.len() - 2);
    let fraction = scaled - index as f64;
    let channel = |c: usize| {
        (ANCHORS[index][c] + fraction * (ANCHORS[index + 1][c] - ANCHORS[index][c])).round().clamp(0.0, 255.0) as u8
    };
    format!("#{:02x}{:02x}{:02x}", channel(0), channel(1), channel(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramp_starts_and_ends_at_its_anchors() {
        assert_eq!(ramp(0.0), "#0d0887");
        assert_eq!(ramp(1.0), "#f8a03c");
        assert_eq!(ramp(-3.0), ramp(0.0));
    }
}
