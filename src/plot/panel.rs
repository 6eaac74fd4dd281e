//! One panel: a pair of axes, a light grid and the marks between them.

use super::palette;
use super::scale::Scale;
use super::svg::{Font, Marker, Stroke, Svg, TextAnchor, small, text_width};

/// Something drawn between the axes, in data coordinates.
#[derive(Debug, Clone)]
pub(crate) enum Mark {
    /// A line through points.
    Line {
        /// `(x, y)` in drawing order.
        points: Vec<(f64, f64)>,
        /// How it is drawn.
        stroke: Stroke<'static>,
    },
    /// An area between two curves.
    Band {
        /// `(x, low, high)`, x ascending.
        points: Vec<(f64, f64, f64)>,
        /// Fill.
        color: &'static str,
    },
    /// A vertical bar with caps.
    VerticalBar {
        /// Where.
        x: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Colour.
        color: String,
    },
    /// A horizontal bar with caps.
    HorizontalBar {
        /// Where.
        y: f64,
        /// Left end.
        low: f64,
        /// Right end.
        high: f64,
        /// Colour.
        color: String,
    },
    /// A point.
    Point {
        /// Where.
        at: (f64, f64),
        /// Shape.
        shape: Marker,
        /// Radius in pixels.
        radius: f64,
        /// Colour.
        color: String,
        /// Filled or only outlined.
        filled: bool,
        /// The exact numbers.
        tooltip: String,
    },
    /// A dashed line with short strokes on the side where values may lie: below an upper bound.
    UpperBound {
        /// `(x, y)`, x ascending; one point is drawn as a short line.
        points: Vec<(f64, f64)>,
        /// Colour.
        color: &'static str,
    },
    /// A short arrow from a point that is a bound, towards the values that it allows.
    Arrow {
        /// Where it begins.
        at: (f64, f64),
        /// Whether it points to smaller values, to the left.
        left: bool,
        /// Colour.
        color: String,
    },
    /// A dashed line over the whole width, with its name at the left end.
    Level {
        /// Where.
        y: f64,
        /// Name.
        label: String,
    },
    /// A dashed line over the whole height, with its name at the lower end.
    Upright {
        /// Where.
        x: f64,
        /// Name.
        label: String,
    },
}

/// A pair of axes with marks.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// What is shown; set above the panel.
    pub(crate) title: String,
    /// Below the horizontal axis.
    pub(crate) x_label: String,
    /// Next to the vertical axis: what is drawn and its unit, on two lines where one is too short.
    pub(crate) y_label: String,
    /// Horizontal scale.
    pub(crate) x: Scale,
    /// Vertical scale.
    pub(crate) y: Scale,
    /// Drawn in order, later ones on top.
    pub(crate) marks: Vec<Mark>,
}

/// The area between the axes, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    /// Left edge.
    pub(crate) left: f64,
    /// Upper edge.
    pub(crate) top: f64,
    /// Width.
    pub(crate) width: f64,
    /// Height.
    pub(crate) height: f64,
}

impl Area {
    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

const CAP: f64 = 3.5;
/// Between the lines of a label.
const LABEL_LINE: f64 = 15.0;
/// Shaft and half head of an arrow.
const ARROW: [f64; 2] = [15.0, 3.5];
/// Half the width of an upper bound at a single place, and the length of its strokes.
const BOUND: [f64; 2] = [9.0, 5.0];

impl Panel {
    /// Room that tick labels and the axis label need left of the panel.
    pub(crate) fn left_margin(&self, height: f64) -> f64 {
        let widest =
            self.y.ticks().iter().filter_map(|t| t.label.as_deref()).map(|l| text_width(l, 12.0)).fold(0.0, f64::max);
        widest + 21.0 + LABEL_LINE * label_lines(&self.y_label, height).len() as f64
    }

    /// Draws the panel so that `area` lies between its axes.
    pub(crate) fn draw(&self, svg: &mut Svg, area: Area) {
        self.draw_axes(svg, area);
        for mark in &self.marks {
            self.draw_mark(svg, area, mark);
        }
    }

