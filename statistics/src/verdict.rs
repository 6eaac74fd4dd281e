//! What comparisons come to, one and many.

use serde::{Deserialize, Serialize};

/// Whether a comparison says that theory and experiment agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Within the stated error, and the error is small enough to tell.
    Agrees,
    /// Outside the stated error after correction for the number of claims.
    Disagrees,
    /// Not enough evidence for either.
    Undecided,
    /// Theory makes no prediction for this number.
    NoPrediction,
}

impl Verdict {
    /// Of several comparisons that are asked about together: disagreement if one disagrees, agreement if some agree and none is
    /// undecided. Numbers without a prediction decide nothing.
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts
            .into_iter()
            .filter(|verdict| *verdict != Self::NoPrediction)
            .fold(None, |found, verdict| match (found, verdict) {
                (Some(Self::Disagrees), _) | (_, Self::Disagrees) => Some(Self::Disagrees),
                (Some(Self::Undecided), _) => Some(Self::Undecided),
                (_, verdict) => Some(verdict),
            })
            .unwrap_or(Self::Undecided)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Agrees, Disagrees, NoPrediction, Undecided};

    #[test]
    fn one_disagreement_decides_and_an_undecided_one_spoils_agreement() {
        for (verdicts, expected) in [
            (&[Agrees, NoPrediction][..], Agrees),
            (&[NoPrediction, Agrees, Agrees], Agrees),
            (&[Agrees, Undecided], Undecided),
            (&[Undecided, Agrees], Undecided),
            (&[Undecided, Disagrees, Agrees], Disagrees),
            (&[Disagrees, Undecided], Disagrees),
            (&[NoPrediction], Undecided),
            (&[], Undecided),
        ] {
            assert_eq!(Verdict::of_all(verdicts.iter().copied()), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn verdicts_are_written_in_words() {
        assert_eq!(serde_json::to_string(&[Agrees, NoPrediction]).unwrap(), r#"["agrees","no-prediction"]"#);
    }
}
