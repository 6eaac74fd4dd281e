//! How Gaussian the pre-activations are, over the layers, at the first and the last step.

use super::super::read::Records;
use super::Figure;
use super::over_layers::figure;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let about = if records.ensemble("kurtosis").is_empty() {
        "Moments of the pre-activations of each layer, mean over the ensemble."
    } else {
        "Moments of the pre-activations of each layer, mean over the ensemble. The kurtosis \
         E z⁴ / (E z²)², without the bias of few values, is 3 for a Gaussian."
    };
    let quantities = ["kurtosis", "preactivation_variance", "skewness", "ks_distance"];
    figure(records, "gaussianity", "Gaussianity of pre-activations", about, &quantities)
}
