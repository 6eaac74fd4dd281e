//! A sheet: panels in a grid under one legend.

use super::palette;
use super::panel::{Area, Panel, draw_upper_bound};
use super::svg::{Marker, Stroke, Svg, TextAnchor, small, text_width};

/// The sample that stands before a legend text.
#[derive(Debug, Clone)]
pub(crate) enum Sample {
    /// A line.
    Line(Stroke<'static>),
    /// A point.
    Point {
        /// Shape.
        shape: Marker,
        /// Colour.
        color: String,
        /// Filled or only outlined.
        filled: bool,
    },
    /// A point on a line.
    PointOnLine {
        /// Shape.
        shape: Marker,
        /// Line, and colour of the point.
        stroke: Stroke<'static>,
        /// Filled or only outlined.
        filled: bool,
    },
    /// A filled band.
    Band(&'static str),
    /// A vertical error bar.
    Bar(&'static str),
    /// An upper bound.
    UpperBound(&'static str),
    /// An arrow from a bound towards the values that it allows.
    Arrow(&'static str),
    /// The sequential ramp, with the texts at its ends.
    Ramp {
        /// Next to the dark end.
        from: String,
        /// Next to the light end.
        to: String,
    },
}

/// One entry of a legend.
#[derive(Debug, Clone)]
pub(crate) struct LegendEntry {
    /// Drawn first.
    pub(crate) sample: Sample,
    /// Then the text.
    pub(crate) text: String,
}

impl LegendEntry {
    /// An entry.
    pub(crate) fn new(sample: Sample, text: impl Into<String>) -> Self {
        Self { sample, text: text.into() }
    }
}

const EDGE: f64 = 20.0;
const SAMPLE: f64 = 26.0;
const RAMP: f64 = 120.0;
const LEGEND_LINE: f64 = 22.0;

/// Draws `panels`, at most `columns` side by side, under `legend`; `label` describes the image to screen readers.
pub(crate) fn render(panels: &[Panel], columns: usize, legend: &[LegendEntry], label: &str) -> String {
    let columns = columns.min(panels.len()).max(1);
    let (width, height) = match columns {
        1 => (640.0, 300.0),
        2 => (920.0, 270.0),
        _ => (1080.0, 220.0),
    };
    let mut svg = Svg::default();
    let legend_bottom = draw_legend(&mut svg, legend, width);
    let gap = 30.0;
    let margins: Vec<f64> = (0..columns)
        .map(|c| panels.iter().skip(c).step_by(columns).map(|panel| panel.left_margin(height)).fold(0.0, f64::max))
        .collect();
    let inner = (width - 2.0 * EDGE - gap * (columns - 1) as f64 - margins.iter().sum::<f64>()) / columns as f64;
    let row_height = 34.0 + height + 52.0;
    for (row, line) in panels.chunks(columns).enumerate() {
        let mut left = EDGE;
        for (panel, margin) in line.iter().zip(&margins) {
            left += margin;
            let top = legend_bottom + 34.0 + row as f64 * row_height;
            panel.draw(&mut svg, Area { left, top, width: inner, height });
            left += inner + gap;
        }
    }
    svg.finish(width, legend_bottom + row_height * panels.len().div_ceil(columns) as f64, label)
}

/// Draws `legend` from the upper left corner on, wrapped to `width`, and returns where it ends.
pub(crate) fn draw_legend(svg: &mut Svg, legend: &[LegendEntry], width: f64) -> f64 {
    let (mut x, mut y) = (EDGE, 26.0);
    for entry in legend {
        let size = entry_width(entry);
        if x > EDGE && x + size > width - EDGE {
            x = EDGE;
            y += LEGEND_LINE;
        }
        draw_entry(svg, entry, (x, y));
        x += size + 16.0;
    }
    if legend.is_empty() { 0.0 } else { y + 6.0 }
}

fn entry_width(entry: &LegendEntry) -> f64 {
    let text = text_width(&entry.text, 12.0);
    match &entry.sample {
        Sample::Ramp { from, to } => text + text_width(from, 12.0) + text_width(to, 12.0) + RAMP + 24.0,
        _ => SAMPLE + 7.0 + text,
    }
}

fn draw_entry(svg: &mut Svg, entry: &LegendEntry, (x, baseline): (f64, f64)) {
    let y = baseline - 4.0;
    let middle = (x + 0.5 * SAMPLE, y);
    let mut text_at = x + SAMPLE + 7.0;
    match &entry.sample {
        Sample::Line(stroke) => svg.line((x, y), (x + SAMPLE, y), *stroke),
        Sample::Point { shape, color, filled } => svg.point(middle, *shape, 4.5, color, *filled, ""),
        Sample::PointOnLine { shape, stroke, filled } => {
            svg.line((x, y), (x + SAMPLE, y), *stroke);
            svg.point(middle, *shape, 4.0, stroke.color, *filled, "");
        }
        Sample::UpperBound(color) => draw_upper_bound(svg, &[(x, y - 2.0), (x + SAMPLE, y - 2.0)], color),
        Sample::Arrow(color) => {
            let stroke = Stroke::solid(color, 1.4);
            svg.line((x + 4.0, y), (x + SAMPLE - 4.0, y), stroke);
            svg.polyline(&[(x + 9.0, y - 3.5), (x + 4.0, y), (x + 9.0, y + 3.5)], stroke);
            svg.point((x + SAMPLE - 4.0, y), Marker::Circle, 3.5, color, true, "");
        }
        Sample::Band(color) => svg.rect((x, y - 6.0), (SAMPLE, 12.0), color, 0.25),
        Sample::Bar(color) => {
            let stroke = Stroke::solid(color, 1.5);
            svg.line((middle.0, y - 7.0), (middle.0, y + 7.0), stroke);
            for end in [y - 7.0, y + 7.0] {
                svg.line((middle.0 - 3.5, end), (middle.0 + 3.5, end), stroke);
            }
        }
        Sample::Ramp { from, to } => {
            // Unlike the others its text comes first: "step 0 [ramp] 1000".
            svg.text((x, baseline), &entry.text, small(TextAnchor::Start));
            let mut at = x + text_width(&entry.text, 12.0) + 6.0;
            svg.text((at, baseline), from, small(TextAnchor::Start));
            // Cells begin on whole pixels, or their seams show.
            at = (at + text_width(from, 12.0) + 6.0).round();
            let cells = 40;
            let cell = RAMP / f64::from(cells);
            for index in 0..cells {
                let color = palette::ramp(f64::from(index) / f64::from(cells - 1));
                svg.rect((at + cell * f64::from(index), y - 6.0), (cell, 12.0), &color, 1.0);
            }
            svg.text((at + RAMP + 6.0, baseline), to, small(TextAnchor::Start));
            text_at = f64::NAN;
        }
    }
    if text_at.is_finite() {
        svg.text((text_at, baseline), &entry.text, small(TextAnchor::Start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_legends_wrap() {
        let entry = LegendEntry::new(Sample::Band(palette::BLUE), "a text of some length");
        let mut svg = Svg::default();
        let one = draw_legend(&mut svg, std::slice::from_ref(&entry), 640.0);
        let many = draw_legend(&mut svg, &vec![entry; 10], 640.0);
        assert!(many > one);
        assert_eq!(draw_legend(&mut svg, &[], 640.0), 0.0);
    }
}
