//! What a machine model needs for a clip: the unit, and random numbers for clip and fault.

use super::{ClipSpec, FaultKind};
use crate::units::Rng;

/// What a machine model needs for a clip.
pub(super) struct Scene<'a> {
    /// What the clip is to be.
    pub spec: &'a ClipSpec,
    /// How many samples to make.
    pub samples: usize,
    /// Which unit of the machine.
    pub section: usize,
    /// Speed of this clip as a multiple of the unit's usual speed.
    pub speed: f64,
    /// Random numbers of the unit's construction: the same for all clips of a section.
    pub design: Rng,
    /// Random numbers of the clip.
    pub clip: Rng,
    /// Random numbers of the fault.
    pub fault: Rng,
}

impl Scene<'_> {
    /// How bad this kind of fault is here; 0 when the machine does not have it.
    pub fn severity(&self, kind: FaultKind) -> f64 {
        match self.spec.fault {
            Some(fault) if fault.kind == kind => fault.severity,
            _ => 0.0,
        }
    }
}
