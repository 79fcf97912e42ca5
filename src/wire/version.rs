/// The version of the protocol spoken on a connection.
///
/// Only the versions whose features (`v311`, `v5`) are on exist, so a build for one version carries no code for the
/// other.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    #[cfg(feature = "v311")]
    V311,
    /// MQTT 5.0, protocol level 5. (Also where neither feature is on, so that the one error is that.)
    #[cfg(any(feature = "v5", not(feature = "v311")))]
    V5,
}

impl Version {
    /// The protocol level that CONNECT carries for this version: 4 or 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        if self.is_v5() { 5 } else { 4 }
    }

    /// The version that a CONNECT of protocol level `level` speaks, or `None` where this build does not speak it.
    ///
    /// ```
    /// use mqtt_session::Version;
    /// # #[cfg(feature = "v5")]
    /// assert_eq!(Version::of_level(5), Some(Version::V5));
    /// assert_eq!(Version::of_level(3), None);
    /// ```
    #[must_use]
    pub const fn of_level(level: u8) -> Option<Self> {
        match level {
            #[cfg(feature = "v311")]
            4 => Some(Self::V311),
            #[cfg(any(feature = "v5", not(feature = "v311")))]
            5 => Some(Self::V5),
            _ => None,
        }
    }

    /// The version of a level, or what this build has nearest to it.
    pub(crate) const fn nearest(level: u8) -> Self {
        match Self::of_level(level) {
            Some(version) => version,
            None if level < Self::OLDEST.level() => Self::OLDEST,
            None => Self::LATEST,
        }
    }

    /// The oldest version of this build.
    #[cfg(feature = "v311")]
    pub(crate) const OLDEST: Self = Self::V311;
    /// The oldest version of this build.
    #[cfg(not(feature = "v311"))]
    pub(crate) const OLDEST: Self = Self::V5;

    /// The newest version of this build.
    #[cfg(any(feature = "v5", not(feature = "v311")))]
    pub(crate) const LATEST: Self = Self::V5;
    /// The newest version of this build.
    #[cfg(all(feature = "v311", not(feature = "v5")))]
    pub(crate) const LATEST: Self = Self::V311;

    /// The one question that the code of this crate asks of a version; constant where only one version is built.
    pub(crate) const fn is_v5(self) -> bool {
        match self {
            #[cfg(feature = "v311")]
            Self::V311 => false,
            #[cfg(any(feature = "v5", not(feature = "v311")))]
            Self::V5 => true,
        }
    }
}

/// An end of a connection. Where a function takes a role `to`, it is the end that receives the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// The end that sent CONNECT.
    Client,
    /// The end that accepted the connection.
    Server,
}
