//! How Gaussian the pre-activations are, over the layers, at the first and the last step.

use super::super::plot::sheet::render;
use super::super::quantity;
use super::super::read::Records;
use super::super::select::{end_steps, error_sentence};
use super::over_layers::{Series, entry, panel, shared_entries};
use super::over_steps::capitalized;
use super::{Figure, sentences};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let mut panels = Vec::new();
    let mut shown = Vec::new();
    let mut drawn = Vec::new();
    let known = ["kurtosis", "preactivation_variance", "skewness", "ks_distance"];
    let all: Vec<_> = known
        .into_iter()
        .map(|quantity| {
            let mut rows = records.ensemble(quantity);
            rows.retain(|r| r.layer.is_some());
            (quantity, rows)
        })
        .collect();
    let steps = end_steps(&all.iter().flat_map(|(_, rows)| rows.iter().copied()).collect::<Vec<_>>());
    for (quantity, rows) in all {
        let series: Vec<Series<'_>> = steps
            .iter()
            .enumerate()
            .map(|(index, &step)| Series { index, rows: rows.iter().copied().filter(|r| r.step == step).collect() })
            .filter(|s| !s.rows.is_empty())
            .collect();
        if let Some(panel) = panel(capitalized(quantity::label(quantity)), &series) {
            panels.push(panel);
            drawn.push(quantity);
            shown.extend(series.iter().flat_map(|s| s.rows.iter().copied()));
        }
    }
    if panels.is_empty() {
        return None;
    }
    let mut legend: Vec<_> =
        steps.iter().enumerate().map(|(index, step)| entry(index, format!("step {step}"))).collect();
    legend.extend(shared_entries(shown.iter().copied()));
    let about = if drawn.contains(&"kurtosis") {
        "Moments of the pre-activations of each layer, mean over the ensemble. The kurtosis \
         E z⁴ / (E z²)² is 3 for a Gaussian."
    } else {
        "Moments of the pre-activations of each layer, mean over the ensemble."
    };
    let caption = sentences(&[
        about,
        "Diamonds and dashed lines, where drawn, are the prediction; bars, one standard error either side.",
        &error_sentence(shown.iter().copied()),
    ]);
    let title = "Gaussianity of pre-activations";
    Some(Figure {
        name: "gaussianity",
        title,
        caption,
        svg: render(&panels, 2, &legend, title),
        quantities: drawn,
        layered: true,
    })
}
