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
    /// Next to the vertical axis; may be empty.
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

impl Panel {
    /// Room that tick labels and the axis label need left of the panel.
    pub(crate) fn left_margin(&self) -> f64 {
        let widest =
            self.y.ticks().iter().filter_map(|t| t.label.as_deref()).map(|l| text_width(l, 12.0)).fold(0.0, f64::max);
        widest + 14.0 + if self.y_label.is_empty() { 0.0 } else { 22.0 }
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
        if !self.y_label.is_empty() {
            let at = (area.left - self.left_margin() + 11.0, area.top + 0.5 * area.height);
            svg.text(at, &self.y_label, Font { upwards: true, ..label });
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
