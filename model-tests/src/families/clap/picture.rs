//! What CLAP makes of mel frames before its stages: a square picture, its patches, and for a long sound the fusion
//! of the whole with three parts of it (Wu et al. 2023).

use super::audio::EPSILON;
use crate::config::Config;
use crate::error::Error;
use crate::families::net::Net;
use proofmark_kernels::{Activation, BinaryOp, Reduction, UnaryOp, Value, Window};

/// The parts of a long sound that are fused with its whole.
const PARTS: usize = 3;

/// How a picture is made and cut.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Patches {
    pub(super) mel_bins: usize,
    /// Rows and columns of the picture.
    side: usize,
    size: [usize; 2],
    stride: [usize; 2],
    channels: usize,
    /// The width of a patch as a token.
    pub(super) width: usize,
    norm: bool,
    /// The inner width of the fusion, if there is one.
    fusion: Option<usize>,
}

impl Patches {
    pub(super) fn read(config: &mut Config) -> Result<Self, Error> {
        let fusion = config.flag_or("enable_fusion", false)?;
        let width = config.size_or("patch_embeds_hidden_size", 96)?;
        let patches = Self {
            mel_bins: config.size_or("num_mel_bins", 64)?,
            side: config.size_or("spec_size", 256)?,
            size: pair_or(config, "patch_size", 4)?,
            stride: pair_or(config, "patch_stride", 4)?,
            channels: config.size_or("patch_embed_input_channels", 1)?,
            width,
            norm: config.flag_or("enable_patch_layer_norm", true)?,
            fusion: if fusion { Some(read_fusion(config, width)?) } else { None },
        };
        patches.check(config)?;
        Ok(patches)
    }

    /// Refuses sizes that do not fit into each other.
    fn check(&self, config: &Config) -> Result<(), Error> {
        let (ratio, side) = (self.ratio(), self.side);
        if ratio == 0 || side / ratio * ratio != side {
            let detail = format!(
                "is {side}: num_mel_bins is {}, and a picture of whole stripes of so many rows is needed",
                self.mel_bins
            );
            return Err(config.fault("spec_size", detail));
        }
        if self.fusion.is_some() && self.channels != 1 {
            let detail = format!("is {}: with enable_fusion it must be 1", self.channels);
            return Err(config.fault("patch_embed_input_channels", detail));
        }
        for axis in 0..2 {
            let (size, stride) = (self.size[axis], self.stride[axis]);
            let padded = side + (size.saturating_sub(stride)) / 2 * 2;
            let fits = size >= stride && size <= padded;
            if !fits || (padded - size) / stride + 1 != side / stride {
                let detail = format!(
                    "is {size} along axis {axis}: patches of that size every {stride} do not cover {side} pixels"
                );
                return Err(config.fault("patch_size", detail));
            }
        }
        Ok(())
    }

    /// How many stripes of frequencies a picture has one below the other.
    pub(super) fn ratio(&self) -> usize {
        self.side / self.mel_bins
    }

    /// Rows and columns of patches.
    pub(super) fn grid(&self) -> [usize; 2] {
        self.stride.map(|stride| self.side / stride)
    }

    /// Whether long sounds are fused with their parts.
    pub(super) const fn fuses(&self) -> bool {
        self.fusion.is_some()
    }

    /// Whether there is a patch of parts at all: one is as wide as several of the whole. Where a picture is too
    /// narrow for it the class runs as long as no sound is longer.
    pub(super) fn fuses_parts(&self) -> bool {
        let [size, stride] = [self.size[1], self.stride[1]];
        self.fuses() && PARTS * size <= self.side + (size - stride) / 2 * 2
    }

    /// Channels of the mel frames: the whole and its parts, where they are fused.
    pub(super) fn inputs(&self) -> usize {
        if self.fuses() { 1 + PARTS } else { self.channels }
    }

    /// The most frames of a sound.
    pub(super) fn frames(&self) -> usize {
        self.side * self.ratio()
    }

    /// Refuses a sound that does not fit into the picture.
    pub(super) fn check_frames(&self, frames: usize) -> Result<(), Error> {
        let most = self.frames();
        let fail = |detail| Err(Error::Input { name: "input_features".into(), detail });
        if frames > most {
            return fail(format!("it has {frames} frames, the checkpoint takes at most {most}"));
        }
        // The class would stretch the frequencies back to as many frames as came in.
        if frames < most && self.mel_bins < self.side / self.ratio() {
            return fail(format!(
                "it has {frames} frames, the checkpoint takes {most} exactly, for its mel bins are stretched"
            ));
        }
        Ok(())
    }

