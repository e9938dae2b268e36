//! Tables and vectors of a flatbuffer; every access is checked against the file's length.
//!
//! A table begins with the distance back to its vtable, which holds its own length, the table's length, and an offset
//! per field.

/// A table within the file; a missing field has its default.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    file: &'a [u8],
    at: usize,
    vtable: &'a [u8],
}

/// A vector of fixed-size elements.
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a> {
    file: &'a [u8],
    /// Place of the first element.
    at: usize,
    /// Number of elements.
    pub len: usize,
}

/// The file ends within something, or points outside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// The root table, and the four letters after its offset.
pub fn root(file: &[u8]) -> Result<(Table<'_>, &[u8]), Damaged> {
    let identifier = file.get(4..8).ok_or(Damaged)?;
    Ok((table_at(file, follow(file, 0)?)?, identifier))
}

impl<'a> Table<'a> {
    /// A table; `None` where it is missing.
    pub fn table(&self, field: usize) -> Result<Option<Table<'a>>, Damaged> {
        self.offset(field, 4)?
            .map(|at| table_at(self.file, follow(self.file, at)?))
            .transpose()
    }

    /// A vector of elements of `bytes` bytes; empty where it is missing.
    pub fn elements(&self, field: usize, bytes: usize) -> Result<Elements<'a>, Damaged> {
        let Some(at) = self.offset(field, 4)? else {
            return Ok(Elements::EMPTY);
        };
        let at = follow(self.file, at)?;
        let len = u32::from_le_bytes(bytes_at(self.file, at)?) as usize;
        let end = len.checked_mul(bytes).and_then(|n| n.checked_add(at + 4));
        if end.is_none_or(|end| end > self.file.len()) {
            return Err(Damaged);
        }
        Ok(Elements {
            file: self.file,
            at: at + 4,
            len,
        })
    }

    /// A vector of tables; empty where it is missing.
    pub fn tables(&self, field: usize) -> Result<Vec<Table<'a>>, Damaged> {
        let offsets = self.elements(field, 4)?;
        (0..offsets.len)
            .map(|idx| table_at(self.file, follow(self.file, offsets.at + 4 * idx)?))
            .collect()
    }

    /// A vector of bytes; empty where it is missing.
    pub fn bytes(&self, field: usize) -> Result<&'a [u8], Damaged> {
        let Elements { file, at, len } = self.elements(field, 1)?;
        Ok(&file[at..at + len])
    }

    /// An int8; `default` where it is missing.
    pub fn i8(&self, field: usize, default: i8) -> Result<i8, Damaged> {
        self.scalar(field, default, i8::from_le_bytes)
    }

    /// An int32; `default` where it is missing.
    pub fn i32(&self, field: usize, default: i32) -> Result<i32, Damaged> {
        self.scalar(field, default, i32::from_le_bytes)
    }

    /// A float; `default` where it is missing.
    pub fn f32(&self, field: usize, default: f32) -> Result<f32, Damaged> {
        self.scalar(field, default, f32::from_le_bytes)
    }

    fn scalar<T, const BYTES: usize>(
        &self,
        field: usize,
        default: T,
        read: fn([u8; BYTES]) -> T,
    ) -> Result<T, Damaged> {
        Ok(match self.offset(field, BYTES)? {
            Some(at) => read(bytes_at(self.file, at)?),
            None => default,
        })
    }

    /// The place of a field of `bytes` bytes in the file.
    fn offset(&self, field: usize, bytes: usize) -> Result<Option<usize>, Damaged> {
        let Some(entry) = self.vtable.get(4 + 2 * field..6 + 2 * field) else {
            return Ok(None);
        };
        let within = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
        if within == 0 {
            return Ok(None);
        }
        let at = self.at.checked_add(within).ok_or(Damaged)?;
        if at
            .checked_add(bytes)
            .is_none_or(|end| end > self.file.len())
        {
            return Err(Damaged);
        }
        Ok(Some(at))
    }
}

impl<'a> Elements<'a> {
    /// No elements.
    pub const EMPTY: Elements<'static> = Elements {
        file: &[],
        at: 0,
        len: 0,
    };

    /// The elements as int32.
    pub fn i32s(&self) -> impl Iterator<Item = i32> + use<'a> {
        self.read(i32::from_le_bytes)
    }

    /// The elements as int64.
    pub fn i64s(&self) -> impl Iterator<Item = i64> + use<'a> {
        self.read(i64::from_le_bytes)
    }

    /// The elements as floats.
    pub fn f32s(&self) -> impl Iterator<Item = f32> + use<'a> {
        self.read(f32::from_le_bytes)
    }

    fn read<T, const BYTES: usize>(
        &self,
        read: fn([u8; BYTES]) -> T,
    ) -> impl Iterator<Item = T> + use<'a, T, BYTES> {
        let end = self.at.saturating_add(self.len.saturating_mul(BYTES));
        let bytes = self.file.get(self.at..end).unwrap_or_default();
        bytes
            .as_chunks::<BYTES>()
            .0
            .iter()
            .map(move |chunk| read(*chunk))
    }
}

fn table_at(file: &[u8], at: usize) -> Result<Table<'_>, Damaged> {
    let back = i64::from(i32::from_le_bytes(bytes_at(file, at)?));
    let start = usize::try_from(at as i64 - back).map_err(|_| Damaged)?;
    let length = usize::from(u16::from_le_bytes(bytes_at(file, start)?));
    // Every vtable has its own length and the table's.
    let vtable = file.get(start..start + length);
    let vtable = vtable.filter(|vtable| vtable.len() >= 4).ok_or(Damaged)?;
    Ok(Table { file, at, vtable })
}

/// The target of an offset that counts from its own place.
fn follow(file: &[u8], at: usize) -> Result<usize, Damaged> {
    let offset = u32::from_le_bytes(bytes_at(file, at)?) as usize;
    at.checked_add(offset).ok_or(Damaged)
}

fn bytes_at<const BYTES: usize>(file: &[u8], at: usize) -> Result<[u8; BYTES], Damaged> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().ok_or(Damaged)
}
