//! What a machine model needs to know of a clip: its unit, its accidents, its fault.

use super::{ClipSpec, FaultKind};
use crate::units::Rng;

/// What a machine model needs to know.
pub(super) struct Scene<'a> {
    pub spec: &'a ClipSpec,
    /// Samples to make.
    pub samples: usize,
    pub section: usize,
    /// Speed of this very clip relative to the unit's usual one.
    pub speed: f64,
    /// The unit's construction: the same for all clips of a section.
    pub design: Rng,
    /// The clip's accidents.
    pub clip: Rng,
    /// The fault's accidents.
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
