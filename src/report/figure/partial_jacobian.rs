//! Averaged partial Jacobian norms over the layers, one series an earlier layer, one panel a step.

use super::super::read::Records;
use super::super::select::{end_steps, error_sentence};
use super::over_layers::{Series, entry, panel, shared_entries};
use super::{Figure, sentences};
use crate::plot::sheet::render;
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantity = Quantity::PartialJacobianNorm.name();
    let mut rows = records.ensemble(quantity);
    rows.retain(|r| r.layer.is_some());
    let mut origins: Vec<Option<usize>> = rows.iter().map(|r| r.layer_from).collect();
    origins.sort_unstable();
    origins.dedup();
    let mut panels = Vec::new();
    for step in end_steps(&rows) {
        let series: Vec<Series<'_>> = origins
            .iter()
            .enumerate()
            .map(|(index, origin)| Series {
                index,
                rows: rows.iter().copied().filter(|r| r.step == step && r.layer_from == *origin).collect(),
                levels: Vec::new(),
            })
            .filter(|s| !s.rows.is_empty())
            .collect();
        panels.extend(panel(format!("Step {step}"), "partial Jacobian norm", &series));
    }
    if panels.is_empty() {
        return None;
    }
    let mut legend: Vec<_> = origins
        .iter()
        .enumerate()
        .map(|(index, origin)| {
            entry(index, origin.map_or_else(|| "norm".to_owned(), |from| format!("from layer {from}")))
        })
        .collect();
    legend.extend(shared_entries(rows.iter().copied()));
    let caption = sentences(&[
        "Partial Jacobian norm of the pre-activations of a layer with respect to those of an earlier layer, mean over the \
         ensemble at the first and at the last step. Points are shifted sideways to keep them apart.",
        "Diamonds and dashed lines, where drawn, are the prediction; bars, one standard error either side.",
        &error_sentence(rows.iter().copied()),
    ]);
    let title = "Partial Jacobian norms";
    Some(Figure {
        name: "partial_jacobian",
        title,
        caption,
        svg: render(&panels, 2, &legend, title),
        quantities: vec![quantity],
        layered: true,
    })
}
