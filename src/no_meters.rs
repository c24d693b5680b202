//! What stands in for the metrics without the `metrics` feature: nothing.

use crate::{
    error::{RateLimited, Reason},
    nanos::Nanos,
    store::StoreError,
};
use std::sync::Arc;

pub(crate) fn unenforced(_: &RateLimited) {}

pub(crate) struct Meters;

impl Meters {
    pub(crate) fn new(_: Option<&Arc<str>>) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn admitted(&self) {}

    pub(crate) fn refused(&self, _: Reason) {}

    pub(crate) fn waited(&self, _: Nanos) {}

    pub(crate) fn line(&self) -> LineMeter {
        LineMeter
    }
}

pub(crate) struct LineMeter;

impl LineMeter {
    pub(crate) fn joined(&self) -> InLine {
        InLine
    }
}

pub(crate) struct InLine;

#[derive(Debug)]
pub(crate) struct KeyMeter;

impl KeyMeter {
    pub(crate) fn new(_: Option<&Arc<str>>) -> Self {
        Self
    }

    pub(crate) fn kept(&self) {}

    pub(crate) fn evicted(&self, _: usize) {}

    pub(crate) fn gone(&self, _: usize) {}
}

pub(crate) struct StoreMeters;

impl StoreMeters {
    pub(crate) fn new(_: Option<&Arc<str>>, _: &'static str) -> Self {
        Self
    }

    pub(crate) fn batch(&self, _: usize) {}

    pub(crate) fn failed(&self, _: &StoreError) {}

    pub(crate) fn fell_back(&self) {}

    pub(crate) fn remembered(&self) {}

    pub(crate) fn left_alone(&self) {}

    pub(crate) fn too_many(&self) {}

    pub(crate) fn breaker(&self) -> BreakerMeter {
        BreakerMeter
    }
}

#[derive(Debug)]
pub(crate) struct BreakerMeter;

impl BreakerMeter {
    pub(crate) fn opened(&self) -> OpenBreaker {
        OpenBreaker
    }
}

#[derive(Debug)]
pub(crate) struct OpenBreaker;
