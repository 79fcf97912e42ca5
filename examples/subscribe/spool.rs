//! Where a message lies that comes in parts, until all of it is here: what breaks off is not printed.

use std::env::temp_dir;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::process;

/// A file without a name in it that anybody else has.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: File,
}

impl Spool {
    /// # Errors
    ///
    /// There is no place for temporary files.
    pub(crate) fn new() -> io::Result<Self> {
        let path = temp_dir().join(format!("subscribe-{}", process::id()));
        // One that is there was left over by a process that is gone.
        let _ = fs::remove_file(&path);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Copies all of it.
    pub(crate) fn copy_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.file.rewind()?;
        io::copy(&mut self.file, out).map(drop)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = fs::remove_file(&self.path);
    }
}
