//! Keys of several parts, each with a source of its own.

use super::{KeySource, MissingKey};
use crate::limiter::Terms;

macro_rules! tuples {
    ($(($first:ident $($part:ident)*))*) => { $(
        impl<Request, $first, $($part),*> KeySource<Request> for ($first, $($part),*)
        where
            $first: KeySource<Request>,
            $($part: KeySource<Request>),*
        {
            type Key = ($first::Key, $($part::Key),*);
            type Reply = $first::Reply;

            const ADDS: bool = $first::ADDS;

            #[allow(non_snake_case)]
            fn key(&self, request: &Request) -> Result<Self::Key, MissingKey> {
                let ($first, $($part),*) = self;
                Ok(($first.key(request)?, $($part.key(request)?),*))
            }

            fn reply(&self) -> Self::Reply {
                self.0.reply()
            }

            #[allow(non_snake_case)]
            fn terms(&self, request: &Request, terms: Terms) -> Terms {
                let ($first, $($part),*) = self;
                let terms = $first.terms(request, terms);
                $(let terms = $part.terms(request, terms);)*
                terms
            }

            #[allow(non_snake_case)]
            fn is_exempt(&self, request: &Request) -> bool {
                let ($first, $($part),*) = self;
                $first.is_exempt(request) $(|| $part.is_exempt(request))*
            }
        }
    )* };
}

tuples! { (A B) (A B C) }