    fn to_pixels(&self, area: Area, at: (f64, f64)) -> (f64, f64) {
        (area.left + area.width * self.x.position(at.0), area.bottom() - area.height * self.y.position(at.1))
    }

    fn draw_axes(&self, svg: &mut Svg, area: Area) {
        let (right, bottom) = (area.right(), area.bottom());
        let axis = Stroke::solid(palette::AXIS, 1.0);
        let grid = Stroke::solid(palette::GRID, 1.0);
        let title = Font { bold: true, ..Font::new(13.5, palette::INK, TextAnchor::Start) };
        svg.text((area.left, area.top - 11.0), &self.title, title);
        for tick in self.y.ticks() {
            let y = bottom - area.height * tick.position;
            if let Some(label) = &tick.label {
                svg.line((area.left, y), (right, y), grid);
                svg.text((area.left - 8.0, y + 4.2), label, small(TextAnchor::End));
            }
            let length = if tick.label.is_some() { 4.5 } else { 2.5 };
            svg.line((area.left - length, y), (area.left, y), axis);
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.x.ticks() {
            let x = area.left + area.width * tick.position;
            let mut length = 2.5;
            if let Some(label) = &tick.label {
                svg.line((x, area.top), (x, bottom), grid);
                length = 4.5;
                let half = 0.5 * text_width(label, 12.0);
                if x - half >= free_from {
                    svg.text((x, bottom + 18.0), label, small(TextAnchor::Middle));
                    free_from = x + half + 5.0;
                }
            }
            svg.line((x, bottom), (x, bottom + length), axis);
        }
        svg.line((area.left, area.top), (area.left, bottom), axis);
        self.draw_base_line(svg, area);
        let label = Font::new(12.5, palette::INK, TextAnchor::Middle);
        svg.text((area.left + 0.5 * area.width, bottom + 37.0), &self.x_label, label);
        let mut across = area.left - self.left_margin(area.height) + 11.0;
        for line in label_lines(&self.y_label, area.height) {
            svg.text((across, area.top + 0.5 * area.height), &line, Font { upwards: true, ..label });
            across += LABEL_LINE;
        }
    }

    /// The horizontal axis, with two slanted strokes where the scale is broken.
    fn draw_base_line(&self, svg: &mut Svg, area: Area) {
        let axis = Stroke::solid(palette::AXIS, 1.0);
        let (right, bottom) = (area.right(), area.bottom());
        let Some(position) = self.x.break_at() else {
            svg.line((area.left, bottom), (right, bottom), axis);
            return;
        };
        let x = area.left + area.width * position;
        svg.line((area.left, bottom), (x - 2.5, bottom), axis);
        svg.line((x + 2.5, bottom), (right, bottom), axis);
        for middle in [x - 2.5, x + 2.5] {
            svg.line((middle - 2.0, bottom + 4.5), (middle + 2.0, bottom - 4.5), axis);
        }
    }

    fn draw_mark(&self, svg: &mut Svg, area: Area, mark: &Mark) {
        let at = |x, y| self.to_pixels(area, (x, y));
        match mark {
            Mark::Line { points, stroke } => {
                let points: Vec<_> = points.iter().map(|p| at(p.0, p.1)).collect();
                svg.polyline(&points, *stroke);
            }
            Mark::Band { points, color } => {
                let upper = points.iter().map(|p| at(p.0, p.2));
                let lower = points.iter().rev().map(|p| at(p.0, p.1));
                svg.polygon(&upper.chain(lower).collect::<Vec<_>>(), color, 0.2);
            }
            Mark::VerticalBar { x, low, high, color } => {
                let (bottom, top) = (at(*x, *low), at(*x, *high));
                let stroke = Stroke::solid(color, 1.5);
                svg.line(bottom, top, stroke);
                for end in [bottom, top] {
                    svg.line((end.0 - CAP, end.1), (end.0 + CAP, end.1), stroke);
                }
            }
            Mark::HorizontalBar { y, low, high, color } => {
                let (left, right) = (at(*low, *y), at(*high, *y));
                let stroke = Stroke::solid(color, 1.5);
                svg.line(left, right, stroke);
                for end in [left, right] {
                    svg.line((end.0, end.1 - CAP), (end.0, end.1 + CAP), stroke);
                }
            }
            Mark::UpperBound { points, color } => {
                let mut points: Vec<_> = points.iter().map(|p| at(p.0, p.1)).collect();
                if let [(x, y)] = points[..] {
                    points = vec![(x - BOUND[0], y), (x + BOUND[0], y)];
                }
                draw_upper_bound(svg, &points, color);
            }
            Mark::Arrow { at: (x, y), left, color } => {
                let (x, y) = at(*x, *y);
                let side = if *left { -1.0 } else { 1.0 };
                let tip = x + side * ARROW[0];
                let stroke = Stroke::solid(color, 1.4);
                svg.line((x, y), (tip, y), stroke);
                let back = tip - side * 1.4 * ARROW[1];
                svg.polyline(&[(back, y - ARROW[1]), (tip, y), (back, y + ARROW[1])], stroke);
            }
            Mark::Point { at: (x, y), shape, radius, color, filled, tooltip } => {
                svg.point(at(*x, *y), *shape, *radius, color, *filled, tooltip);
            }
            Mark::Level { y, label } => {
                let (_, y) = self.to_pixels(area, (0.0, *y));
                svg.line((area.left, y), (area.right(), y), Stroke::dashed(palette::INK, 1.2));
                svg.text((area.left + 6.0, y - 5.0), label, small(TextAnchor::Start));
            }
            Mark::Upright { x, label } => {
                let (x, _) = self.to_pixels(area, (*x, 0.0));
                svg.line((x, area.top), (x, area.bottom()), Stroke::dashed(palette::INK, 1.2));
                svg.text((x - 5.0, area.bottom() - 8.0), label, small(TextAnchor::End));
            }
        }
    }
}

/// A dashed line through `points`, in pixels, with strokes below it.
pub(crate) fn draw_upper_bound(svg: &mut Svg, points: &[(f64, f64)], color: &str) {
    svg.polyline(points, Stroke::dashed(color, 1.6));
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let count = ((last.0 - first.0) / 18.0).floor().max(1.0);
    for index in 0..count as usize {
        let x = first.0 + (index as f64 + 0.5) / count * (last.0 - first.0);
        let here = points.windows(2).find(|pair| x <= pair[1].0);
        let y = here.map_or(last.1, |pair| {
            let share = if pair[1].0 > pair[0].0 { (x - pair[0].0) / (pair[1].0 - pair[0].0) } else { 0.0 };
            pair[0].1 + share * (pair[1].1 - pair[0].1)
        });
        svg.line((x, y), (x, y + BOUND[1]), Stroke::solid(color, 1.1));
    }
}

/// `text` on one line, or on two of about equal length where `height` is too little for one.
fn label_lines(text: &str, height: f64) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let blanks = text.match_indices(' ').map(|(at, _)| at);
    let middle = blanks.min_by_key(|at| at.abs_diff(text.len() / 2));
    match middle.filter(|_| text_width(text, 12.5) > 1.1 * height) {
        Some(at) => vec![text[..at].to_owned(), text[at + 1..].to_owned()],
        None => vec![text.to_owned()],
    }
}

/// An axis title: what is drawn, its unit, and whether the scale is logarithmic.
pub(crate) fn axis_title(what: &str, unit: &str, scale: &Scale) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" [{unit}]") };
    format!("{what}{unit}{}", if scale.is_log() { " (log scale)" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_titles_of_axes_take_two_lines() {
        assert_eq!(label_lines("training loss", 220.0), ["training loss"]);
        let long = "label overlap of leading NTK eigenvectors (log scale)";
        assert_eq!(label_lines(long, 220.0), ["label overlap of leading", "NTK eigenvectors (log scale)"]);
        assert!(label_lines("", 220.0).is_empty());
    }

    #[test]
    fn titles_of_axes_name_unit_and_scale() {
        let log = Scale::Log { low: 1.0, high: 100.0 };
        assert_eq!(axis_title("NTK velocity", "1/step", &log), "NTK velocity [1/step] (log scale)");
        assert_eq!(axis_title("kurtosis", "", &Scale::Linear { low: 0.0, high: 1.0 }), "kurtosis");
    }
}
