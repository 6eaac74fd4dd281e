//! Amounts of memory: as the user writes them, as the system counts those of this process, and as it has them to give.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use thiserror::Error;

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
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// The number behind `name` in a text of lines such as `VmRSS:    1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<Bytes> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes.saturating_mul(1024)))
}

/// Who gives memory to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// The machine.
    Machine,
    /// The control group of the process, or one above it: a container, a job of a scheduler.
    ControlGroup,
    /// The limit of the process's address space (`ulimit -v`).
    AddressSpace,
}

/// Memory that this process may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// How much.
    pub bytes: Bytes,
    /// Who sets the bound.
    pub giver: Giver,
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded down, unlike what is needed.
        write!(f, "{}MiB are free ", self.bytes.0 >> 20)?;
        f.write_str(match self.giver {
            Giver::Machine => "on this machine",
            Giver::ControlGroup => "in the control group of this process",
            Giver::AddressSpace => "in the address space of this process (ulimit -v)",
        })
    }
}

/// A need above what is free.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at least {need} of memory are needed for {what}, but only {free}; {way_out}")]
pub struct OutOfMemory {
    /// What needs it.
    pub what: String,
    /// How much.
    pub need: Bytes,
    /// How much there is.
    pub free: Free,
    /// What to do.
    pub way_out: String,
}

/// What this process may still take, where the system tells: the least of what the machine has available, what control groups
/// leave next to pages of files, which they can let go, and what is left of the address space.
pub fn free() -> Option<Free> {
    free_below(Path::new("/"))
}

/// Refuses a need above what is free; where the system does not tell, nothing is refused.
///
/// # Errors
/// One sentence with the need, what is free, and `way_out`.
pub fn expect_free(need: Bytes, what: &str, way_out: &str) -> Result<(), OutOfMemory> {
    match free() {
        Some(free) if need > free.bytes => {
            Err(OutOfMemory { what: what.to_owned(), need, free, way_out: way_out.to_owned() })
        }
        _ => Ok(()),
    }
}

/// The same for a file system below `root`.
fn free_below(root: &Path) -> Option<Free> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
    let address_space = || {
        let limits = read("proc/self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
        let taken = kibibytes(&read("proc/self/status")?, "VmSize:")?;
        Some(Bytes(limit.saturating_sub(taken.0)))
    };
    let found = [
        (machine, Giver::Machine),
        (left_by_groups(root), Giver::ControlGroup),
        (address_space(), Giver::AddressSpace),
    ];
    let found = found.into_iter().filter_map(|(bytes, giver)| Some(Free { bytes: bytes?, giver }));
    found.min_by_key(|free| free.bytes)
}

/// The least that a control group of this process leaves, of both versions and at all levels.
fn left_by_groups(root: &Path) -> Option<Bytes> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut least: Option<Bytes> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, [limit, usage], cache) = match controllers {
            "" => ("sys/fs/cgroup", ["memory.max", "memory.current"], ["inactive_file", "active_file"]),
            v1 if v1.split(',').any(|controller| controller == "memory") => (
                "sys/fs/cgroup/memory",
                ["memory.limit_in_bytes", "memory.usage_in_bytes"],
                ["total_inactive_file", "total_active_file"],
            ),
            _ => continue,
        };
        // In a container the path may be that of the host, and the mount the group itself.
        for level in Path::new(path.trim_start_matches('/')).ancestors() {
            let folder = root.join(mount).join(level);
            let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
            let (Some(limit), Some(usage)) = (number(limit), number(usage)) else { continue };
            let of_files: u64 = text("memory.stat").map_or(0, |stat| {
                let entries = stat.lines().filter_map(|line| line.split_once(' '));
                entries.filter(|(name, _)| cache.contains(name)).filter_map(|(_, n)| n.trim().parse::<u64>().ok()).sum()
            });
            let left = Bytes(limit.saturating_sub(usage.saturating_sub(of_files)));
            least = Some(least.map_or(left, |least| least.min(left)));
        }
    }
    least
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

    #[test]
    fn what_is_free_is_the_least_of_what_machine_groups_and_limits_leave() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let found = || free_below(root.path()).map(|free| (free.bytes.0, free.giver));
        assert_eq!(found(), None);
        write("proc/meminfo", "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:  4000 kB\n");
        assert_eq!(found(), Some((4_096_000, Giver::Machine)));
        // Version 2, two levels; pages of files can go.
        write("proc/self/cgroup", "0::/job/step\n");
        write("sys/fs/cgroup/job/step/memory.max", "max\n");
        write("sys/fs/cgroup/job/step/memory.current", "5000\n");
        write("sys/fs/cgroup/job/memory.max", "900000\n");
        write("sys/fs/cgroup/job/memory.current", "500000\n");
        assert_eq!(found(), Some((400_000, Giver::ControlGroup)));
        write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 200000\nactive_file 1000\nfile 9\n");
        assert_eq!(found(), Some((601_000, Giver::ControlGroup)));
        // Version 1; the path is the host's, and the mount the group itself.
        write("proc/self/cgroup", "4:memory,cpu:/docker/abc\n1:cpuset:/\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n");
        write("sys/fs/cgroup/memory/memory.usage_in_bytes", "800000\n");
        assert_eq!(found(), Some((0, Giver::ControlGroup)));
        write("sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 300000\n");
        assert_eq!(found(), Some((200_000, Giver::ControlGroup)));
        write(
            "proc/self/limits",
            "Max cpu time  unlimited  unlimited  seconds\nMax address space  150000  200000  bytes\n",
        );
        write("proc/self/status", "VmSize:  100 kB\nVmRSS:  50 kB\n");
        assert_eq!(found(), Some((150_000 - 102_400, Giver::AddressSpace)));
    }

    #[test]
    fn a_need_above_what_is_free_is_refused_in_a_sentence() {
        assert_eq!(expect_free(Bytes(1), "a network", "lower its width"), Ok(()));
        if let Some(free) = free() {
            let message = expect_free(Bytes(u64::MAX), "a network", "lower its width").unwrap_err().to_string();
            let who = free.to_string().split(" free ").nth(1).unwrap().to_owned();
            assert!(
                message.starts_with("at least 17179869184GiB of memory are needed for a network, but only "),
                "{message}"
            );
            assert!(message.ends_with(&format!("free {who}; lower its width")), "{message}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_is_not_below_the_present() {
        let now = resident().unwrap();
        assert!(now.0 > 0 && peak_resident().unwrap() >= now);
    }
}
