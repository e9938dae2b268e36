//! Built-in machine sounds, modelled on the physics, with graded faults, domain shift and disturbing noise.
//!
//! A score on these clips says that the tool works and how candidates compare on them. It says nothing about a real
//! machine. `docs/synthetic.md` measures how hard each fault is to hear.
//!
//! This module knows no features or networks: it only makes sound and clip tables.

mod bearing;
mod dsp;
mod fan;
mod gearbox;
mod pump;
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

/// The sample rate of every clip, which is mono.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Version of the generator; raise it whenever the same `ClipSpec` would sound different, so caches notice.
const GENERATOR: u32 = 1;

const SECTIONS: u8 = 3;
const CLIP_MS: u32 = 4_000;

// DCASE2022 has 990 + 10 training clips and 50 test clips of each label. This set is small enough for searches of
// minutes.
const TRAIN_SOURCE: u32 = 77;
const TRAIN_TARGET: u32 = 3;
const TEST_NORMAL: u32 = 45;
const TEST_PER_FAULT: u32 = 15;
const SEVERITIES: [f64; 3] = [0.5, 0.75, 1.0];

/// A kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Machine {
    /// A fan: tones of blades and shaft, and turbulence.
    Fan,
    /// A rolling bearing: shaft, rolling noise and a ringing housing.
    Bearing,
    /// A solenoid valve: clicks, and gas that flows while it is open.
    Valve,
    /// A gearbox: tooth mesh of two wheels over rumble.
    Gearbox,
    /// A slide rail: a carriage that a motor and a belt move to and fro.
    Slider,
    /// A centrifugal pump: motor, vanes, and flow that makes the pipe ring.
    Pump,
}

/// What is wrong with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// Fan: the rotor pulls the housing once a turn.
    Unbalance,
    /// Fan: the inlet is blocked, and the blades stall with a low rush.
    Clogging,
    /// Fan: the supply is too weak, and the fan turns up to 5 % slower.
    Undervoltage,
    /// Bearing: a defect in the outer ring, struck by every ball that passes.
    OuterRace,
    /// Bearing: a defect in the inner ring, struck hardest where the load is.
    InnerRace,
    /// Bearing: there is no grease, and surfaces rub.
    Dry,
    /// Valve: gas hisses while it is closed.
    Leak,
    /// Valve: dirt damps the stroke, and grains hit the seat.
    Contamination,
    /// Valve: the spring closes it late, and it bounces.
    WeakSpring,
    /// Gearbox: a tooth is missing, and the next one strikes once a turn.
    ChippedTooth,
    /// Gearbox: worn flanks move power from the tooth mesh to its harmonics and sidebands.
    Wear,
    /// Gearbox: too much load; it turns up to 3 % slower, and its bearings grumble.
    Overload,
    /// Slider: a scar in the rail knocks when the carriage passes.
    RailDamage,
    /// Slider: without grease the carriage is slower, and squeals at full speed.
    NoGrease,
    /// Slider: a loose belt hits after every turn-round.
    LooseBelt,
    /// Pump: vapour bubbles form and burst with a crackle.
    Cavitation,
    /// Pump: air in the water lets the pipe ring lower, and gurgles.
    AirIngress,
    /// Pump: a scar in the bearing is struck three times a turn.
    WornBearing,
}

/// A fault and how bad it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// 0 is healthy, 1 is the worst of the default set.
    pub severity: f64,
}

/// The noise of the factory around the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Noise {
    /// Distant work: pink noise and a wavering band of 1 to 4 kHz.
    Hall,
    /// Mains hum and a low rush of air.
    Ventilation,
    /// Strokes of a press over a bright hiss.
    Press,
}

/// Everything that determines a synthetic clip. Equal specifications sound equal, bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipSpec {
    /// The generator's version.
    pub generator: u32,
    /// The kind of machine.
    pub machine: Machine,
    /// Which unit of the machine, from 0 on; units differ in construction and room.
    pub section: u8,
    /// `None` when the machine is healthy.
    pub fault: Option<Fault>,
    /// Nominal speed as a multiple of the unit's usual speed.
    pub speed: f64,
    /// The factory noise.
    pub noise: Noise,
    /// Level of the machine over the factory noise in dB, before the clip's own spread of ±2 dB.
    pub snr_db: f64,
    /// Place of the microphone; 0 is the usual one.
    pub microphone: u8,
    /// Length in milliseconds.
    pub duration_ms: u32,
    /// Determines everything random in the clip: phases, jitter, noise, clangs.
    pub seed: u64,
}

