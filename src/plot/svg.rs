//! SVG elements as text, coordinates rounded to a hundredth of a pixel so that equal data give equal bytes.

use super::palette;
use crate::plot::markup::escape;

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke<'a> {
    pub(crate) color: &'a str,
    pub(crate) width: f64,
    pub(crate) dashed: bool,
    pub(crate) opacity: f64,
}

impl<'a> Stroke<'a> {
    /// A solid line.
    pub(crate) fn solid(color: &'a str, width: f64) -> Self {
        Self { color, width, dashed: false, opacity: 1.0 }
    }

    /// A dashed line.
    pub(crate) fn dashed(color: &'a str, width: f64) -> Self {
        Self { dashed: true, ..Self::solid(color, width) }
    }

    /// The same line, partly transparent.
    pub(crate) fn faded(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Diamond,
    Up,
    Down,
    Cross,
}

impl Marker {
    /// Shape of the `index`-th category; they repeat after five.
    pub(crate) fn category(index: usize) -> Self {
        [Self::Circle, Self::Square, Self::Up, Self::Diamond, Self::Down][index % 5]
    }
}

/// Which end of a text lies at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextAnchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Font<'a> {
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) color: &'a str,
    pub(crate) anchor: TextAnchor,
    /// Turned to read upwards.
    pub(crate) upwards: bool,
}

impl<'a> Font<'a> {
    /// Plain text of `size` pixels.
    pub(crate) fn new(size: f64, color: &'a str, anchor: TextAnchor) -> Self {
        Self { size, bold: false, color, anchor, upwards: false }
    }
}

/// Width in pixels to reserve for `text`: that of a wide sans-serif face, so that no reader's font overflows.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let units: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | '\'' | ':' | ';' | '|' | ' ' | '(' | ')' => 0.38,
            'm' | 'w' | 'M' | 'W' => 0.95,
            '⁰'..='⁹' | '¹' | '²' | '³' | '⁻' => 0.42,
            '−' | '±' | '×' | '→' => 0.84,
            c if c.is_uppercase() => 0.72,
            _ => 0.62,
        })
        .sum();
    units * size
}

/// An SVG image under construction.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

impl Svg {
    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        self.body.push_str(&format!(
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}/>\n",
            pixel(from.0),
            pixel(from.1),
            pixel(to.0),
            pixel(to.1),
            stroke_attributes(stroke)
        ));
    }

    /// A line through `points`.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        self.body.push_str(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\"{}/>\n",
            pairs(points),
            stroke_attributes(stroke)
        ));
    }

    /// A filled area.
    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        self.body
            .push_str(&format!("<polygon points=\"{}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n", pairs(points)));
    }

    /// A filled rectangle.
    pub(crate) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), fill: &str, opacity: f64) {
        self.body.push_str(&format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\" fill-opacity=\"{opacity}\"/>\n",
            pixel(corner.0),
            pixel(corner.1),
            pixel(size.0),
            pixel(size.1)
        ));
    }

    /// A line of text; `at` is on its baseline.
    pub(crate) fn text(&mut self, at: (f64, f64), content: &str, font: Font<'_>) {
        let (x, y) = (pixel(at.0), pixel(at.1));
        let anchor = match font.anchor {
            TextAnchor::Start => "start",
            TextAnchor::Middle => "middle",
            TextAnchor::End => "end",
        };
        let weight = if font.bold { " font-weight=\"600\"" } else { "" };
        let turn = if font.upwards { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        self.body.push_str(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{anchor}\"{weight}{turn}>{}</text>\n",
            font.size,
            font.color,
            escape(content)
        ));
    }

    /// A point of `radius` pixels; `tooltip` is shown by browsers when the pointer rests on it.
    pub(crate) fn point(
        &mut self,
        at: (f64, f64),
        shape: Marker,
        radius: f64,
        color: &str,
        filled: bool,
        tooltip: &str,
    ) {
        let (x, y) = at;
        let fill = if filled { color } else { "#ffffff" };
        // Filled points get a white rim, so that neighbours stay apart where they touch.
        let (rim, width) = if filled && shape != Marker::Cross { ("#ffffff", 0.8) } else { (color, 1.7) };
        let paint = format!("fill=\"{fill}\" stroke=\"{rim}\" stroke-width=\"{width}\"");
        let r = radius;
        let path = |points: &[(f64, f64)]| {
            let moved: Vec<_> = points.iter().map(|p| (x + r * p.0, y + r * p.1)).collect();
            format!("<polygon points=\"{}\" {paint}", pairs(&moved))
        };
        let element = match shape {
            Marker::Circle => format!("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {paint}", pixel(x), pixel(y), pixel(r)),
            Marker::Square => path(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Marker::Diamond => path(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
            Marker::Up => path(&[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)]),
            Marker::Down => path(&[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)]),
            Marker::Cross => {
                let (a, b, c, d) = (pixel(x - r), pixel(x + r), pixel(y - r), pixel(y + r));
                format!(
                    "<path d=\"M{a} {c}L{b} {d}M{a} {d}L{b} {c}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.2\""
                )
            }
        };
        if tooltip.is_empty() {
            self.body.push_str(&format!("{element}/>\n"));
        } else {
            let name = element.split([' ', '>']).next().unwrap_or_default().trim_start_matches('<').to_owned();
            self.body.push_str(&format!("{element}><title>{}</title></{name}>\n", escape(tooltip)));
        }
    }

    /// The whole image on a white card; `label` is read out by screen readers.
    pub(crate) fn finish(self, width: f64, height: f64, label: &str) -> String {
        let (w, h) = (pixel(width), pixel(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"'Helvetica Neue', Helvetica, Arial, sans-serif\">\n\
             <rect width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(label),
            self.body
        )
    }
}

