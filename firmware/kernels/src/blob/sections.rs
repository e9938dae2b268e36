//! The sections of a blob: the parts beside the network, each with a tag and a length.

use super::{BlobError, Header, LEAST_DECISION_BYTES, Parts, from_bytes, to_bytes};

/// Bytes of a [`Section`] in the table.
pub const SECTION_BYTES: usize = 16;

/// Tag of the front end: a [`FrontEndRecord`](super::FrontEndRecord), followed by its tables.
pub const FRONT_END: [u8; 4] = *b"FRNT";
/// Tag of the decision: a [`Decision`](super::Decision).
pub const DECISION: [u8; 4] = *b"DECI";

/// Tag of the statistics: [`Statistics`](crate::front_end::Statistics), where the network sees those instead of frames.
pub const STATISTICS: [u8; 4] = *b"STAT";
/// Tag of the companding: a [`Companding`](crate::front_end::Companding), where large values count less.
pub const COMPANDING: [u8; 4] = *b"COMP";
/// Tag of the centres: [`Centres`](crate::score::Centres), where the score is a distance.
pub const DISTANCE: [u8; 4] = *b"DIST";

/// An entry of the table of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Its tag: four letters.
    pub tag: [u8; 4],
    /// Whether a build that does not know the tag must refuse the model; it skips sections that are not required.
    pub required: bool,
    /// Place of its content in the blob.
    pub offset: u32,
    /// Bytes of its content.
    pub length: u32,
}

impl Section {
    /// The entry as it is in a blob.
    pub fn to_bytes(&self) -> [u8; SECTION_BYTES] {
        to_bytes([
            u32::from_le_bytes(self.tag),
            u32::from(self.required),
            self.offset,
            self.length,
        ])
    }

    /// Reads an entry of a blob.
    pub fn from_bytes(bytes: &[u8; SECTION_BYTES]) -> Section {
        let [tag, flags, offset, length] = from_bytes(bytes);
        Section {
            tag: tag.to_le_bytes(),
            required: flags & 1 != 0,
            offset,
            length,
        }
    }
}

/// The content of the sections that this build knows; `None` where a blob lacks one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sections<'a> {
    pub front_end: Option<&'a [u8]>,
    pub decision: Option<&'a [u8]>,
    pub statistics: Option<&'a [u8]>,
    pub companding: Option<&'a [u8]>,
    pub distance: Option<&'a [u8]>,
}

impl<'a> Sections<'a> {
    /// Finds the sections of a blob of any version.
    pub fn find(blob: &'a [u8], header: &Header) -> Result<Sections<'a>, BlobError> {
        match header.parts {
            Parts::Sections { offset, count } => Sections::in_table(blob, offset, count),
            Parts::Fixed {
                front_end,
                decision,
            } => {
                let from = |offset: u32| match offset {
                    0 => Ok(None),
                    offset => blob.get(offset as usize..).map(Some).ok_or(()),
                };
                let outside = "it lies outside the blob";
                let decision = from(decision).map_err(|()| BlobError::Decision(outside))?;
                Ok(Sections {
                    front_end: from(front_end).map_err(|()| BlobError::FrontEnd(outside))?,
                    // Decisions of version 2 end here.
                    decision: decision.map(|rest| &rest[..rest.len().min(LEAST_DECISION_BYTES)]),
                    ..Sections::default()
                })
            }
        }
    }

    fn in_table(blob: &'a [u8], offset: u32, count: u32) -> Result<Sections<'a>, BlobError> {
        let mut found = Sections::default();
        if count == 0 {
            return Ok(found);
        }
        let table = (count as usize)
            .checked_mul(SECTION_BYTES)
            .and_then(|bytes| blob.get(offset as usize..)?.get(..bytes))
            .ok_or(BlobError::Header(
                "its table of sections lies outside the blob",
            ))?;
        for entry in table.as_chunks().0 {
            let Section {
                tag,
                required,
                offset,
                length,
            } = Section::from_bytes(entry);
            let fail = |problem| Err(BlobError::Section { tag, problem });
            let place = match tag {
                FRONT_END => &mut found.front_end,
                DECISION => &mut found.decision,
                STATISTICS => &mut found.statistics,
                COMPANDING => &mut found.companding,
                DISTANCE => &mut found.distance,
                _ if required => return fail("this build does not know it and may not skip it"),
                _ => continue,
            };
            let Some(content) = blob
                .get(offset as usize..)
                .and_then(|rest| rest.get(..length as usize))
            else {
                return fail("it lies outside the blob");
            };
            if place.replace(content).is_some() {
                return fail("it is there twice");
            }
        }
        Ok(found)
    }
}
