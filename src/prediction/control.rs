//! Negative controls: theory altered on purpose, to see that the comparison notices.

use widthwise_theory::architecture::Architecture;

use crate::config::ControlConfig;

/// Whether a negative control changes anything about the theory of `architecture`.
pub(crate) fn has_control(control: &ControlConfig, architecture: &Architecture) -> bool {
    control.nngp_for_ntk || control.time_factor != 1.0 || controlled(architecture, control) != *architecture
}

/// The step that theory is asked for in place of `step`: another one under a control of time.
pub(crate) fn control_step(control: &ControlConfig, step: u64) -> u64 {
    (step as f64 * control.time_factor).round() as u64
}

/// The architecture as a negative control misunderstands it.
pub(super) fn controlled(architecture: &Architecture, control: &ControlConfig) -> Architecture {
    let mut changed = architecture.clone();
    for layer in &mut changed.layers {
        layer.change_variances(&mut |init| {
            init.sigma_w2 *= control.sigma_w2_factor;
            if control.drop_bias {
                init.sigma_b2 = 0.0;
            }
        });
    }
    changed
}
