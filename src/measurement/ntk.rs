//! The empirical NTK: entries, spectrum, alignments, changes, shares of layers.

use burn::tensor::DType;
use widthwise_probes::{
    KernelSummary, centred_alignment, effective_rank, label_overlap, relative_distance, target_alignment, trace_shares,
    velocity,
};
use widthwise_statistics::information::InformationError;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct Ntk;

impl Measure for Ntk {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let (ntk, targets) = (&shared.ntk().total, &shared.data.probe_targets);
        let (_, dtype) = shared.network.placement();
        let epsilon = if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let (summary, leading) = KernelSummary::with_leading(ntk, targets.ncols());
        let mut push = |quantity, value: Option<f64>| found.measured.push(Measured::new(quantity, value));
        push(Quantity::NtkMeanDiagonal, Some(summary.mean_diagonal));
        push(Quantity::NtkMeanOffDiagonal, Some(summary.mean_off_diagonal));
        push(Quantity::NtkTrace, Some(summary.mean_diagonal * ntk.nrows() as f64));
        let ranked = [Quantity::NtkTopEigenvalue, Quantity::NtkSecondEigenvalue, Quantity::NtkThirdEigenvalue];
        for (quantity, eigenvalue) in ranked.into_iter().zip(&summary.eigenvalues) {
            push(quantity, Some(*eigenvalue));
        }
        push(Quantity::NtkConditionNumber, summary.condition_number(epsilon));
        push(Quantity::NtkEffectiveRank, Some(effective_rank(&summary.eigenvalues)));
        if let Some(initial) = shared.past.ntk {
            push(Quantity::NtkRelativeChange, Some(relative_distance(ntk, initial)));
            push(Quantity::NtkInitialCka, Some(centred_alignment(ntk, initial)));
        }
        if let Some((previous, steps)) = shared.past.previous_ntk {
            push(Quantity::NtkVelocity, Some(velocity(ntk, previous, steps)));
        }
        push(Quantity::NtkTargetAlignment, Some(target_alignment(ntk, targets)));
        push(Quantity::NtkLabelOverlap, leading.map(|leading| label_overlap(&leading, targets)));
        for (layer, share) in (1..).zip(trace_shares(&shared.ntk().by_layer)) {
            found.measured.push(Measured::new(Quantity::NtkLayerShare, share).of_layer(layer));
        }
        Ok(())
    }
}
