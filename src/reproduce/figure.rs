//! What the figures of recipes have in common: marks whose heights set the scale, and legends.

use widthwise_statistics::Estimate;

use crate::plot::palette;
use crate::plot::panel::{Mark, Panel};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample};
use crate::plot::svg::{Marker, Stroke};

/// The marks of a panel, and the heights that it has to show.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) marks: Vec<Mark>,
    pub(super) heights: Vec<f64>,
}

impl Drawing {
    /// A line through points.
    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, stroke: Stroke<'static>) {
        self.heights.extend(points.iter().map(|(_, height)| *height));
        self.marks.push(Mark::Line { points, stroke });
    }

    /// The area between two curves, `(x, low, high)`.
    pub(super) fn band(&mut self, points: Vec<(f64, f64, f64)>, color: &'static str) {
        self.heights.extend(points.iter().flat_map(|(_, low, high)| [*low, *high]));
        self.marks.push(Mark::Band { points, color });
    }

    /// A point with its standard error.
    pub(super) fn estimate(
        &mut self,
        x: f64,
        found: Estimate,
        (shape, radius, color): (Marker, f64, &str),
        name: &str,
    ) {
        let (low, high) = (found.value - found.std_error, found.value + found.std_error);
        self.heights.extend([low, high]);
        self.marks.push(Mark::VerticalBar { x, low, high, color: color.to_owned() });
        let tooltip = format!("{name}{:?}\nstd_error {:?}", found.value, found.std_error);
        let at = (x, found.value);
        self.marks.push(Mark::Point { at, shape, radius, color: color.to_owned(), filled: true, tooltip });
    }

    /// The panel of these marks, on a linear scale.
    pub(super) fn panel(self, title: String, [x_label, y_label]: [&str; 2], x: Option<Scale>) -> Option<Panel> {
        let y = Scale::linear(self.heights)?;
        Some(Panel { title, x_label: x_label.to_owned(), y_label: y_label.to_owned(), x: x?, y, marks: self.marks })
    }
}

/// A line in a legend.
pub(super) fn line(stroke: Stroke<'static>, text: impl Into<String>) -> LegendEntry {
    LegendEntry::new(Sample::Line(stroke), text)
}

/// The solid lines of networks of several widths.
pub(super) fn lines_of(widths: impl Iterator<Item = usize>) -> Vec<LegendEntry> {
    let of = |(index, width)| line(Stroke::solid(palette::category(index), 1.8), format!("n = {width}"));
    widths.enumerate().map(of).collect()
}
