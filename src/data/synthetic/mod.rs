//! Built-in machine sounds: physically motivated, with graded faults, domain shift and nuisances.
//!
//! A score on these clips says that the tool works, and how candidates compare on them; it says
//! nothing about a real machine. How hard each fault is to hear is measured in `docs/synthetic.md`.

mod bearing;
mod dsp;
mod fan;
mod gearbox;
mod scene;
mod slider;
#[cfg(test)]
mod tests;
mod unit;
mod valve;
mod write;

pub use scene::render;
pub use write::{WriteError, write};

use super::{Clip, Dataset, Domain, Label, Source, Split};
use crate::{
    identity::{self, Canonical},
    units::Rng,
};

/// Every clip is mono at this rate.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Raised whenever the same `ClipSpec` would sound different, so that caches notice.
const GENERATOR: u32 = 1;

const SECTIONS: u8 = 3;
const CLIP_MS: u32 = 4_000;

// DCASE2022 has 990 + 10 training clips and 50 test clips of each label; this is a set for minutes.
const TRAIN_SOURCE: u32 = 77;
const TRAIN_TARGET: u32 = 3;
const TEST_NORMAL: u32 = 45;
const TEST_PER_FAULT: u32 = 15;
const SEVERITIES: [f64; 3] = [0.5, 0.75, 1.0];

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Machine {
    Fan,
    Bearing,
    Valve,
    Gearbox,
    Slider,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    Unbalance,
    Clogging,
    Undervoltage,
    OuterRace,
    InnerRace,
    Dry,
    Leak,
    Contamination,
    WeakSpring,
    ChippedTooth,
    Wear,
    Overload,
    RailDamage,
    NoGrease,
    LooseBelt,
}

/// A fault and how bad it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// 0 is healthy, 1 the worst of the default set.
    pub severity: f64,
}

/// What else is heard in the hall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Noise {
    /// Distant work: pink noise and a wavering band of 1-4 kHz.
    Hall,
    /// Mains hum and a low rush of air.
    Ventilation,
    /// Strokes of a press over a bright hiss.
    Press,
}

/// Everything that determines one synthetic clip: equal specifications sound equal, bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipSpec {
    /// The generator's version.
    pub generator: u32,
    pub machine: Machine,
    /// Which unit of the machine; units differ in construction and room.
    pub section: u8,
    /// `None` when the machine is sound.
    pub fault: Option<Fault>,
    /// Nominal speed relative to the unit's usual one.
    pub speed: f64,
    pub noise: Noise,
    /// Machine over factory noise, before the clip's own spread of 2 dB.
    pub snr_db: f64,
    /// Where the microphone stands.
    pub microphone: u8,
    pub duration_ms: u32,
    /// Determines the clip's accidents: phases, jitter, noise, clangs.
    pub seed: u64,
}

impl Machine {
    /// The machine of the default data set: the one on which autoencoders and classifiers are closest (docs/synthetic.md).
    pub const DEFAULT: Machine = Machine::Valve;
    pub const ALL: [Machine; 5] = [
        Machine::Fan,
        Machine::Bearing,
        Machine::Valve,
        Machine::Gearbox,
        Machine::Slider,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Machine::Fan => "fan",
            Machine::Bearing => "bearing",
            Machine::Valve => "valve",
            Machine::Gearbox => "gearbox",
            Machine::Slider => "slider",
        }
    }

    pub fn from_name(name: &str) -> Option<Machine> {
        Self::ALL.into_iter().find(|machine| machine.name() == name)
    }

    /// The faults that the generator knows for this machine.
    pub fn faults(self) -> &'static [FaultKind] {
        use FaultKind::*;
        match self {
            Machine::Fan => &[Unbalance, Clogging, Undervoltage],
            Machine::Bearing => &[OuterRace, InnerRace, Dry],
            Machine::Valve => &[Leak, Contamination, WeakSpring],
            Machine::Gearbox => &[ChippedTooth, Wear, Overload],
            Machine::Slider => &[RailDamage, NoGrease, LooseBelt],
        }
    }

    /// Signal-to-noise ratio of the default set in dB, one of -6, 0 and 6, chosen by calibration.
    fn snr_db(self) -> f64 {
        match self {
            Machine::Fan | Machine::Bearing | Machine::Gearbox => 0.0,
            Machine::Valve | Machine::Slider => 6.0,
        }
    }

    /// How much faster section 00 runs in the target domain, relative to its usual speed.
    fn speed_shift(self) -> f64 {
        match self {
            Machine::Fan | Machine::Gearbox | Machine::Slider => 0.1,
            Machine::Bearing | Machine::Valve => 0.25,
        }
    }
}