/// A coordinate with at most two decimals.
fn pixel(value: f64) -> String {
    let text = format!("{value:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

fn pairs(points: &[(f64, f64)]) -> String {
    points.iter().map(|p| format!("{},{}", pixel(p.0), pixel(p.1))).collect::<Vec<_>>().join(" ")
}

fn stroke_attributes(stroke: Stroke<'_>) -> String {
    let dash = if stroke.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let opacity = if stroke.opacity < 1.0 { format!(" stroke-opacity=\"{}\"", stroke.opacity) } else { String::new() };
    format!(" stroke=\"{}\" stroke-width=\"{}\"{dash}{opacity}", stroke.color, stroke.width)
}

/// Font of tick labels and legends.
pub(crate) fn small(anchor: TextAnchor) -> Font<'static> {
    Font::new(12.0, palette::AXIS, anchor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_well_formed_and_escaped() {
        let mut svg = Svg::default();
        svg.line((0.0, 0.0), (1.0, 1.0), Stroke::dashed("#000", 1.0).faded(0.5));
        svg.polyline(&[(0.0, 0.001), (1.0, 2.0)], Stroke::solid("#000", 1.0));
        svg.polygon(&[(0.0, 0.0), (1.0, 2.0), (3.0, 1.0)], "#000", 0.2);
        svg.text((1.0, 2.0), "a < b & \"c\"", small(TextAnchor::End));
        for index in 0..5 {
            svg.point((1.0, 2.0), Marker::category(index), 3.0, "#000", index % 2 == 0, "z < 4");
        }
        svg.point((1.0, 2.0), Marker::Cross, 3.0, "#000", true, "z & 4");
        let text = svg.finish(10.0, 20.5, "<label>");
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.root_element().attribute("aria-label"), Some("<label>"));
        assert_eq!(
            document.descendants().filter(|n| n.has_tag_name("title") || n.tag_name().name() == "title").count(),
            6
        );
        assert!(document.descendants().any(|n| n.text() == Some("a < b & \"c\"")));
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(pixel(-0.001), "0");
        assert_eq!(pixel(10.0), "10");
        assert_eq!(pixel(10.126), "10.13");
    }
}
