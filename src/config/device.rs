//! Where to compute.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `run.device`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// Burn's maintained CPU backend.
    Flex,
    /// Burn's deprecated ndarray backend (cargo feature `ndarray`).
    Ndarray,
    /// GPUs, or a software Vulkan driver (cargo feature `wgpu`).
    Wgpu,
    /// NVIDIA's GPUs (cargo feature `cuda`).
    Cuda,
}

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Flex, Self::Ndarray, Self::Wgpu, Self::Cuda];

    /// Its name in configurations, on the command line and among cargo features.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }
}

impl FromStr for DeviceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|device| device.name() == text);
        found.ok_or_else(|| format!("no device is called {text}; there are {}", names()))
    }
}
