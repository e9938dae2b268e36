//! Lets one caller in at a time. A C interface that an interrupt may call needs this.

use core::sync::atomic::{AtomicBool, Ordering};

/// Lets one caller in at a time, and refuses the others without waiting.
///
/// Waiting would not help: an interrupt that waits for the code it interrupted waits for ever.
#[derive(Debug)]
pub struct Gate {
    taken: AtomicBool,
}

/// The right to be inside, until it is dropped.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
}

impl Gate {
    /// An open gate.
    #[expect(clippy::new_without_default, reason = "statics need a constant")]
    pub const fn new() -> Gate {
        Gate {
            taken: AtomicBool::new(false),
        }
    }

    /// The pass; `None` while another holds it.
    pub fn enter(&self) -> Option<Pass<'_>> {
        let was_taken = self.taken.swap(true, Ordering::Acquire);
        // Made only where the gate was open: a pass that is dropped opens it.
        (!was_taken).then(|| Pass { gate: self })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_let_in_at_a_time() {
        let gate = Gate::new();
        let pass = gate.enter();
        assert!(pass.is_some());
        assert!(gate.enter().is_none());
        // A refused caller does not open the gate for others.
        assert!(gate.enter().is_none());
        drop(pass);
        assert!(gate.enter().is_some());
    }
}
