//! The one door to stdout and stderr.
//!
//! Data goes to stdout, messages to stderr. When the reader of stdout has gone (`nas runs | head -1`), the command
//! ends quietly. A message that stderr does not accept is dropped, so a closed terminal does not end a search.

use std::io::{self, Write};

use super::{Exit, Failure};
use nas::report::harmless;

/// Writes data to stdout, at once and whole.
///
/// # Errors
/// [`Exit::ReaderGone`] where the reader has closed the pipe, else a failure such as a full device.
pub fn print(text: impl AsRef<str>) -> Result<(), Failure> {
    written(&mut io::stdout().lock(), text.as_ref()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Exit::ReaderGone, error),
        _ => Failure::new(
            Exit::Failure,
            anyhow::Error::new(error).context("cannot write to stdout"),
        ),
    })
}

/// Writes a message of one or more lines to stderr; drops what stderr does not accept.
pub fn note(text: impl AsRef<str>) {
    let _ = written(&mut io::stderr().lock(), &format!("{}\n", text.as_ref()));
}

/// Asks a question on stderr; the answer follows on the same line.
pub fn ask(question: impl AsRef<str>) {
    let _ = written(&mut io::stderr().lock(), question.as_ref());
}

fn written(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(harmless(text).as_bytes())?;
    out.flush()
}