    /// A picture `[i, channels, side, side]` of mel frames `[i, channels, f, mel]`: normalised by bin, stretched in
    /// time, and cut into as many stripes as stand one below the other.
    pub(super) fn picture(
        &self,
        net: &mut Net<'_>,
        name: &str,
        features: Value,
    ) -> Result<Value, Error> {
        let &[sounds, channels, frames, bins] = net.shape(features) else {
            let detail = "it is not [sounds, channels, frames, mel bins]".into();
            return Err(Error::Input { name: "input_features".into(), detail });
        };
        let (scale, shift) = frozen_norm(net, &format!("{name}.batch_norm"), self.mel_bins)?;
        let scaled = net.mul(features, scale)?;
        let mut x = net.builder.add(scaled, shift)?;
        let ratio = self.ratio();
        let (time, rows) = (self.frames(), self.side / ratio);
        if frames < time {
            let matrix = net.floats(&[time, frames], bicubic(frames, time))?;
            x = net.builder.matmul(matrix, x, false)?;
        }
        if bins < rows {
            let matrix = net.floats(&[rows, bins], bicubic(bins, rows))?;
            x = net.builder.matmul(x, matrix, true)?;
        }
        x = net.builder.reshape(x, &[sounds, channels, ratio, self.side, rows])?;
        x = net.builder.transpose(x, &[0, 1, 2, 4, 3])?;
        Ok(net.builder.reshape(x, &[sounds, channels, self.side, self.side])?)
    }

    /// Patches as tokens, `[i, patches, width]`; with fusion `rows` `[i]` chooses among the sounds fused (first) and
    /// as they are (behind).
    pub(super) fn embed(
        &self,
        net: &mut Net<'_>,
        name: &str,
        picture: Value,
        rows: Option<Value>,
    ) -> Result<Value, Error> {
        let proj = format!("{name}.proj");
        let mut x = picture;
        let padding = [0, 1].map(|axis| (self.size[axis] - self.stride[axis]) / 2);
        let window = Window::new(self.size).stride(self.stride).padding(padding);
        if self.fuses() {
            x = net.builder.slice(picture, 1, 0, 1)?;
        }
        x = net.conv(&proj, x, self.width, window, true)?;
        if let (Some(inner), Some(rows)) = (self.fusion, rows) {
            let parts = self.parts(net, &format!("{name}.mel_conv2d"), picture, padding)?;
            let fused = self.fuse(net, &format!("{name}.fusion_model"), [x, parts], inner)?;
            x = choose(net, [fused, x], rows)?;
        }
        let sounds = net.shape(x)[0];
        let [height, across] = self.grid();
        x = net.builder.reshape(x, &[sounds, self.width, height * across])?;
        x = net.builder.transpose(x, &[0, 2, 1])?;
        if self.norm { net.layer_norm(&format!("{name}.norm"), x, EPSILON) } else { Ok(x) }
    }

    /// The parts of a sound side by side, `[i, width, rows, columns]`: each has a third of the columns of the whole,
    /// and what is missing is 0.
    fn parts(
        &self,
        net: &mut Net<'_>,
        name: &str,
        picture: Value,
        padding: [usize; 2],
    ) -> Result<Value, Error> {
        let (sounds, side, width) = (net.shape(picture)[0], self.side, self.width);
        let parts = net.builder.slice(picture, 1, 1, 1 + PARTS)?;
        let parts = net.builder.reshape(parts, &[sounds * PARTS, 1, side, side])?;
        let window = Window::new([self.size[0], PARTS * self.size[1]])
            .stride([self.stride[0], PARTS * self.stride[1]])
            .padding(padding);
        let parts = net.conv(name, parts, width, window, true)?;
        let (height, columns) = (net.shape(parts)[2], net.shape(parts)[3]);
        let parts = net.builder.reshape(parts, &[sounds, PARTS, width, height, columns])?;
        let parts = net.builder.transpose(parts, &[0, 2, 3, 1, 4])?;
        let found = PARTS * columns;
        let parts = net.builder.reshape(parts, &[sounds, width, height, found])?;
        let across = self.grid()[1];
        if found > across {
            return Ok(net.builder.slice(parts, 3, 0, across)?);
        }
        if found == across {
            return Ok(parts);
        }
        let shape = [sounds, width, height, across - found];
        let zeros = net.floats(&shape, vec![0.0; shape.iter().product()])?;
        Ok(net.builder.concat(&[parts, zeros], 3)?)
    }

    /// Attentional fusion (Dai et al. 2021) of the whole and its parts: `2·(whole·s + parts·(1 - s))`, where `s` looks
    /// at every patch of their sum and at the mean of all.
    fn fuse(
        &self,
        net: &mut Net<'_>,
        name: &str,
        [whole, parts]: [Value; 2],
        inner: usize,
    ) -> Result<Value, Error> {
        let sum = net.builder.add(whole, parts)?;
        let [local, global] = ["local_att", "global_att"].map(|which| format!("{name}.{which}"));
        let local = self.squeeze(net, &local, [0, 1, 3, 4], sum, inner)?;
        let mean = net.builder.reduce(Reduction::Mean, sum, 3, true)?;
        let mean = net.builder.reduce(Reduction::Mean, mean, 2, true)?;
        // The mean is the first of the modules, so that all others are one further.
        let global = self.squeeze(net, &global, [1, 2, 4, 5], mean, inner)?;
        let share = net.builder.add(local, global)?;
        let share = net.builder.unary(UnaryOp::Sigmoid, share)?;
        let difference = net.builder.binary(BinaryOp::Sub, whole, parts)?;
        let moved = net.mul(difference, share)?;
        let half = net.builder.add(parts, moved)?;
        net.scale(half, 2.0)
    }

