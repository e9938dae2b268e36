//! One at a time: what a C interface needs that an interrupt may call.

use core::sync::atomic::{AtomicBool, Ordering};

/// Lets one in at a time, and refuses the others without waiting.
///
/// Waiting would be no help: an interrupt that waits for what it interrupted waits for ever.
#[derive(Debug)]
pub struct Gate {
    taken: AtomicBool,
}

/// The right to be inside, until dropped.
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
        (!was_taken).then_some(Pass { gate: self })
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
        // Who was refused does not open the gate for others.
        assert!(gate.enter().is_none());
        drop(pass);
        assert!(gate.enter().is_some());
    }
}
