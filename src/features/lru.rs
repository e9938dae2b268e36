//! Values that are costly to make, kept in memory up to a number of bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most recently used values of all that were made.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    /// Least recently used first.
    slots: Mutex<Vec<Slot<K, V>>>,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    /// Locked while the value is being made: whoever asks meanwhile waits for it.
    value: Arc<Mutex<Option<V>>>,
    /// 0 until the value is made.
    bytes: u64,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Lru<K, V> {
        Lru {
            slots: Mutex::default(),
        }
    }
}

impl<K: Clone + PartialEq, V: Clone> Lru<K, V> {
    /// The value of a key; `make` makes it with its bytes where it is not there.
    ///
    /// An error is not kept: who asks next tries again. Values beyond `limit_bytes` are dropped, those not asked for the
    /// longest first; the one that was asked for stays.
    pub fn get<E>(
        &self,
        key: &K,
        limit_bytes: u64,
        make: impl FnOnce() -> Result<(V, u64), E>,
    ) -> Result<V, E> {
        let slot = self.slot(key);
        let mut in_slot = lock(&slot);
        if let Some(value) = &*in_slot {
            return Ok(value.clone());
        }
        let (value, bytes) = make()?;
        *in_slot = Some(value.clone());
        drop(in_slot);
        self.account(key, bytes, limit_bytes);
        Ok(value)
    }

    /// The value of a key where it is there or being made.
    pub fn held(&self, key: &K) -> Option<V> {
        let slots = lock(&self.slots);
        let slot = slots.iter().find(|slot| slot.key == *key)?;
        let value = slot.value.clone();
        drop(slots);
        lock(&value).clone()
    }

    /// The slot of a key, made the most recently used one.
    fn slot(&self, key: &K) -> Arc<Mutex<Option<V>>> {
        let mut slots = lock(&self.slots);
        let slot = match slots.iter().position(|slot| slot.key == *key) {
            Some(idx) => slots.remove(idx),
            None => Slot {
                key: key.clone(),
                value: Arc::default(),
                bytes: 0,
            },
        };
        let value = slot.value.clone();
        slots.push(slot);
        value
    }

    /// Notes the size of what a slot now holds, and drops others until all fit.
    fn account(&self, key: &K, bytes: u64, limit_bytes: u64) {
        let mut slots = lock(&self.slots);
        for slot in slots.iter_mut().filter(|slot| slot.key == *key) {
            slot.bytes = bytes;
        }
        let mut total: u64 = slots.iter().map(|slot| slot.bytes).sum();
        slots.retain(|slot| {
            // Nothing is gained by dropping a slot that is still being filled.
            let dropped = total > limit_bytes && slot.key != *key && slot.bytes > 0;
            total -= if dropped { slot.bytes } else { 0 };
            !dropped
        });
    }
}

/// A thread that panicked while holding a lock left the state as good as it was.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_are_dropped() {
        let lru = Lru::default();
        let get = |key: char, bytes: u64, expected: &str| {
            let mut made = false;
            let value = lru.get(&key, 10, || {
                made = true;
                Ok::<_, String>((key, bytes))
            });
            assert_eq!(value, Ok(key));
            let held = lock(&lru.slots)
                .iter()
                .map(|slot| slot.key)
                .collect::<String>();
            assert_eq!(format!("{held} {made}"), expected);
        };
        get('a', 4, "a true");
        get('b', 4, "ab true");
        get('a', 4, "ba false");
        get('c', 4, "ac true");
        // What is larger than all stays as long as it is the latest.
        get('d', 40, "d true");
        get('a', 4, "a true");
    }

    #[test]
    fn an_error_is_tried_again() {
        let lru = Lru::default();
        let failed = lru.get(&'a', 10, || Err::<(u8, u64), _>("the disk is gone"));
        assert_eq!(failed, Err("the disk is gone"));
        assert_eq!(lru.get(&'a', 10, || Ok::<_, &str>((1, 1))), Ok(1));
    }
}