    /// Two convolutions over single patches, each with a frozen norm, by the numbers of their modules.
    fn squeeze(
        &self,
        net: &mut Net<'_>,
        name: &str,
        modules: [usize; 4],
        x: Value,
        inner: usize,
    ) -> Result<Value, Error> {
        let [first, first_norm, second, second_norm] =
            modules.map(|module| format!("{name}.{module}"));
        let x = pointwise(net, [&first, &first_norm], x, inner, Activation::Relu)?;
        pointwise(net, [&second, &second_norm], x, self.width, Activation::Identity)
    }
}

/// The inner width of the fusion.
fn read_fusion(config: &mut Config, width: usize) -> Result<usize, Error> {
    // Every type is computed alike but this one, whose weights do not fit what the class gives them.
    if config.text("fusion_type")?.as_deref() == Some("channel_map") {
        let detail = "is \"channel_map\", which is not supported: possible is aff_2d";
        return Err(config.fault("fusion_type", detail));
    }
    let divisor = config.size_or("aff_block_r", 4)?;
    if divisor > width {
        let detail = format!("is {divisor}: nothing is left of patch_embeds_hidden_size, {width}");
        return Err(config.fault("aff_block_r", detail));
    }
    Ok(width / divisor)
}

/// A size for both axes, or one for each.
fn pair_or(config: &mut Config, key: &str, default: usize) -> Result<[usize; 2], Error> {
    if !config.value(key).is_some_and(|value| value.is_array()) {
        return Ok([config.size_or(key, default)?; 2]);
    }
    let sizes = config.sizes_or(key, &[])?;
    let pair = sizes.as_slice().try_into();
    pair.map_err(|_| config.fault(key, format!("is {sizes:?}: one size or two are needed")))
}

/// Scale and shift `[width]` of a batch normalisation whose statistics are weights.
fn frozen_norm(net: &mut Net<'_>, name: &str, width: usize) -> Result<(Value, Value), Error> {
    let mut part = |part: &str| net.weight(&format!("{name}.{part}"), &[width]);
    let (weight, bias) = (part("weight")?, part("bias")?);
    let (mean, variance) = (part("running_mean")?, part("running_var")?);
    let epsilon = net.builder.scalar(EPSILON);
    let variance = net.builder.add(variance, epsilon)?;
    let deviation = net.builder.unary(UnaryOp::Sqrt, variance)?;
    let scale = net.builder.binary(BinaryOp::Div, weight, deviation)?;
    let moved = net.mul(mean, scale)?;
    Ok((scale, net.builder.binary(BinaryOp::Sub, bias, moved)?))
}

/// A convolution over single patches with a frozen norm behind it, as one convolution.
fn pointwise(
    net: &mut Net<'_>,
    [name, norm]: [&str; 2],
    x: Value,
    width: usize,
    activation: Activation,
) -> Result<Value, Error> {
    let inner = net.shape(x)[1];
    let weight = net.weight(&format!("{name}.weight"), &[width, inner, 1, 1])?;
    let bias = net.weight(&format!("{name}.bias"), &[width])?;
    let (scale, shift) = frozen_norm(net, norm, width)?;
    let scaled = net.mul(bias, scale)?;
    let bias = net.builder.add(scaled, shift)?;
    let scale = net.builder.reshape(scale, &[width, 1, 1, 1])?;
    let weight = net.mul(weight, scale)?;
    Ok(net.builder.conv([x, weight], Some(bias), Window::new([1, 1]), 1, activation)?)
}

/// Row by row the one of two alike values that `rows` names: those of the second stand behind those of the first.
fn choose(net: &mut Net<'_>, pair: [Value; 2], rows: Value) -> Result<Value, Error> {
    let shape = net.shape(pair[0]).to_vec();
    let both = net.builder.concat(&pair, 0)?;
    let flat = [2 * shape[0], shape[1..].iter().product()];
    let both = net.builder.reshape(both, &flat)?;
    let chosen = net.builder.gather(both, rows)?;
    Ok(net.builder.reshape(chosen, &shape)?)
}

/// The matrix `[output, input]` that stretches so many values by cubic convolution (Keys 1981, with PyTorch's
/// a = -0.75): the first and the last stay where they are, and values beyond the ends are those at the ends.
fn bicubic(input: usize, output: usize) -> Vec<f32> {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    let mut matrix = vec![0.0; output * input];
    for (i, row) in matrix.chunks_mut(input).enumerate() {
        // The position is i·(input - 1)/(output - 1): its whole part and its fraction, exactly.
        let (whole, rest) = match output - 1 {
            0 => (0, 0.0),
            last => (i * (input - 1) / last, ratio(i * (input - 1) % last, last)),
        };
        let weights = [far(1.0 + rest), near(rest), near(1.0 - rest), far(2.0 - rest)];
        for (k, weight) in weights.into_iter().enumerate() {
            row[(whole + k).saturating_sub(1).min(input - 1)] += weight;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "constants of a graph are f32")]
    matrix.into_iter().map(|weight: f64| weight as f32).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
