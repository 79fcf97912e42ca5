//! A file that is read as it is sent.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::common::Failure;

/// A file whose length is known.
#[derive(Debug)]
pub(crate) struct Payload {
    path: PathBuf,
    file: File,
    pub(crate) len: u32,
}

impl Payload {
    /// `None`: what comes from there has no length before it is read, as with a pipe.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let file = File::open(path).map_err(failed)?;
        let Ok(len) = u32::try_from(metadata.len()) else {
            return Err(Failure::Failed(format!("{}: no message is so long", path.display())));
        };
        Ok(Some(Self { path: path.to_owned(), file, len }))
    }

    /// Fills `space` from `offset` on.
    pub(crate) fn read(&mut self, offset: u32, space: &mut [u8]) -> Result<(), String> {
        let read = self.file.seek(SeekFrom::Start(offset.into())).and_then(|_| self.file.read_exact(space));
        read.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}
