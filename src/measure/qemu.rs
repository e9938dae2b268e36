//! Runs images in QEMU: exact memory, exact instruction counts, no cycles.

use std::{
    ffi::OsString,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Board, BoardKind, Image, Limit, MeasureError, Region, firmware::ICOUNT_SHIFT, io_error,
    toolchain::find_program,
};

const PROGRAM: &str = "qemu-system-arm";

/// An emulated board.
#[derive(Debug)]
pub struct Qemu {
    program: PathBuf,
    machine: &'static str,
    /// Arguments for what was loaded; the files lie in `folder`.
    loaded: Vec<OsString>,
    folder: TempDir,
}

impl Qemu {
    /// An emulated board; fails where QEMU is not installed, or does not emulate the board.
    pub fn new(board: &BoardKind) -> Result<Qemu, MeasureError> {
        let missing = MeasureError::Missing {
            name: PROGRAM,
            remedy: "on Debian and Ubuntu run `apt-get install qemu-system-arm`",
        };
        let (machine, _) = board.machine.ok_or(MeasureError::UnknownChip {
            chip: board.name.to_string(),
            known: "QEMU's mps2-an500 and mps3-an547".to_string(),
        })?;
        let folder = TempDir::new().map_err(io_error(Path::new("the temporary folder")))?;
        Ok(Qemu {
            program: find_program(PROGRAM).ok_or(missing)?,
            machine,
            loaded: Vec::new(),
            folder,
        })
    }
}

impl Board for Qemu {
    fn load(&mut self, image: &Image, regions: &[Region<'_>]) -> Result<(), MeasureError> {
        self.loaded = vec!["-kernel".into(), image.path.clone().into()];
        for region in regions {
            let path = self.folder.path().join(format!("{:08x}", region.address));
            fs::write(&path, region.bytes).map_err(io_error(&path))?;
            // A comma in a path is written twice.
            let file = path.display().to_string().replace(',', ",,");
            let address = region.address;
            self.loaded.push("-device".into());
            self.loaded
                .push(format!("loader,file={file},addr={address:#x},force-raw=on").into());
        }
        Ok(())
    }

    /// The limit is in the emulator's memory, where the firmware looks: as its caller put it there.
    fn run(&mut self, _: Limit) -> Result<String, MeasureError> {
        self.run_with(&[])
    }
}

impl Qemu {
    /// The folder of its files. Others may put files there; it goes away with this value.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs with more arguments.
    pub fn run_with(&self, arguments: &[OsString]) -> Result<String, MeasureError> {
        let child = Command::new(&self.program)
            .args(["-M", self.machine, "-nographic", "-monitor", "none"])
            .args([
                "-serial",
                "none",
                "-icount",
                &format!("shift={ICOUNT_SHIFT}"),
            ])
            .args(["-semihosting-config", "enable=on,target=native"])
            .args(&self.loaded)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error(&self.program))?;
        let mut printed = String::new();
        let output = child.wait_with_output().map_err(io_error(&self.program))?;
        for bytes in [output.stdout, output.stderr] {
            bytes
                .as_slice()
                .read_to_string(&mut printed)
                .map_err(io_error(&self.program))?;
        }
        Ok(printed)
    }
}
