//! Reads what a measurement needs from an ELF file: sizes of sections and addresses of the linker's symbols.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use object::{
    LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SectionKind,
    elf, read::elf::ElfFile32,
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

/// Sizes of sections, and the symbols of linker scripts; `None` where the file is no ELF file of 32 bits, or cut.
pub(super) fn parse(file: &[u8]) -> Option<(Sections, BTreeMap<String, u32>)> {
    let image = ElfFile32::<LittleEndian>::parse(file).ok()?;
    let mut sizes = Sections::default();
    for section in image.sections() {
        let name = section.name().ok()?;
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            return None;
        };
        if matches!(name, ".model" | ".input") || !sh_flags.contains(elf::SHF_ALLOC) {
            continue;
        }
        let bytes = match section.kind() {
            SectionKind::UninitializedData => &mut sizes.bss,
            _ if sh_flags.contains(elf::SHF_WRITE) => &mut sizes.data,
            _ if sh_flags.contains(elf::SHF_EXECINSTR) || name == ".vector_table" => {
                &mut sizes.text
            }
            _ => &mut sizes.rodata,
        };
        *bytes += section.size();
    }
    let mut symbols = BTreeMap::new();
    for symbol in image.symbols() {
        let name = symbol.name().ok()?;
        if name.starts_with("__") {
            symbols.insert(name.to_string(), u32::try_from(symbol.address()).ok()?);
        }
    }
    Some((sizes, symbols))
}