impl Machine {
    /// The machine of the default data set: the one on which every approach works (docs/synthetic.md).
    pub const DEFAULT: Machine = Machine::Pump;
    /// All machines, in the order of their declaration.
    pub const ALL: [Machine; 6] = [
        Machine::Fan,
        Machine::Bearing,
        Machine::Valve,
        Machine::Gearbox,
        Machine::Slider,
        Machine::Pump,
    ];

    /// The name in data set names, such as `fan` in `synthetic:fan`.
    pub fn name(self) -> &'static str {
        match self {
            Machine::Fan => "fan",
            Machine::Bearing => "bearing",
            Machine::Valve => "valve",
            Machine::Gearbox => "gearbox",
            Machine::Slider => "slider",
            Machine::Pump => "pump",
        }
    }

    /// The machine with this name.
    pub fn from_name(name: &str) -> Option<Machine> {
        Self::ALL.into_iter().find(|machine| machine.name() == name)
    }

    /// The three faults that this machine can have.
    pub fn faults(self) -> &'static [FaultKind] {
        use FaultKind::*;
        match self {
            Machine::Fan => &[Unbalance, Clogging, Undervoltage],
            Machine::Bearing => &[OuterRace, InnerRace, Dry],
            Machine::Valve => &[Leak, Contamination, WeakSpring],
            Machine::Gearbox => &[ChippedTooth, Wear, Overload],
            Machine::Slider => &[RailDamage, NoGrease, LooseBelt],
            Machine::Pump => &[Cavitation, AirIngress, WornBearing],
        }
    }

    /// Signal-to-noise ratio of the default set in dB, one of -6, 0 and 6, chosen by calibration.
    fn snr_db(self) -> f64 {
        match self {
            Machine::Fan | Machine::Bearing | Machine::Gearbox => 0.0,
            Machine::Valve | Machine::Slider | Machine::Pump => 6.0,
        }
    }

    /// Whether all units are of one make and stand in one place; otherwise each has its own construction and room.
    fn is_of_one_make(self) -> bool {
        self == Machine::Pump
    }

    /// By how much section 00 runs faster in the target domain, as a share of its usual speed.
    fn speed_shift(self) -> f64 {
        match self {
            Machine::Fan | Machine::Gearbox | Machine::Slider => 0.1,
            Machine::Bearing | Machine::Valve => 0.25,
            Machine::Pump => 0.02,
        }
    }
}

impl FaultKind {
    /// The name in attributes and tables, such as `outer-race`.
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
            FaultKind::Cavitation => "cavitation",
            FaultKind::AirIngress => "air-ingress",
            FaultKind::WornBearing => "worn-bearing",
        }
    }
}

impl Noise {
    /// The name in attributes and file names.
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
            Machine::Pump => "Pump",
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
            FaultKind::Cavitation => "Cavitation",
            FaultKind::AirIngress => "AirIngress",
            FaultKind::WornBearing => "WornBearing",
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
    /// A clip of the default set. The seed picks one of the operating points of its domain.
    ///
    /// As in DCASE2022, each section has its own shift. Section 00 runs at another speed. Section 01 has other and
    /// louder noise. Section 02 has another place of the microphone and a little more speed.
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
            // Its target domain is hardly another one: a little faster, or a busier day in the same hall.
            (Domain::Target, 1) if machine.is_of_one_make() => {
                (usual, Noise::Hall, snr_db - 1.0, 0)
            }
            (Domain::Target, _) if machine.is_of_one_make() => {
                (shift(1.0 + faster), Noise::Hall, snr_db, 0)
            }
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

/// The default set of a machine in DCASE2022's layout: three sections, two domains, and only normal training clips.
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
        learns: super::Learns::Sections,
        clips,
        fixed_features: None,
        notes: Vec::new(),
        left_out: Vec::new(),
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
    // As in DCASE, file names say the operating point but not the fault.
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
