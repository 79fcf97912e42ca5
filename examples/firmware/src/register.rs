//! Registers of devices.

/// A register of 32 bits at an address.
#[derive(Clone, Copy)]
pub struct Register(usize);

impl Register {
    /// # Safety
    ///
    /// At the address there is a register of a device, and nothing else owns it. Whatever is read from it or written to it,
    /// no memory changes.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub fn read(self) -> u32 {
        // SAFETY: as promised to `at`.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub fn write(self, value: u32) {
        // SAFETY: as promised to `at`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }

    pub fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }

    pub fn clear(self, bits: u32) {
        self.write(self.read() & !bits);
    }
}
