//! Which vector instructions the CPU device uses, and how a kernel that is written once runs with them.

use pulp::{Scalar128b, Simd, WithSimd};
use serde::{Deserialize, Serialize};

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What every processor of the architecture has; the compiler chooses.
    Portable,
    /// AVX2 with FMA: 8 floats.
    Avx2,
    /// AVX-512 (F, CD, VL, DQ, BW): 16 floats.
    Avx512,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The highest level of this processor.
    pub fn best() -> Self {
        let mut levels = Self::ALL.into_iter().rev();
        levels.find(|level| level.is_here()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::is_available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Its name in the driver's text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2+fma",
            Self::Avx512 => "avx512",
        }
    }

    /// Floats in one vector.
    pub(super) const fn lanes(self) -> usize {
        match self {
            Self::Portable => Scalar128b::F32_LANES,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Runs `work` with the instructions of this level. The level must be here.
    #[inline]
    pub(super) fn run<W: WithSimd>(self, work: W) -> W::Output {
        match self {
            Self::Portable => Simd::vectorize(Scalar128b, work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, work),
                None => Simd::vectorize(Scalar128b, work),
            },
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => match pulp::x86::V4::try_new() {
                Some(simd) => Simd::vectorize(simd, work),
                None => Simd::vectorize(Scalar128b, work),
            },
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => Simd::vectorize(Scalar128b, work),
        }
    }
}
