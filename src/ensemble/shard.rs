//! Which part of a study a process does.

use std::fmt;
use std::str::FromStr;

/// A part of the work: its number and the number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Whether this is all of the work.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Whether the unit of this number, from 0, belongs to this part: units are dealt out in turn.
    pub fn owns(self, unit: usize) -> bool {
        unit % self.count == self.index - 1
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("expected I/N with I from 1 to N, for instance 2/4".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one_and_own_every_unit_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(shards[1].to_string(), "2/3");
        for unit in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.owns(unit)).count(), 1);
        }
        assert!(Shard::default().is_whole() && (0..10).all(|unit| Shard::WHOLE.owns(unit)) && !shards[0].is_whole());
        for text in ["0/4", "5/4", "1", "1/0", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().unwrap_err().contains("for instance 2/4"), "{text}");
        }
    }
}