impl FaultKind {
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Unbalance => "unbalance",
            FaultKind::Clogging => "clogging",
            FaultKind::Undervoltage => "undervoltage",
            FaultKind::OuterRace => "outer-race",
            FaultKind::InnerRace => "inner-race",
            FaultKind::Dry => "dry",
            FaultKind::Leak => "leak",
            FaultKind::Contamination => "contamination",
            FaultKind::WeakSpring => "weak-spring",
            FaultKind::ChippedTooth => "chipped-tooth",
            FaultKind::Wear => "wear",
            FaultKind::Overload => "overload",
            FaultKind::RailDamage => "rail-damage",
            FaultKind::NoGrease => "no-grease",
            FaultKind::LooseBelt => "loose-belt",
        }
    }
}

impl Noise {
    pub fn name(self) -> &'static str {
        match self {
            Noise::Hall => "hall",
            Noise::Ventilation => "ventilation",
            Noise::Press => "press",
        }
    }
}

impl Canonical for Machine {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Machine::Fan => "Fan",
            Machine::Bearing => "Bearing",
            Machine::Valve => "Valve",
            Machine::Gearbox => "Gearbox",
            Machine::Slider => "Slider",
        });
    }
}

impl Canonical for FaultKind {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            FaultKind::Unbalance => "Unbalance",
            FaultKind::Clogging => "Clogging",
            FaultKind::Undervoltage => "Undervoltage",
            FaultKind::OuterRace => "OuterRace",
            FaultKind::InnerRace => "InnerRace",
            FaultKind::Dry => "Dry",
            FaultKind::Leak => "Leak",
            FaultKind::Contamination => "Contamination",
            FaultKind::WeakSpring => "WeakSpring",
            FaultKind::ChippedTooth => "ChippedTooth",
            FaultKind::Wear => "Wear",
            FaultKind::Overload => "Overload",
            FaultKind::RailDamage => "RailDamage",
            FaultKind::NoGrease => "NoGrease",
            FaultKind::LooseBelt => "LooseBelt",
        });
    }
}

impl Canonical for Fault {
    fn write_canonical(&self, text: &mut String) {
        let Fault { kind, severity } = self;
        let fields: [(&str, &dyn Canonical); 2] = [("kind", kind), ("severity", severity)];
        identity::record(text, "Fault", &fields);
    }
}

impl Canonical for Noise {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Noise::Hall => "Hall",
            Noise::Ventilation => "Ventilation",
            Noise::Press => "Press",
        });
    }
}

impl Canonical for ClipSpec {
    fn write_canonical(&self, text: &mut String) {
        let ClipSpec {
            generator,
            machine,
            section,
            fault,
            speed,
            noise,
            snr_db,
            microphone,
            duration_ms,
            seed,
        } = self;
        let fields: [(&str, &dyn Canonical); 10] = [
            ("generator", generator),
            ("machine", machine),
            ("section", section),
            ("fault", fault),
            ("speed", speed),
            ("noise", noise),
            ("snr_db", snr_db),
            ("microphone", microphone),
            ("duration_ms", duration_ms),
            ("seed", seed),
        ];
        identity::record(text, "ClipSpec", &fields);
    }
}

