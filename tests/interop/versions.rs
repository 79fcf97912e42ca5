//! The same test in both versions.

/// A test for each version.
macro_rules! in_both_versions {
    ($($module:ident::$name:ident;)*) => {
        mod v3 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V3); })*
        }

        mod v5 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V5); })*
        }
    };
}
