//! The same test in both versions.

/// A test for each version, and more of 5.0. Each is given its version, or what stands for it.
macro_rules! in_both_versions {
    (in both { $($module:ident::$name:ident;)* } in v5 { $($module5:ident::$name5:ident;)* }) => {
        mod v311 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V311.into()); })*
        }

        mod v5 {
            use mqtt_session::Version;
            $(#[test] fn $name() { super::$module::$name(Version::V5.into()); })*
            $(#[test] fn $name5() { super::$module5::$name5(Version::V5.into()); })*
        }
    };
    ($($tests:tt)*) => {
        in_both_versions! { in both { $($tests)* } in v5 {} }
    };
}
