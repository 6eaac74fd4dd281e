//! Where tensors live: from the name in a configuration to a device that is there.

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

use crate::config::DeviceKind;
use crate::error::{Result, ensure};

/// The device of that kind.
///
/// # Errors
/// A kind that was not built in, or hardware that this machine has not.
pub fn open(kind: DeviceKind) -> Result<Device> {
    let is_there = match kind {
        DeviceKind::Flex | DeviceKind::Ndarray => true,
        // Burn opens a device when it is first used, and panics if there is none.
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => !Device::enumerate(DeviceType::Wgpu).is_empty(),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => !Device::enumerate(DeviceType::Cuda).is_empty(),
        #[cfg(not(all(feature = "wgpu", feature = "cuda")))]
        _ => true,
    };
    ensure!(is_there, Device: "{}", missing(kind));
    built_in(kind)
}

/// The name of a device of that kind, and of its hardware where the driver tells.
pub fn label(kind: DeviceKind, device: &Device) -> String {
    match hardware(device) {
        Some(hardware) => format!("{} ({hardware})", kind.name()),
        None => kind.name().to_owned(),
    }
}

/// Name of the hardware, as its driver has it; `None` on the CPU.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub fn hardware(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

/// Name of the hardware, as its driver has it; `None` on the CPU.
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
pub fn hardware(_: &Device) -> Option<String> {
    None
}

fn built_in(kind: DeviceKind) -> Result<Device> {
    Ok(match kind {
        DeviceKind::Flex => Device::flex(),
        #[cfg(feature = "ndarray")]
        DeviceKind::Ndarray =>
        {
            #[expect(deprecated, reason = "asked for by users who compare; flex replaces it upstream")]
            Device::ndarray()
        }
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::cuda(0),
        #[cfg(not(all(feature = "ndarray", feature = "wgpu", feature = "cuda")))]
        other => {
            let name = other.name();
            crate::error::bail!(
                Device: "this build has no {name}; rebuild with `cargo build --release --features {name}`, or use device flex"
            )
        }
    })
}

fn missing(kind: DeviceKind) -> String {
    let (asked, found, driver) = match kind {
        DeviceKind::Cuda => ("cuda", "no NVIDIA GPU and driver", "NVIDIA's driver"),
        _ => ("wgpu", "no GPU and no Vulkan driver in software", "a driver (Debian, in software: mesa-vulkan-drivers)"),
    };
    format!("device {asked}: this machine shows {found}; install {driver}, or use device flex")
}
