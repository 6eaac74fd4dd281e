//! Deliberate errors in theory, as the user writes them: `sigma-w2-factor=1.1`.

use std::str::FromStr;

use widthwise::config::ControlConfig;

/// A deliberate error in theory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Control {
    /// Theory sees sigma_w2 times this factor.
    SigmaW2Factor(f64),
    /// Theory sees time times this factor.
    TimeFactor(f64),
    /// Theory forgets the biases.
    DropBias,
    /// Theory takes the NNGP kernel for the NTK.
    NngpForNtk,
}

impl FromStr for Control {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("sigma-w2-factor", Some(value)) => Ok(Self::SigmaW2Factor(factor(value)?)),
            ("time-factor", Some(value)) => Ok(Self::TimeFactor(factor(value)?)),
            ("drop-bias", None) => Ok(Self::DropBias),
            ("nngp-for-ntk", None) => Ok(Self::NngpForNtk),
            ("sigma-w2-factor" | "time-factor", None) => Err(format!("{name} needs a factor, for instance {name}=1.1")),
            ("drop-bias" | "nngp-for-ntk", Some(_)) => Err(format!("{name} takes no value")),
            _ => Err("expected sigma-w2-factor=F, time-factor=F, drop-bias or nngp-for-ntk".to_owned()),
        }
    }
}

fn factor(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| format!("the factor {text} is not a number above 0"))
}

impl Control {
    /// Puts the error into a configuration.
    pub(crate) fn apply(self, config: &mut ControlConfig) {
        match self {
            Self::SigmaW2Factor(factor) => config.sigma_w2_factor = factor,
            Self::TimeFactor(factor) => config.time_factor = factor,
            Self::DropBias => config.drop_bias = true,
            Self::NngpForNtk => config.nngp_for_ntk = true,
        }
    }

    /// What theory is given, in words.
    pub(crate) fn description(self) -> String {
        match self {
            Self::SigmaW2Factor(factor) => format!("sigma_w2 times {factor}"),
            Self::TimeFactor(factor) => format!("time times {factor}"),
            Self::DropBias => "no biases".to_owned(),
            Self::NngpForNtk => "the NNGP kernel for the NTK".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_their_configuration() {
        let mut config = ControlConfig::default();
        for text in ["sigma-w2-factor=1.1", "time-factor=2", "drop-bias", "nngp-for-ntk"] {
            text.parse::<Control>().unwrap().apply(&mut config);
        }
        let expected = ControlConfig { sigma_w2_factor: 1.1, time_factor: 2.0, drop_bias: true, nngp_for_ntk: true };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_malformed_control_is_refused_with_what_to_type() {
        for (text, expected) in [
            ("bias", "expected sigma-w2-factor=F"),
            ("time-factor", "for instance time-factor=1.1"),
            ("time-factor=0", "not a number above 0"),
            ("sigma-w2-factor=nan", "not a number above 0"),
            ("drop-bias=true", "takes no value"),
        ] {
            let message = text.parse::<Control>().unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
