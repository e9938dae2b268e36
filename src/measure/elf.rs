//! Reads what a measurement needs from an ELF file: sizes of sections and addresses of the linker's symbols.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{MeasureError, Region, io_error};

/// A linked image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The ELF file.
    pub path: PathBuf,
    /// Its sizes.
    pub sections: Sections,
    /// Symbols of the linker scripts, whose names begin with `__`, with their addresses.
    pub(super) symbols: BTreeMap<String, u32>,
}

/// Bytes of an image by their use; the model is not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sections {
    /// Vector table and code.
    pub text: u64,
    /// Constants.
    pub rodata: u64,
    /// Initial values of variables, which lie in flash and in RAM.
    pub data: u64,
    /// Variables that start as zero, and reserved memory.
    pub bss: u64,
}

impl Image {
    /// Reads an image; fails where the file is not a whole 32-bit little-endian ELF file.
    pub fn read(path: &Path) -> Result<Image, MeasureError> {
        let bytes = fs::read(path).map_err(io_error(path))?;
        let (sections, symbols) = parse(&bytes).ok_or(MeasureError::Image {
            path: path.to_path_buf(),
            problem: "it is not a 32-bit little-endian ELF file, or it is cut",
        })?;
        Ok(Image {
            path: path.to_path_buf(),
            sections,
            symbols,
        })
    }

    /// Bytes for the place that a symbol of the linker script names.
    ///
    /// Fails where the image has no such symbol.
    pub fn region<'a>(&self, symbol: &str, bytes: &'a [u8]) -> Result<Region<'a>, MeasureError> {
        match self.symbols.get(symbol) {
            Some(&address) => Ok(Region { address, bytes }),
            None => Err(MeasureError::Image {
                path: self.path.clone(),
                problem: "it has no place for a model and its inputs",
            }),
        }
    }
}

const NOBITS: u32 = 8;
const SYMTAB: u32 = 2;
const WRITE: u32 = 1;
const ALLOC: u32 = 2;
const EXECUTE: u32 = 4;

/// A section header, with the fields of the ELF specification.
struct Section {
    name: u32,
    kind: u32,
    flags: u32,
    offset: u32,
    size: u32,
    link: u32,
}

pub(super) fn parse(file: &[u8]) -> Option<(Sections, BTreeMap<String, u32>)> {
    if file.get(..6)? != b"\x7fELF\x01\x01" {
        return None;
    }
    let (offset, entry) = (word(file, 32)? as usize, half(file, 46)? as usize);
    let (count, names) = (half(file, 48)? as usize, half(file, 50)? as usize);
    let header = |idx: usize| {
        let at = offset.checked_add(idx * entry)?;
        Some(Section {
            name: word(file, at)?,
            kind: word(file, at.checked_add(4)?)?,
            flags: word(file, at + 8)?,
            offset: word(file, at + 16)?,
            size: word(file, at + 20)?,
            link: word(file, at + 24)?,
        })
    };
    let sections: Vec<Section> = (0..count).map(header).collect::<Option<_>>()?;
    let strings = content(file, sections.get(names)?)?;
    let mut sizes = Sections::default();
    let mut symbols = BTreeMap::new();
    for section in &sections {
        let name = text(strings, section.name)?;
        let size = u64::from(section.size);
        match section {
            _ if matches!(name, ".model" | ".input") => {}
            Section {
                kind: NOBITS,
                flags,
                ..
            } if flags & ALLOC != 0 => sizes.bss += size,
            Section { flags, .. } if flags & ALLOC == 0 => {}
            Section { flags, .. } if flags & WRITE != 0 => sizes.data += size,
            Section { flags, .. } if flags & EXECUTE != 0 || name == ".vector_table" => {
                sizes.text += size;
            }
            _ => sizes.rodata += size,
        }
        if section.kind == SYMTAB {
            let strings = content(file, sections.get(section.link as usize)?)?;
            for symbol in content(file, section)?.as_chunks::<16>().0 {
                let name = text(strings, word(symbol, 0)?)?;
                if name.starts_with("__") {
                    symbols.insert(name.to_string(), word(symbol, 4)?);
                }
            }
        }
    }
    Some((sizes, symbols))
}

fn content<'a>(file: &'a [u8], section: &Section) -> Option<&'a [u8]> {
    file.get(section.offset as usize..)?
        .get(..section.size as usize)
}

fn text(strings: &[u8], offset: u32) -> Option<&str> {
    let rest = strings.get(offset as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
