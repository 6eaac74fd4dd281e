//! Overview of all claims: z on a line a subject, coloured by verdict.

use super::super::claims::{Claims, word};
use super::super::quantity;
use super::super::read::Records;
use super::super::select::{error_sentence, finite, in_order, subject, tooltip};
use super::{Figure, sentences};
use crate::plot::palette;
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, draw_legend};
use crate::plot::svg::{Font, Marker, Stroke, Svg, TextAnchor, small, text_width};
use crate::quantity::Quantity;
use crate::record::row::Row;
use crate::verdict::Verdict;

/// Half width of the shaded band, in standard errors.
const BAND: f64 = 4.0;
/// With more subjects than this, the layers of a quantity share a line.
const MOST_LINES: usize = 48;
const LINE: f64 = 21.0;
const WIDTH: f64 = 920.0;
const EDGE: f64 = 20.0;

/// Rows that stand on one line.
struct AgreementRow<'a> {
    label: String,
    rows: Vec<&'a Row>,
}

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let claims = Claims::of(records);
    let rows: Vec<&Row> = claims.rows.iter().copied().filter(|r| finite(r.z).is_some()).collect();
    if rows.is_empty() {
        return None;
    }
    let lines = lines(&rows);
    let absent = claims.rows.len() - rows.len();
    let note = format!("Not drawn: {absent} without a finite z.");
    let bounded = rows.iter().any(|r| Quantity::is_bounded(&r.quantity));
    let caption = sentences(&[
        "z = (measured − predicted) / standard error of every comparison, the first step uppermost on its line. \
         The shaded band is |z| ≤ 4; the axis is linear near zero and logarithmic beyond.",
        if bounded { "Where theory gives an upper bound, only a z above zero speaks against it." } else { "" },
        if absent > 0 { &note } else { "" },
        &error_sentence(rows.iter().copied()),
    ]);
    let title = "Agreement overview";
    Some(Figure {
        name: "agreement",
        title,
        caption,
        svg: image(&lines, &rows),
        quantities: Vec::new(),
        layered: false,
    })
}

fn lines<'a>(rows: &[&'a Row]) -> Vec<AgreementRow<'a>> {
    let rows = in_order(rows.to_vec());
    let merged = rows.chunk_by(|a, b| subject(a) == subject(b)).count() > MOST_LINES;
    let together = |a: &&Row, b: &&Row| if merged { a.quantity == b.quantity } else { subject(a) == subject(b) };
    let mut lines = Vec::new();
    for rows in rows.chunk_by(together) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|r| r.step);
        let name =
            if merged { quantity::label(&rows[0].quantity).into_owned() } else { quantity::subject_label(rows[0]) };
        lines.push(AgreementRow { label: name, rows });
    }
    lines
}

fn style(verdict: Verdict) -> (Marker, &'static str) {
    match verdict {
        Verdict::Agrees => (Marker::Circle, palette::GREEN),
        Verdict::Disagrees => (Marker::Cross, palette::VERMILLION),
        Verdict::Undecided => (Marker::Diamond, palette::ORANGE),
        Verdict::NoPrediction => (Marker::Square, palette::AXIS),
    }
}

fn image(lines: &[AgreementRow<'_>], rows: &[&Row]) -> String {
    let largest = rows.iter().filter_map(|r| finite(r.z)).map(f64::abs).fold(BAND, f64::max);
    let scale = Scale::SignedLog { limit: (1.15 * largest).max(6.0) };
    let mut svg = Svg::default();
    let legend: Vec<LegendEntry> = [Verdict::Agrees, Verdict::Undecided, Verdict::Disagrees]
        .into_iter()
        .map(|verdict| {
            let (shape, color) = style(verdict);
            let count = rows.iter().filter(|r| r.verdict == Some(verdict)).count();
            LegendEntry::new(
                Sample::Point { shape, color: color.to_owned(), filled: true },
                format!("{} ({count})", word(verdict)),
            )
        })
        .chain([LegendEntry::new(Sample::Band(palette::GREEN), "|z| ≤ 4")])
        .collect();
    let top = draw_legend(&mut svg, &legend, WIDTH) + 16.0;
    let bottom = top + LINE * lines.len() as f64;
    let left = EDGE + lines.iter().map(|l| text_width(&l.label, 12.0)).fold(0.0, f64::max) + 12.0;
    let width = WIDTH - EDGE - left;
    let across = |z: f64| left + width * scale.position(z);
    svg.rect((across(-BAND), top), (across(BAND) - across(-BAND), bottom - top), palette::GREEN, 0.1);
    for tick in scale.ticks() {
        let x = left + width * tick.position;
        let zero = tick.label.as_deref() == Some("0");
        svg.line((x, top), (x, bottom), Stroke::solid(if zero { palette::AXIS } else { palette::GRID }, 1.0));
        svg.line((x, bottom), (x, bottom + 4.5), Stroke::solid(palette::AXIS, 1.0));
        svg.text((x, bottom + 18.0), tick.label.as_deref().unwrap_or_default(), small(TextAnchor::Middle));
    }
    for (index, line) in lines.iter().enumerate() {
        let middle = top + LINE * (index as f64 + 0.5);
        let same =
            index > 0 && lines[index - 1].rows.first().map(|r| &r.quantity) == line.rows.first().map(|r| &r.quantity);
        let rule = if same { Stroke::solid(palette::GRID, 0.6) } else { Stroke::solid("#c9d0d8", 1.0) };
        svg.line((EDGE, middle - 0.5 * LINE), (WIDTH - EDGE, middle - 0.5 * LINE), rule);
        svg.text((left - 12.0, middle + 4.2), &line.label, Font::new(12.0, palette::INK, TextAnchor::End));
        draw_line(&mut svg, line, middle, &across);
    }
    svg.line((left, bottom), (left + width, bottom), Stroke::solid(palette::AXIS, 1.0));
    let label = Font::new(12.5, palette::INK, TextAnchor::Middle);
    svg.text((left + 0.5 * width, bottom + 38.0), "z = (measured − predicted) / standard error", label);
    svg.finish(WIDTH, bottom + 52.0, "z of every comparison with a prediction")
}

fn draw_line(svg: &mut Svg, line: &AgreementRow<'_>, middle: f64, across: &impl Fn(f64) -> f64) {
    let count = line.rows.len();
    for (place, row) in line.rows.iter().enumerate() {
        let Some(z) = finite(row.z) else { continue };
        let spread = if count > 1 { 9.0 * (place as f64 / (count - 1) as f64 - 0.5) } else { 0.0 };
        let (shape, color) = style(row.verdict.unwrap_or(Verdict::NoPrediction));
        svg.point((across(z), middle + spread), shape, 3.6, color, true, &tooltip(row));
    }
}
