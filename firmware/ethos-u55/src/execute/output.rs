//! The output stage: scale, zero point, limits, table.

use super::Shared;
use crate::{
    accelerator::{Accelerator, TABLE_SLOT_BYTES},
    error::Problem,
    operation::{Kernel, Table},
    scale::{Rounding, Scale},
};

/// Makes outputs of sums.
pub struct Finish {
    rounding: Rounding,
    zero_point: i64,
    clamp: [i64; 2],
    table: Option<(Table, Vec<u8>)>,
    is_signed: bool,
}

impl Finish {
    /// The output stage of a kernel; a table is read now.
    pub fn new(
        kernel: &Kernel,
        accelerator: &Accelerator,
        shared: &Shared,
    ) -> Result<Finish, Problem> {
        let output = &kernel.output;
        let table = match output.table {
            None => None,
            Some(table) => {
                let start = accelerator.table_base() + TABLE_SLOT_BYTES * table.slot;
                let bytes = shared.read("a table", start as i64, table.bytes())?;
                Some((table, bytes.to_vec()))
            }
        };
        Ok(Finish {
            rounding: output.rounding,
            zero_point: i64::from(kernel.ofm.zero_point),
            clamp: output.clamp.unwrap_or([i64::MIN, i64::MAX]),
            table,
            is_signed: kernel.ofm.is_signed,
        })
    }

    /// One output; above 32 bits it is cut off.
    #[inline]
    pub fn output(&self, sum: i64, scale: Scale) -> i32 {
        self.scaled(scale.apply(sum, self.rounding))
    }

    /// One output from a value that is scaled already.
    #[inline]
    pub fn scaled(&self, value: i64) -> i32 {
        let [least, most] = self.clamp;
        let value = value.wrapping_add(self.zero_point).max(least).min(most);
        match &self.table {
            None => value as i32,
            Some((table, bytes)) => self.look_up(table, bytes, value),
        }
    }

    /// How the kernel rounds.
    pub fn rounding(&self) -> Rounding {
        self.rounding
    }

    fn look_up(&self, table: &Table, bytes: &[u8], value: i64) -> i32 {
        let first = if table.is_signed { -128 } else { 0 };
        let idx = value.saturating_sub(first).clamp(0, 255) as usize;
        if table.entry_bytes == 4 {
            let entry = bytes.as_chunks().0.get(idx);
            return entry.map_or(0, |entry| i32::from_le_bytes(*entry));
        }
        match bytes.get(idx) {
            Some(&entry) if self.is_signed => i32::from(entry as i8),
            Some(&entry) => i32::from(entry),
            None => 0,
        }
    }
}
