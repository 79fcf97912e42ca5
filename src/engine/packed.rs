//! Small states that share a byte.

/// Declares a byte of enums: for each how it is read and set, its type, where its bits begin, and its variants, whose numbers count
/// from 0.
macro_rules! packed {
    ($(#[$about:meta])* $name:ident {
        $($(#[$what:meta])* $get:ident, $set:ident: $state:ty = $mask:literal << $shift:literal {
            $($(#[$if:meta])* $variant:ident),+
        })+
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name(u8);

        impl $name {
            /// Each at its number 0.
            pub(crate) const NEW: Self = Self(0);

            $(
                $(#[$what])*
                pub(crate) const fn $get(self) -> $state {
                    let number = self.0 >> $shift & $mask;
                    match number {
                        $($(#[$if])* _ if number == <$state>::$variant as u8 => <$state>::$variant,)+
                        _ => packed!(@first $state; $($variant)+),
                    }
                }

                pub(crate) const fn $set(&mut self, state: $state) {
                    self.0 = self.0 & !($mask << $shift) | (state as u8) << $shift;
                }
            )+
        }
    };
    (@first $state:ty; $first:ident $($others:ident)*) => { <$state>::$first };
}
pub(crate) use packed;
