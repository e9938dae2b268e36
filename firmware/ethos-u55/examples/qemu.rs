//! Plays the Ethos-U55 of a Corstone-300 for an unmodified image in QEMU (board `mps3-an547`).
//!
//! `cargo run --example qemu MACS IMAGE.elf [FILE ADDRESS]...`: files are put into memory before the program begins,
//! such as a network for an image that holds none. What the program prints by semihosting goes to stdout.

use std::{
    env,
    error::Error,
    io,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, ExitCode},
    thread,
    time::Duration,
};

use ethos_u55::{
    Accelerator, Device,
    gdb::{Gdb, play},
};

/// Where a Corstone-300 has the registers of its NPU.
const BASE: u32 = 0x4810_2000;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [macs, image, files @ ..] = arguments.as_slice() else {
        return Err("MACS IMAGE.elf [FILE ADDRESS]..., please".into());
    };
    let accelerator = Accelerator::of(macs.parse()?).ok_or("32, 64, 128 or 256 MACs")?;
    let socket = env::temp_dir().join(format!("ethos-u55-{}.socket", std::process::id()));
    let mut qemu = start(image, files, &socket)?;
    let played = connect(&socket)
        .map_err(Box::<dyn Error>::from)
        .and_then(|stream| {
            let mut device = Device::new(accelerator, Gdb::new(stream));
            let played = play(&mut device, BASE)?;
            if let Some(fault) = device.fault() {
                eprintln!("fault: {fault}");
            }
            Ok(played)
        });
    if played.is_err() {
        qemu.kill()?;
    }
    let ended = qemu.wait()?;
    // QEMU takes it away itself, if it ends well.
    let _ = std::fs::remove_file(&socket);
    let played = played?;
    eprintln!(
        "{} jobs, {} accesses of registers",
        played.jobs, played.accesses
    );
    Ok(ExitCode::from(ended.code().unwrap_or(1) as u8))
}

fn start(image: &str, files: &[String], socket: &Path) -> io::Result<Child> {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args([
        "-M",
        "mps3-an547",
        "-nographic",
        "-monitor",
        "none",
        "-serial",
        "none",
    ])
    .args(["-semihosting-config", "enable=on,target=native"])
    .args(["-icount", "shift=6", "-kernel", image, "-S"])
    .arg("-chardev")
    .arg(format!(
        "socket,path={},server=on,wait=off,id=gdb",
        socket.display()
    ))
    .args(["-gdb", "chardev:gdb"]);
    for pair in files.chunks_exact(2) {
        let [file, address] = [&pair[0], &pair[1]];
        qemu.arg("-device")
            .arg(format!("loader,file={file},addr={address},force-raw=on"));
    }
    qemu.spawn()
}

/// QEMU takes a moment to make its socket.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..200 {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(last)
}
