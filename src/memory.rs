//! Amounts of memory: as the user writes them, and as the system counts those of this process.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Units, largest first; those without the `i` are powers of ten.
const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

impl Bytes {
    /// This many bytes; more than fit are as many as fit.
    pub fn of(count: usize) -> Self {
        Self(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || "expected a number and a unit, for instance 300MiB or 2GiB".to_owned();
        let lower = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(unit, _)| lower.ends_with(unit));
        let (number, unit) =
            unit.map_or((lower.as_str(), 1), |(unit, size)| (&lower[..lower.len() - unit.len()], *size));
        let number: f64 = number.trim().parse().map_err(|_| refuse())?;
        let bytes = (number * unit as f64).floor();
        // Beyond the largest whole number of the type lies no memory either.
        if (1.0..1e18).contains(&bytes) { Ok(Self(bytes as u64)) } else { Err(refuse()) }
    }
}

impl fmt::Display for Bytes {
    /// Rounded up, so that what is shown is enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        if self.0 < 10 * 1024 * MIB {
            write!(f, "{}MiB", self.0.div_ceil(MIB))
        } else {
            write!(f, "{}GiB", self.0.div_ceil(1024 * MIB))
        }
    }
}

/// Memory that this process holds now, where the system tells.
pub fn resident() -> Option<Bytes> {
    status("VmRSS:")
}

/// The most memory that this process has held, where the system tells.
pub fn peak_resident() -> Option<Bytes> {
    status("VmHWM:")
}

fn status(name: &str) -> Option<Bytes> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown() {
        let read = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.0);
        assert_eq!(read("2GiB"), Ok(1 << 31));
        assert_eq!(read("300 MiB"), Ok(300 << 20));
        assert_eq!([read("1.5kb"), read("7"), read("7B")], [Ok(1500), Ok(7), Ok(7)]);
        for wrong in ["", "GiB", "2 GiBs", "-1MiB", "nan", "inf", "0", "1e30"] {
            assert!(read(wrong).unwrap_err().contains("300MiB"), "{wrong}");
        }
        assert_eq!(Bytes((300 << 20) + 1).to_string(), "301MiB");
        assert_eq!(Bytes(16 << 30).to_string(), "16GiB");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_not_below_the_present() {
        let now = resident().unwrap();
        assert!(now.0 > 0 && peak_resident().unwrap() >= now);
    }
}
