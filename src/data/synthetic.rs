//! Synthetic machine sounds.

/// Everything that determines one synthetic clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipSpec {}
