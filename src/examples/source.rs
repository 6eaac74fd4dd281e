//! Where examples come from, as the user writes it: `FILE.csv`, `FILE.npy`, `NAME:SPLIT[:COUNT]` or
//! `CONFIG.toml:SPLIT[:COUNT]` with the split `train` or `test`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One half of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSplit {
    /// Training examples.
    Train,
    /// Test examples.
    Test,
}

/// A source of examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Numbers in a `.csv` or `.npy` file, one row an example.
    File(PathBuf),
    /// A split of a data set.
    Set {
        /// Which data set.
        set: SetName,
        /// Which half.
        split: DataSplit,
        /// Number of examples, where it is not that of the configuration, or all.
        count: Option<usize>,
    },
}

/// A data set and its preprocessing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetName {
    /// A known name, with the preprocessing that an experiment has by default.
    Known(String),
    /// `[dataset]` and `run.seed` of a configuration.
    Config(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if lower.ends_with(".csv") || lower.ends_with(".npy") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let refuse = || {
            "expected a .csv or a .npy file, a data set as NAME:train or NAME:test, or CONFIG.toml:train, each with :COUNT \
             after it if need be, for instance mnist:train:2000"
                .to_owned()
        };
        let (rest, last) = text.rsplit_once(':').ok_or_else(refuse)?;
        let (name, split, count) = match last {
            "train" | "test" => (rest, last, None),
            count => {
                let count: usize = count.parse().map_err(|_| refuse())?;
                let (name, split) = rest.rsplit_once(':').ok_or_else(refuse)?;
                (name, split, Some(count))
            }
        };
        let split = match split {
            "train" => DataSplit::Train,
            "test" => DataSplit::Test,
            _ => return Err(refuse()),
        };
        if name.is_empty() || count == Some(0) {
            return Err(refuse());
        }
        let is_config = name.to_ascii_lowercase().ends_with(".toml");
        let set = if is_config { SetName::Config(PathBuf::from(name)) } else { SetName::Known(name.to_owned()) };
        Ok(Self::Set { set, split, count })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Set { set, split, count } => {
                match set {
                    SetName::Known(name) => f.write_str(name)?,
                    SetName::Config(path) => write!(f, "{}", path.display())?,
                }
                f.write_str(if *split == DataSplit::Train { ":train" } else { ":test" })?;
                count.map_or(Ok(()), |count| write!(f, ":{count}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_shown() {
        for text in ["x.csv", "a b/x.NPY", "C:x.npy", "mnist:train", "mnist:test:10", "my/net.toml:train:5"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        let set = SetName::Config(PathBuf::from("a:b.toml"));
        let expected = Source::Set { set, split: DataSplit::Test, count: None };
        assert_eq!("a:b.toml:test".parse(), Ok(expected));
        for wrong in ["x.txt", "mnist", "mnist:", "mnist:all", "mnist:train:0", "mnist:train:x", ":train", "mnist:5"] {
            assert!(wrong.parse::<Source>().unwrap_err().contains(".csv or a .npy"), "{wrong}");
        }
    }
}
