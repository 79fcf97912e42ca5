//! A linked image, read.

use std::collections::BTreeMap;
use std::error::Error;

use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind, elf};

use crate::stack::{self, Deepest};

/// A function and its size in bytes.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub size: u64,
    /// The bytes of stack that it takes; of runtime routines they are not known.
    pub frame: Option<u64>,
}

/// What is known of an image.
#[derive(Debug)]
pub struct Image {
    /// Bytes of flash.
    flash: u64,
    /// The functions, the largest first.
    pub functions: Vec<Function>,
    /// The statics that take memory, by their names.
    pub statics: BTreeMap<String, u64>,
    pub deepest: Deepest,
}

impl Image {
    pub fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let file = object::File::parse(bytes)?;
        if file.architecture() != Architecture::Arm {
            return Err("the image is not for ARM".into());
        }
        let flash = file.sections().filter(is_in_flash).map(|section| section.size()).sum();
        let frames = stack::frames(&file)?;
        let mut functions = Vec::new();
        let mut statics = BTreeMap::new();
        for symbol in file.symbols() {
            let name = demangled(symbol.name()?);
            match symbol.kind() {
                SymbolKind::Text if symbol.size() != 0 => {
                    // The lowest bit of an address says that the code is Thumb.
                    let frame = frames.get(&(symbol.address() & !1)).copied();
                    functions.push(Function { name, size: symbol.size(), frame });
                }
                SymbolKind::Data => {
                    statics.insert(name, symbol.size());
                }
                _ => {}
            }
        }
        functions.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
        Ok(Self { flash, functions, statics, deepest: stack::deepest(&file, &frames)? })
    }

    /// Bytes of flash in all.
    pub fn flash(&self) -> u64 {
        self.flash
    }

    /// The bytes of flash that routines take which copy, fill and compare memory: other firmware has them anyway.
    pub fn memory_routines(&self) -> u64 {
        self.functions.iter().filter(|function| is_memory_routine(&function.name)).map(|function| function.size).sum()
    }

    /// The largest frame of a function of the crate, in bytes. What became part of the application counts as its own.
    pub fn largest_frame(&self) -> u64 {
        let own = self.functions.iter().filter(|function| function.name.contains("mqtt_session::"));
        own.filter_map(|function| function.frame).max().unwrap_or(0)
    }

    /// The size of the static whose name ends in `name`.
    pub fn size_of(&self, name: &str) -> u64 {
        self.statics.iter().find(|(path, _)| path.rsplit("::").next() == Some(name)).map_or(0, |(_, &size)| size)
    }
}

/// Whether a section is loaded and has contents.
fn is_in_flash<'d>(section: &impl ObjectSection<'d>) -> bool {
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else { return false };
    sh_flags.contains(elf::SHF_ALLOC) && section.kind() != SectionKind::UninitializedData
}

fn is_memory_routine(name: &str) -> bool {
    let plain = name.trim_start_matches("__aeabi_");
    ["memcpy", "memmove", "memset", "memclr", "memcmp", "bcmp"].iter().any(|routine| plain.starts_with(routine))
        || name.starts_with("compiler_builtins::mem::")
}

pub fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
