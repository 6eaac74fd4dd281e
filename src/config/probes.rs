//! `[probes]`: what is measured of every member, and when.

use serde::{Deserialize, Serialize};

use crate::quantity::{Probe, probes_with_switch};

macro_rules! probes_config {
    ($($probe:ident $key:ident),*) => {
        /// `[probes]`
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ProbesConfig {
            /// When to measure.
            pub schedule: Schedule,
            /// Examples that the probes read: the first of the training subset.
            pub examples: usize,
            /// Empirical NTK, and what is read off it or costs no more.
            pub ntk: ProbeConfig,
            /// Random vectors an example and layer of the partial-Jacobian probe; 0 turns it off.
            pub jacobian_vectors: usize,
            /// Examples of the partial-Jacobian probe.
            pub jacobian_examples: usize,
            /// Information plane.
            pub information: ProbeConfig,
            /// Bins of the binning estimator over the range of each layer.
            pub information_bins: usize,
            /// Noise variance of the KDE bounds, the same for every unit, in units of the mean squared norm `|t|^2` of what the layer hands on: its
            /// activations, the outputs for the readout.
            pub information_noise: f64,
            /// Moments and KS distance of pre-activations.
            pub gaussianity: bool,
            $(
                #[doc = concat!("The probe `", stringify!($key), "`; on where it is left out.")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $key: Option<ProbeConfig>,
            )*
        }

        impl Default for ProbesConfig {
            fn default() -> Self {
                Self {
                    schedule: Schedule::Log(14),
                    examples: 128,
                    ntk: ProbeConfig::ON,
                    jacobian_vectors: 1,
                    jacobian_examples: 32,
                    information: ProbeConfig::ON,
                    information_bins: 30,
                    information_noise: 0.1,
                    gaussianity: true,
                    $($key: None,)*
                }
            }
        }

        impl ProbesConfig {
            /// The key of a probe that has one of its name and what stands there.
            fn with_switch(&self, probe: Probe) -> Option<(&'static [&'static str; 1], ProbeConfig)> {
                match probe {
                    $(Probe::$probe => {
                        Some((&[concat!("probes.", stringify!($key))], self.$key.unwrap_or(ProbeConfig::ON)))
                    })*
                    _ => None,
                }
            }
        }
    };
}
probes_with_switch!(probes_config);

/// A probe: a switch, or a table that turns it on with a schedule of its own. What a switch can say is written as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ProbeWritten", into = "ProbeWritten")]
pub struct ProbeConfig {
    /// Whether it is taken.
    pub is_on: bool,
    /// When, if not at the steps of `probes.schedule`.
    pub schedule: Option<Schedule>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ProbeWritten {
    Switch(bool),
    Own(OwnOptions),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
}

impl ProbeConfig {
    /// On, at the steps of `probes.schedule`.
    pub const ON: Self = Self { is_on: true, schedule: None };
}

impl From<ProbeWritten> for ProbeConfig {
    fn from(written: ProbeWritten) -> Self {
        match written {
            ProbeWritten::Switch(is_on) => Self { is_on, schedule: None },
            ProbeWritten::Own(OwnOptions { schedule }) => Self { is_on: true, schedule },
        }
    }
}

impl From<ProbeConfig> for ProbeWritten {
    fn from(probe: ProbeConfig) -> Self {
        match probe {
            ProbeConfig { is_on: true, schedule: schedule @ Some(_) } => Self::Own(OwnOptions { schedule }),
            ProbeConfig { is_on, .. } => Self::Switch(is_on),
        }
    }
}

impl ProbesConfig {
    /// The key of `probe` and what stands there; nothing for one that is always taken at the steps of `probes.schedule`, or at the ends.
    fn own(&self, probe: Probe) -> Option<(&'static [&'static str; 1], ProbeConfig)> {
        Some(match probe {
            Probe::Evaluation => return None,
            Probe::Ntk | Probe::GradientCovariance => (&["probes.ntk"], self.ntk),
            Probe::InformationBinning | Probe::InformationKde => (&["probes.information"], self.information),
            Probe::Gaussianity => (&["probes.gaussianity"], ProbeConfig { is_on: self.gaussianity, schedule: None }),
            _ => return self.with_switch(probe),
        })
    }

    /// The key that turns `probe` off and a value that turns it on, where it is off.
    pub(super) fn switched_off(&self, probe: Probe) -> Option<(&'static [&'static str; 1], &'static str)> {
        if probe == Probe::PartialJacobian && self.jacobian_vectors == 0 {
            return Some((&["probes.jacobian_vectors"], "1"));
        }
        self.own(probe).filter(|(_, own)| !own.is_on).map(|(key, _)| (key, "true"))
    }

    /// Whether a key turns `probe` off.
    pub fn has_switch(&self, probe: Probe) -> bool {
        self.own(probe).is_some()
    }

    /// Whether `probe` is taken.
    pub fn is_on(&self, probe: Probe) -> bool {
        self.switched_off(probe).is_none()
    }

    /// The schedule of `probe` and its key, where it has one of its own.
    pub fn own_schedule(&self, probe: Probe) -> Option<(&'static [&'static str; 1], Schedule)> {
        let (key, own) = self.own(probe).filter(|_| self.is_on(probe))?;
        own.schedule.map(|schedule| (key, schedule))
    }
}

/// `probes.schedule`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// This many log-spaced steps from 1 to the last, besides step 0.
    Log(usize),
    /// Step 0 and every n-th.
    Every(u64),
    /// Only step 0 and the last.
    Ends,
}
