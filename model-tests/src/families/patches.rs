//! Pictures as tokens: every patch of the grid is one row, projected as a convolution would whose stride is its size
//! (Dosovitskiy et al. 2021). Pixels behind the last whole patch are not seen.

use super::net::Net;
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, Size, Value};

/// The sizes of pictures and of their patches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Patches {
    /// Rows and columns of a picture.
    pub(super) picture: [usize; 2],
    /// Rows and columns of a patch.
    patch: [usize; 2],
    channels: usize,
}

impl Patches {
    /// Reads `image_size`, `patch_size` and `num_channels`; `pairs` allows two numbers for a size.
    pub(super) fn read(
        config: &mut Config,
        [image, patch]: [usize; 2],
        pairs: bool,
    ) -> Result<Self, Error> {
        let mut pair = |key: &str, default: usize| {
            if pairs && config.value(key).is_some_and(|value| value.is_array()) {
                let sizes = config.sizes_or(key, &[])?;
                return <[usize; 2]>::try_from(sizes)
                    .map_err(|sizes| config.fault(key, format!("is {sizes:?}: two are needed")));
            }
            Ok([config.size_or(key, default)?; 2])
        };
        let (picture, patch) = (pair("image_size", image)?, pair("patch_size", patch)?);
        let channels = config.size_or("num_channels", 3)?;
        if picture.iter().zip(patch).any(|(&picture, patch)| picture < patch) {
            let detail = format!("is {patch:?}, larger than a picture of {picture:?}");
            return Err(config.fault("patch_size", detail));
        }
        Ok(Self { picture, patch, channels })
    }

    /// Rows and columns of the grid.
    pub(super) fn grid(&self) -> [usize; 2] {
        [self.picture[0] / self.patch[0], self.picture[1] / self.patch[1]]
    }

    /// Patches of a picture.
    pub(super) fn count(&self) -> usize {
        self.grid().iter().product()
    }

    /// The sizes of pixels, behind those that count pictures: channels, rows, columns.
    pub(super) fn sizes(&self, lead: impl IntoIterator<Item = Size>) -> Vec<Size> {
        let own = [self.channels, self.picture[0], self.picture[1]].map(Size::from);
        lead.into_iter().chain(own).collect()
    }

    /// The same sizes for so many pictures.
    pub(super) fn shape(&self, lead: &[usize]) -> Vec<usize> {
        let own = [self.channels, self.picture[0], self.picture[1]];
        lead.iter().copied().chain(own).collect()
    }

    /// Patches of pixels `[b, c, h, w]` by `name.weight` `[width, c, ph, pw]`: `[b, patches, width]`.
    pub(super) fn embed(
        &self,
        net: &mut Net<'_>,
        name: &str,
        pixels: Value,
        width: usize,
        bias: bool,
    ) -> Result<Value, Error> {
        let batch = net.shape(pixels).first().copied().unwrap_or(1);
        let ([rows, columns], [high, wide]) = (self.grid(), self.patch);
        let weight = net.weight(&format!("{name}.weight"), &[width, self.channels, high, wide])?;
        let bias = bias.then(|| net.weight(&format!("{name}.bias"), &[width])).transpose()?;
        let inner = self.channels.saturating_mul(high).saturating_mul(wide);
        let builder = &mut net.builder;
        let mut x = pixels;
        for (axis, whole) in [(2, rows * high), (3, columns * wide)] {
            if whole < self.picture[axis - 2] {
                x = builder.slice(x, axis, 0, whole)?;
            }
        }
        // Rows of one patch side by side are what a filter of the convolution sees.
        let x = builder.reshape(x, &[batch, self.channels, rows, high, columns, wide])?;
        let x = builder.transpose(x, &[0, 2, 4, 1, 3, 5])?;
        let x = builder.reshape(x, &[batch, rows * columns, inner])?;
        let weight = builder.reshape(weight, &[width, inner])?;
        Ok(builder.linear(x, weight, bias, Activation::Identity)?)
    }
}

/// Tokens `[b, n, d]` with positions `[n + 1, d]` added, behind a token `[1, d]` that is learned.
pub(super) fn behind_first(
    net: &mut Net<'_>,
    tokens: Value,
    first: Value,
    positions: Value,
) -> Result<Value, Error> {
    let &[batch, count, _] = net.shape(tokens) else {
        return Err(Error::Input { name: "tokens".into(), detail: "are not [b, n, d]".into() });
    };
    let own = net.builder.slice(positions, 0, 0, 1)?;
    let first = net.builder.add(first, own)?;
    let everywhere = net.indices(&[batch, 1], vec![0; batch])?;
    let first = net.builder.gather(first, everywhere)?;
    let others = net.builder.slice(positions, 0, 1, count + 1)?;
    let tokens = net.builder.add(tokens, others)?;
    Ok(net.builder.concat(&[first, tokens], 1)?)
}
