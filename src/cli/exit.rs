//! Exit codes, and the code of each error.

use std::sync::atomic::{AtomicBool, Ordering};

use super::out;
use nas::{
    audio::AudioError,
    bundle::BundleError,
    data::{DataError, synthetic::WriteError},
    evaluate::{EvaluateError, ModelError, PrepareError, RescoreError},
    features::FeatureError,
    hardware::{
        TargetError,
        calibrate::{CalibrateError, TableError},
    },
    measure::MeasureError,
    report::ReportError,
    run::{EarlierError, RunError, SettingsError, SetupError},
    space::SpaceError,
    store::StoreError,
};

/// The exit code of a command that did not reach its end; README and `--help` list the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The reader of stdout has gone; this is not an error, and the command ends quietly.
    ReaderGone = 0,
    /// Any failure that has no code of its own.
    Failure = 1,
    /// A mistake in the arguments, or in a file that they name.
    Usage = 2,
    /// No network fits the budget.
    NothingFits = 3,
    /// The store is locked or damaged.
    Store = 5,
    /// Ctrl-C or SIGTERM ended the command.
    Interrupted = 130,
}

/// Why a command failed, and its exit code.
#[derive(Debug)]
pub struct Failure {
    /// The code of the process.
    pub exit: Exit,
    /// The error to print.
    pub error: anyhow::Error,
}

impl Failure {
    /// What went wrong and why, each cause once: some messages hold their cause already.
    pub fn sentence(&self) -> String {
        let mut sentence = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !sentence.contains(&cause) {
                sentence += &format!(": {cause}");
            }
        }
        sentence
    }

    /// A failure with this code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure {
            exit,
            error: error.into(),
        }
    }

    /// A mistake on the command line, as a sentence.
    pub fn usage(message: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Usage, anyhow::anyhow!("{message}"))
    }

    /// Whether a disk was full, which the error itself may not say.
    pub fn is_full_disk(&self) -> bool {
        let mut causes = self.error.chain();
        causes.any(|cause| {
            let cause = cause.downcast_ref::<std::io::Error>();
            cause.is_some_and(|cause| {
                matches!(
                    cause.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                )
            })
        })
    }

    /// A failure, as a sentence.
    pub fn plain(message: impl std::fmt::Display) -> Failure {
        Failure::new(Exit::Failure, anyhow::anyhow!("{message}"))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let exit = match &error {
            error if error.is_locked_or_damaged() => Exit::Store,
            StoreError::UnknownRun { .. } | StoreError::AmbiguousRun { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        Failure::new(exit, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Store(error) => error.into(),
            error => Failure::new(Exit::Failure, error),
        }
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Failure {
        match error {
            SetupError::Settings(error) => error.into(),
            SetupError::Data(error) => error.into(),
            error @ SetupError::IdlePower(_) => Failure::new(Exit::Usage, error),
            error => Failure::new(Exit::Failure, error),
        }
    }
}

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Failure {
        let exit = match &error {
            EvaluateError::Interrupted => Exit::Interrupted,
            _ => Exit::Failure,
        };
        Failure::new(exit, error)
    }
}

impl From<MeasureError> for Failure {
    fn from(error: MeasureError) -> Failure {
        let exit = match &error {
            MeasureError::UnknownChip { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        Failure::new(exit, error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        let exit = match &error {
            DataError::NoSyntheticMachine { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        Failure::new(exit, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Exit::Failure, error)
    }
}

macro_rules! failures {
    ($($error:ty => $exit:ident),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new(Exit::$exit, error)
            }
        }
    )*};
}

failures! {
    SpaceError => Usage,
    TargetError => Usage,
    CalibrateError => Usage,
    TableError => Usage,
    EarlierError => Usage,
    AudioError => Failure,
    BundleError => Failure,
    WriteError => Failure,
    FeatureError => Failure,
    PrepareError => Failure,
    RescoreError => Failure,
    SettingsError => Usage,
    ModelError => Failure,
    ReportError => Failure,
}

/// What Ctrl-C and SIGTERM set.
#[derive(Debug)]
pub struct Interruption {
    /// Everything ends at once.
    pub stop: AtomicBool,
    /// What runs is finished, and nothing new begins.
    pub last: AtomicBool,
    /// Whether the first Ctrl-C lets finish what runs.
    is_patient: AtomicBool,
}

static INTERRUPTION: Interruption = Interruption {
    stop: AtomicBool::new(false),
    last: AtomicBool::new(false),
    is_patient: AtomicBool::new(false),
};

/// The flag that the first Ctrl-C or SIGTERM sets; a second one ends the process.
pub fn interruption() -> &'static AtomicBool {
    listen();
    &INTERRUPTION.stop
}

/// For work that comes in pieces: the first Ctrl-C lets finish the pieces that run, the second one sets the flag that ends them,
/// a third one ends the process.
pub fn patient_interruption() -> &'static Interruption {
    INTERRUPTION.is_patient.store(true, Ordering::Relaxed);
    listen();
    &INTERRUPTION
}

fn listen() {
    let handler = || {
        let Interruption {
            stop,
            last,
            is_patient,
        } = &INTERRUPTION;
        let is_first = !last.swap(true, Ordering::Relaxed);
        if is_first && is_patient.load(Ordering::Relaxed) {
            out::note("finishing the trainings that run; Ctrl-C again to stop now");
        } else if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    };
    // Where no handler can be set, Ctrl-C ends the process at once; nothing is lost then either.
    let _ = ctrlc::set_handler(handler);
}
