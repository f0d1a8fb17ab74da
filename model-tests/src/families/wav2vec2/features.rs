//! What Wav2Vec2 makes of samples before its encoder: a row of convolutions, how many frames they give, and which of
//! them are seen.

use crate::config::Config;
use crate::error::Error;
use crate::families::activations::{ACTIVATIONS, Function};
use crate::families::net::Net;
use proofmark_kernels::{Activation, Value, Window};

/// PyTorch's default, which the model class does not change for these norms.
pub(super) const EPSILON: f32 = 1e-5;

/// The feature extractor: convolutions over the samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Features {
    convolutions: Vec<Convolution>,
    bias: bool,
    norm: Norm,
    activation: Function,
}

#[derive(Clone, Debug, PartialEq)]
struct Convolution {
    channels: usize,
    size: usize,
    stride: usize,
}

/// What is normalised behind the convolutions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    /// Every channel over all frames, behind the first convolution only.
    Group,
    /// The channels of every frame, behind each convolution.
    Layer,
}

impl Features {
    pub(super) fn read(config: &mut Config) -> Result<Self, Error> {
        let channels = config.sizes_or("conv_dim", &[512; 7])?;
        let sizes = config.sizes_or("conv_kernel", &[10, 3, 3, 3, 3, 2, 2])?;
        let strides = config.sizes_or("conv_stride", &[5, 2, 2, 2, 2, 2, 2])?;
        for (key, list) in [("conv_kernel", &sizes), ("conv_stride", &strides)] {
            if list.len() != channels.len() || list.is_empty() {
                let detail = format!(
                    "has {} sizes, conv_dim has {}: one for each convolution is needed",
                    list.len(),
                    channels.len()
                );
                return Err(config.fault(key, detail));
            }
        }
        let convolutions = channels.into_iter().zip(sizes).zip(strides);
        let convolutions = convolutions
            .map(|((channels, size), stride)| Convolution { channels, size, stride })
            .collect();
        Ok(Self {
            convolutions,
            bias: config.flag_or("conv_bias", false)?,
            norm: config.choice_or(
                "feat_extract_norm",
                &[("group", Norm::Group), ("layer", Norm::Layer)],
                Norm::Group,
            )?,
            activation: config.choice_or(
                "feat_extract_activation",
                &ACTIVATIONS,
                Activation::Gelu.into(),
            )?,
        })
    }

    /// The activation, which the positional convolution has as well.
    pub(super) const fn activation(&self) -> Function {
        self.activation
    }

    /// The frames of so many samples, by the formula that the model class applies to lengths of any size: it gives
    /// 0 and less where there are not enough.
    pub(super) fn frames(&self, samples: i64) -> i64 {
        let next = |length: i64, convolution: &Convolution| {
            (length - signed(convolution.size)).div_euclid(signed(convolution.stride)) + 1
        };
        self.convolutions.iter().fold(samples, next)
    }

    /// The fewest samples that give so many frames.
    pub(super) fn samples(&self, frames: usize) -> usize {
        let before = |frames: usize, layer: &Convolution| (frames - 1) * layer.stride + layer.size;
        self.convolutions.iter().rev().fold(frames, before)
    }

    /// Of each row of a mask over samples, the last of `frames` frames that is seen; none where the row shows too
    /// few samples for any. A row that shows just less than one frame shows all: the model class counts -1 from the
    /// end, as Python does.
    pub(super) fn last_seen(&self, row: &[i32], frames: usize) -> Option<usize> {
        let seen: i64 = row.iter().map(|&shown| i64::from(shown != 0)).sum();
        let last = self.frames(seen) - 1;
        let last = if last < 0 { last + signed(frames) } else { last };
        usize::try_from(last).ok()
    }

    /// Frames `[b, f, channels]` of samples `[b, s]`.
    pub(super) fn extract(&self, net: &mut Net<'_>, samples: Value) -> Result<Value, Error> {
        let &[batch, length] = net.shape(samples) else {
            let detail = "is not [b, s]".into();
            return Err(Error::Input { name: "input_values".into(), detail });
        };
        let mut x = net.builder.reshape(samples, &[batch, 1, length])?;
        for (i, convolution) in self.convolutions.iter().enumerate() {
            let name = format!("wav2vec2.feature_extractor.conv_layers.{i}");
            let window = Window::new([1, convolution.size]).stride([1, convolution.stride]);
            let channels = convolution.channels;
            x = net.conv_1d(&format!("{name}.conv"), x, channels, window, self.bias)?;
            let norm = format!("{name}.layer_norm");
            if self.norm == Norm::Layer {
                x = net.builder.transpose(x, &[0, 2, 1])?;
                x = net.layer_norm(&norm, x, EPSILON)?;
                x = net.builder.transpose(x, &[0, 2, 1])?;
            } else if i == 0 {
                let parts = ["weight", "bias"].map(|part| net.norm_part(&norm, part, channels));
                let [weight, bias] = parts;
                x = net.builder.group_norm(x, [weight?, bias?], channels, EPSILON)?;
            }
            x = self.activation.apply(&mut net.builder, x)?;
        }
        Ok(net.builder.transpose(x, &[0, 2, 1])?)
    }
}

/// A size as a number that may become negative. Those of a configuration that no `i64` holds fit no input.
fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX / 2)
}
