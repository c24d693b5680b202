//! Algorithms as they are written: their parameters in a file, and as a line of text.
//!
//! Both ways go through the constructors and setters that code uses, so that what they refuse is
//! refused here, with the same error. The words are those of the setters; a line has spaces where
//! they have underscores.

/// A struct of parameters as they stand in a file: first those that must be there, then those that
/// need not.
macro_rules! parameters {
    (
        $(#[$doc:meta])*
        $name:ident { $($required:ident: $type:ty,)* } and { $($optional:ident: $given:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[cfg_attr(
            feature = "serde",
            derive(serde::Deserialize, serde::Serialize),
            serde(deny_unknown_fields)
        )]
        pub(crate) struct $name {
            $($required: $type,)*
            $(
                #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
                $optional: Option<$given>,
            )*
        }
    };
}

mod line;
pub(super) mod buckets;
pub(super) mod pace;
pub(super) mod windows;
pub(super) mod calls;

pub(super) use line::after;
