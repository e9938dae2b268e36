//! Boards behind a debug probe.

use super::{Board, MeasureError};

/// What a user who is not root needs for access to a probe.
#[cfg(any(feature = "probe", test))]
const UDEV_RULE: &str = r#"SUBSYSTEM=="usb", ATTRS{idVendor}=="0483", MODE="0660", TAG+="uaccess"
SUBSYSTEM=="usb", ATTRS{idVendor}=="1366", MODE="0660", TAG+="uaccess"
SUBSYSTEM=="usb", ATTRS{product}=="*CMSIS-DAP*", MODE="0660", TAG+="uaccess""#;

/// The board that is connected to the only probe of this machine.
#[cfg(not(feature = "probe"))]
pub fn open(_chip: &str) -> Result<Box<dyn Board>, MeasureError> {
    Err(MeasureError::Probe(
        "this build cannot reach boards; `cargo install --path . --features probe` makes one that can"
            .to_string(),
    ))
}

/// The board that is connected to the only probe of this machine.
#[cfg(feature = "probe")]
pub fn open(chip: &str) -> Result<Box<dyn Board>, MeasureError> {
    Ok(Box::new(rs::Probe::open(chip)?))
}

/// What to do when no probe is found.
#[cfg(any(feature = "probe", test))]
fn no_probe() -> MeasureError {
    MeasureError::Probe(format!(
        "no debug probe is connected, or it may not be used; connect an ST-Link, J-Link or CMSIS-DAP, and on Linux \
         write these lines to /etc/udev/rules.d/69-probe.rules, run `sudo udevadm control --reload` and connect it \
         again:\n{UDEV_RULE}"
    ))
}

#[cfg(feature = "probe")]
mod rs {
    use std::{
        num::NonZeroU32,
        time::{Duration, Instant},
    };

    use probe_rs::{
        BreakpointCause, Core, CoreStatus, HaltReason, Permissions, Session,
        flashing::{DownloadOptions, ElfLoader, ElfOptions, build_loader},
        probe::list::Lister,
        semihosting::SemihostingCommand,
    };

    use super::{Board, MeasureError, no_probe};
    use crate::measure::{Image, Limit, Region};

    /// A board behind the only debug probe.
    pub struct Probe {
        session: Session,
        chip: String,
    }

    impl Probe {
        /// Attaches to the chip; fails where there is not exactly one probe, or the chip does not answer.
        pub fn open(chip: &str) -> Result<Probe, MeasureError> {
            let probes = Lister::new().list_all();
            let [only] = &probes[..] else {
                return Err(match probes.len() {
                    0 => no_probe(),
                    count => MeasureError::Probe(format!(
                        "{count} debug probes are connected; leave only that of the {chip}"
                    )),
                });
            };
            let probe = only.open().map_err(failed("the probe cannot be opened"))?;
            let session = probe
                .attach(chip, Permissions::default())
                .map_err(failed("the chip does not answer"))?;
            Ok(Probe {
                session,
                chip: chip.to_string(),
            })
        }
    }

    impl Board for Probe {
        fn load(&mut self, image: &Image, regions: &[Region<'_>]) -> Result<(), MeasureError> {
            let format = ElfLoader(ElfOptions::default());
            let mut loader = build_loader(&mut self.session, &image.path, format, None)
                .map_err(failed("the image cannot be read"))?;
            for region in regions {
                loader
                    .add_data(u64::from(region.address), region.bytes)
                    .map_err(failed("the model does not fit the flash"))?;
            }
            let mut options = DownloadOptions::new();
            options.verify = true;
            loader
                .commit(&mut self.session, options)
                .map_err(failed("the flash cannot be written"))
        }

        fn run(&mut self, limit: Limit) -> Result<String, MeasureError> {
            let mut core = self.session.core(0).map_err(failed("the core is lost"))?;
            core.reset().map_err(failed("the chip cannot be reset"))?;
            let began = Instant::now();
            let mut printed = Vec::new();
            while began.elapsed() < limit.time {
                let status = core.status().map_err(failed("the core is lost"))?;
                match status {
                    CoreStatus::Halted(HaltReason::Breakpoint(BreakpointCause::Semihosting(
                        command,
                    ))) => {
                        if serve(&mut core, command, &mut printed)? {
                            return Ok(String::from_utf8_lossy(&printed).into_owned());
                        }
                    }
                    CoreStatus::Halted(reason) => {
                        return Err(MeasureError::NoResult {
                            on: self.chip.clone(),
                            said: format!("the core halted: {reason:?}"),
                        });
                    }
                    _ => std::thread::sleep(Duration::from_millis(5)),
                }
            }
            let _ = core.halt(Duration::from_secs(1));
            Err(MeasureError::Timeout {
                on: self.chip.clone(),
                seconds: limit.time.as_secs(),
            })
        }
    }

    /// Does what the program asks of the host and lets it continue; true where the program has ended.
    fn serve(
        core: &mut Core<'_>,
        command: SemihostingCommand,
        printed: &mut Vec<u8>,
    ) -> Result<bool, MeasureError> {
        const CONSOLE: NonZeroU32 = NonZeroU32::MIN;
        let served = match command {
            SemihostingCommand::ExitSuccess | SemihostingCommand::ExitError(_) => return Ok(true),
            SemihostingCommand::Open(request) => request.respond_with_handle(core, CONSOLE),
            SemihostingCommand::Write(request) => request.read(core).and_then(|bytes| {
                printed.extend(bytes);
                request.write_status(core, 0)
            }),
            // The firmware asks for nothing else.
            _ => Ok(()),
        };
        served
            .and_then(|()| core.run())
            .map_err(failed("the program cannot be served"))?;
        Ok(false)
    }

    fn failed<E: std::error::Error>(what: &'static str) -> impl FnOnce(E) -> MeasureError {
        move |error| {
            let mut text = format!("{what}: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text += &format!(": {error}");
                cause = error.source();
            }
            MeasureError::Probe(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_probe_the_error_says_what_to_do() {
        let text = no_probe().to_string();
        for part in ["ST-Link", "/etc/udev/rules.d", "uaccess", "udevadm"] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
    }
}
