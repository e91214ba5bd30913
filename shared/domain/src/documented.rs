//! Declares enums that keep the names and comments of their variants.
//!
//! `docs/reference.md` is made from these comments, so that code and page cannot say different things. A comment has a first
//! paragraph, and a second one where the page has another column.

/// Declares an enum with `DOCUMENTED`: the name and the comment of each variant, in order. A variant's name is its own unless
/// another one is given.
#[macro_export]
macro_rules! documented {
    (@name $variant:ident $name:literal) => { $name };
    (@name $variant:ident) => { stringify!($variant) };
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[doc = $line:literal])+ $variant:ident $({ $($fields:tt)* })? $(= $given:literal)?,)+
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[doc = $line])+ $variant $({ $($fields)* })?,)+
        }

        impl $name {
            /// The name and the comment of each variant, in order.
            pub const DOCUMENTED: &[(&str, &str)] =
                &[$(($crate::documented!(@name $variant $($given)?), concat!($($line, "\n"),+)),)+];
        }
    };
}
