//! Boards behind a debug probe, by probe-rs (feature `probe`).

use super::{Board, MeasureError};

/// What a user needs to reach a probe without being root.
pub const UDEV_RULE: &str = r#"# /etc/udev/rules.d/69-probe-rs.rules, then `sudo udevadm control --reload && sudo udevadm trigger`
# ST-Link
SUBSYSTEM=="usb", ATTR{idVendor}=="0483", MODE="0660", TAG+="uaccess"
# CMSIS-DAP
SUBSYSTEM=="usb", ATTRS{product}=="*CMSIS-DAP*", MODE="0660", TAG+="uaccess"
# J-Link
SUBSYSTEM=="usb", ATTR{idVendor}=="1366", MODE="0660", TAG+="uaccess"
"#;

/// The board that the only probe of this machine is connected to.
#[cfg(not(feature = "probe"))]
pub fn open(_chip: &str) -> Result<Box<dyn Board>, MeasureError> {
    Err(MeasureError::Probe(
        "this build reaches no boards; build it with `cargo install --path . --features probe`"
            .to_string(),
    ))
}