impl ClipSpec {
    /// A clip of the default set: the seed picks one of the operating points of its domain.
    ///
    /// As in DCASE2022 each section has its own shift: section 00 another speed, section 01 other
    /// and louder noise, section 02 another place of the microphone and a little more speed.
    pub fn new(
        machine: Machine,
        section: u8,
        domain: Domain,
        fault: Option<Fault>,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::new(seed, scene::Stream::OperatingPoint as u64);
        let usual = [0.96, 1.0, 1.04][rng.below(3)];
        let shift = |shifted: f64| [shifted - 0.02, shifted + 0.02][(seed % 2) as usize];
        let faster = machine.speed_shift();
        let snr_db = machine.snr_db();
        let (speed, noise, snr_db, microphone) = match (domain, section % SECTIONS) {
            (Domain::Source, _) => (usual, Noise::Hall, snr_db, 0),
            (Domain::Target, 0) => (shift(1.0 + faster), Noise::Hall, snr_db, 0),
            (Domain::Target, 1) => (usual, Noise::Ventilation, snr_db - 2.0, 0),
            (Domain::Target, _) => (shift(1.0 + faster / 2.0), Noise::Hall, snr_db, 1),
        };
        ClipSpec {
            generator: GENERATOR,
            machine,
            section,
            fault,
            speed,
            noise,
            snr_db,
            microphone,
            duration_ms: CLIP_MS,
            seed,
        }
    }
}

/// The default set of a machine in DCASE2022's layout: three sections, two domains, normal training clips.
pub fn dataset(machine: Machine) -> Dataset {
    let mut clips = Vec::new();
    for section in 0..SECTIONS {
        for (domain, count) in [
            (Domain::Source, TRAIN_SOURCE),
            (Domain::Target, TRAIN_TARGET),
        ] {
            clips.extend((0..count).map(|n| clip(machine, section, domain, Split::Train, None, n)));
        }
        for domain in [Domain::Source, Domain::Target] {
            for number in 0..TEST_NORMAL {
                clips.push(clip(machine, section, domain, Split::Test, None, number));
            }
            let kinds = machine.faults();
            for number in 0..TEST_PER_FAULT * kinds.len() as u32 {
                let turn = number as usize;
                let fault = Fault {
                    kind: kinds[turn % kinds.len()],
                    severity: SEVERITIES[turn / kinds.len() % SEVERITIES.len()],
                };
                clips.push(clip(
                    machine,
                    section,
                    domain,
                    Split::Test,
                    Some(fault),
                    number,
                ));
            }
        }
    }
    clips.sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
    Dataset {
        name: format!("synthetic:{}", machine.name()),
        synthetic: true,
        layout: super::Layout::Synthetic,
        supervised: false,
        clips,
        fixed_features: None,
        notes: Vec::new(),
    }
}

fn clip(
    machine: Machine,
    section: u8,
    domain: Domain,
    split: Split,
    fault: Option<Fault>,
    number: u32,
) -> Clip {
    let group = (u64::from(section) * 2 + domain as u64) * 2 + split as u64;
    let seed = (group * 2 + u64::from(fault.is_some())) << 32 | u64::from(number);
    let spec = ClipSpec::new(machine, section, domain, fault, seed);

    let mut attributes = vec![
        ("speed".to_string(), format!("{:.2}", spec.speed)),
        ("noise".to_string(), spec.noise.name().to_string()),
        ("mic".to_string(), spec.microphone.to_string()),
    ];
    // File names tell the operating point but not the fault, as DCASE's do.
    let shown: Vec<String> = attributes
        .iter()
        .map(|(key, value)| format!("{key}_{value}"))
        .collect();
    if let Some(fault) = fault {
        attributes.push(("fault".to_string(), fault.kind.name().to_string()));
        attributes.push(("severity".to_string(), format!("{:.2}", fault.severity)));
    }

    let (split_name, domain_name, label, label_name) = (
        match split {
            Split::Train => "train",
            Split::Test => "test",
        },
        match domain {
            Domain::Source => "source",
            Domain::Target => "target",
        },
        if fault.is_some() {
            Label::Anomaly
        } else {
            Label::Normal
        },
        if fault.is_some() { "anomaly" } else { "normal" },
    );
    Clip {
        name: format!(
            "{}/{split_name}/section_{section:02}_{domain_name}_{split_name}_{label_name}_{number:04}_{}.wav",
            machine.name(),
            shown.join("_"),
        ),
        source: Source::Synthetic(spec),
        split,
        label: Some(label),
        machine: machine.name().to_string(),
        section: format!("{section:02}"),
        domain,
        attributes,
    }
}
