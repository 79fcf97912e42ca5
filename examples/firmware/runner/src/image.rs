//! The image: how its messages are decoded, and how large it is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use defmt_decoder::Table;
use object::{Object, ObjectSection, SectionKind};

pub struct Image {
    pub table: Table,
    /// How many bytes it takes of the flash, and of the RAM besides the stack.
    pub flash: u64,
    pub statics: u64,
}

impl Image {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let table = Table::parse(&bytes)?.context("the image does not log by defmt")?;
        let file = object::File::parse(&*bytes)?;
        let (mut flash, mut statics) = (0, 0);
        for section in file.sections() {
            match section.kind() {
                SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => flash += section.size(),
                SectionKind::Data => {
                    flash += section.size();
                    statics += section.size();
                }
                SectionKind::UninitializedData => statics += section.size(),
                _ => {}
            }
        }
        Ok(Self { table, flash, statics })
    }
}
