//! ResNet (He et al. 2015) as a backbone with frozen batch normalisation: as transformers writes it, and as timm does
//! for the published sizes of its `resnet` models.
//!
//! A frozen normalisation is a scale and a shift of channels, so it goes into the convolution before it; `fold`
//! computes that once.

use super::activations::{ACTIVATIONS, Function};
use super::net::Net;
use crate::config::Config;
use crate::error::Error;
use proofmark_kernels::{Activation, BinaryOp, UnaryOp, Value, Window};
use serde_json::json;

/// `BatchNorm2d`'s own, which no configuration changes.
const EPSILON: f32 = 1e-5;
/// Between the widths of a bottleneck.
const REDUCTION: usize = 4;

/// The sizes of one ResNet, up to the stage whose map is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResNet {
    pub(super) channels: usize,
    stem: usize,
    /// Channels and blocks of each stage.
    stages: Vec<[usize; 2]>,
    bottleneck: bool,
    activation: Function,
    /// Whether the first stage halves the picture.
    first_halves: bool,
    /// Whether a bottleneck halves in its first convolution.
    early: bool,
    names: Names,
}

/// Whose names the weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Transformers,
    Timm,
}

/// timm's models by name: blocks of each stage, and whether they are bottlenecks.
const TIMM: [(&str, ([usize; 4], bool)); 5] = [
    ("resnet18", ([2, 2, 2, 2], false)),
    ("resnet34", ([3, 4, 6, 3], false)),
    ("resnet50", ([3, 4, 6, 3], true)),
    ("resnet101", ([3, 4, 23, 3], true)),
    ("resnet152", ([3, 8, 36, 3], true)),
];

impl ResNet {
    /// Reads a `backbone_config` whose `model_type` is `resnet`.
    pub(super) fn read(config: &mut Config) -> Result<Self, Error> {
        config.held("model_type", &[json!("resnet")])?;
        config.idle(&["out_indices", "stage_names", "hidden_states", "num_labels"]);
        let widths = config.sizes_or("hidden_sizes", &[256, 512, 1024, 2048])?;
        let depths = config.sizes_or("depths", &[3, 4, 6, 3])?;
        if widths.len() != depths.len() {
            let detail = format!("has {} stages, hidden_sizes has {}", depths.len(), widths.len());
            return Err(config.fault("depths", detail));
        }
        let mut stages: Vec<_> = widths.into_iter().zip(depths).map(|(w, d)| [w, d]).collect();
        let last = last_stage(config, stages.len())?;
        stages.truncate(last);
        let bottleneck =
            config.choice_or("layer_type", &[("bottleneck", true), ("basic", false)], true)?;
        if let Some([width, _]) = stages.iter().find(|[w, _]| bottleneck && *w < REDUCTION) {
            let detail = format!("has {width}: a bottleneck needs at least {REDUCTION} channels");
            return Err(config.fault("hidden_sizes", detail));
        }
        let early = config.flag_or("downsample_in_bottleneck", false)?;
        Ok(Self {
            channels: config.size_or("num_channels", 3)?,
            stem: config.size_or("embedding_size", 64)?,
            stages,
            bottleneck,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, Activation::Relu.into())?,
            first_halves: config.flag_or("downsample_in_first_stage", false)?,
            early: early && bottleneck,
            names: Names::Transformers,
        })
    }

    /// One of timm's by name, for pictures of so many channels.
    pub(super) fn timm(
        config: &mut Config,
        key: &str,
        channels: usize,
        default: &str,
    ) -> Result<Self, Error> {
        let standard = TIMM.iter().find(|(name, _)| *name == default).map(|(_, found)| *found);
        let (depths, bottleneck) = match standard {
            Some(standard) => config.choice_or(key, &TIMM, standard)?,
            None => config.choice(key, &TIMM)?,
        };
        let expansion = if bottleneck { REDUCTION } else { 1 };
        let widths = [64, 128, 256, 512].map(|width| width * expansion);
        Ok(Self {
            channels,
            stem: 64,
            stages: widths.into_iter().zip(depths).map(|(w, d)| [w, d]).collect(),
            bottleneck,
            activation: Activation::Relu.into(),
            first_halves: false,
            early: false,
            names: Names::Timm,
        })
    }

    /// The size of the last map of a picture of this size; none if nothing is left of it.
    pub(super) fn map_size(&self, picture: [usize; 2]) -> Option<[usize; 2]> {
        let halved = |size: usize| size.div_ceil(2);
        let mut size = picture.map(halved).map(halved);
        for stage in 0..self.stages.len() {
            if stage > 0 || self.first_halves {
                size = size.map(halved);
            }
        }
        (size[0] > 0 && size[1] > 0).then_some(size)
    }

    /// The last map `[b, width, h', w']` of pictures `[b, channels, h, w]`; names begin with `name`.
    pub(super) fn map(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let stem = Layer { channels: self.stem, size: 7, stride: 2 };
        let names = match self.names {
            Names::Transformers => {
                let part = |part: &str| format!("{name}.embedder.embedder.{part}");
                [part("convolution"), part("normalization")]
            }
            Names::Timm => [format!("{name}.conv1"), format!("{name}.bn1")],
        };
        let x = self.conv(net, &names, x, stem, Some(self.activation))?;
        let mut x = net.builder.max_pool(x, Window::new([3, 3]).stride([2, 2]).padding([1, 1]))?;
        for (stage, &[channels, depth]) in self.stages.iter().enumerate() {
            for block in 0..depth {
                let halves = block == 0 && (stage > 0 || self.first_halves);
                let at = match self.names {
                    Names::Transformers => format!("{name}.encoder.stages.{stage}.layers.{block}"),
                    Names::Timm => format!("{name}.layer{}.{block}", stage + 1),
                };
                x = self.block(net, &at, x, channels, if halves { 2 } else { 1 })?;
            }
        }
        Ok(x)
    }

    fn block(
        &self,
        net: &mut Net<'_>,
        name: &str,
        x: Value,
        channels: usize,
        stride: usize,
    ) -> Result<Value, Error> {
        let layer = |channels, size, stride| Layer { channels, size, stride };
        let layers = if self.bottleneck {
            let narrow = channels / REDUCTION;
            let (first, second) = if self.early { (stride, 1) } else { (1, stride) };
            vec![layer(narrow, 1, first), layer(narrow, 3, second), layer(channels, 1, 1)]
        } else {
            vec![layer(channels, 3, stride), layer(channels, 3, 1)]
        };
        let last = layers.len() - 1;
        let mut y = x;
        for (index, layer) in layers.into_iter().enumerate() {
            let names = match self.names {
                Names::Transformers => {
                    let part = |part: &str| format!("{name}.layer.{index}.{part}");
                    [part("convolution"), part("normalization")]
                }
                Names::Timm => {
                    [format!("{name}.conv{}", index + 1), format!("{name}.bn{}", index + 1)]
                }
            };
            // Within a block it is always this one: `hidden_act` acts in the stem and behind the sum.
            let activation = (index < last).then_some(Activation::Relu.into());
            y = self.conv(net, &names, y, layer, activation)?;
        }
        let shortcut = if net.shape(x)[1] == channels && stride == 1 {
            x
        } else {
            let names = match self.names {
                Names::Transformers => {
                    ["convolution", "normalization"].map(|part| format!("{name}.shortcut.{part}"))
                }
                Names::Timm => ["0", "1"].map(|part| format!("{name}.downsample.{part}")),
            };
            self.conv(net, &names, x, layer(channels, 1, stride), None)?
        };
        let sum = net.builder.add(y, shortcut)?;
        self.activation.apply(&mut net.builder, sum)
    }

    /// A convolution without bias and the frozen normalisation behind it, in one.
    fn conv(
        &self,
        net: &mut Net<'_>,
        [conv, norm]: &[String; 2],
        x: Value,
        Layer { channels, size, stride }: Layer,
        activation: Option<Function>,
    ) -> Result<Value, Error> {
        let inner = net.shape(x)[1];
        let weight = net.weight(&format!("{conv}.weight"), &[channels, inner, size, size])?;
        let mut part = |part: &str| net.weight(&format!("{norm}.{part}"), &[channels]);
        let (gain, shift) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let epsilon = net.builder.scalar(EPSILON);
        let variance = net.builder.add(variance, epsilon)?;
        let deviation = net.builder.unary(UnaryOp::Sqrt, variance)?;
        let scale = net.builder.binary(BinaryOp::Div, gain, deviation)?;
        let moved = net.mul(mean, scale)?;
        let bias = net.builder.binary(BinaryOp::Sub, shift, moved)?;
        let scale = net.builder.reshape(scale, &[channels, 1, 1, 1])?;
        let weight = net.mul(weight, scale)?;
        let half = size / 2;
        let window = Window::new([size; 2]).stride([stride; 2]).padding([half; 2]);
        let fused = activation.map_or(Activation::Identity, Function::fused);
        let y = net.builder.conv([x, weight], Some(bias), window, 1, fused)?;
        activation.map_or(Ok(y), |activation| activation.finish(&mut net.builder, y))
    }
}

/// A convolution of a block.
#[derive(Clone, Copy)]
struct Layer {
    channels: usize,
    size: usize,
    stride: usize,
}

/// The number of the last stage, from 1, whose map is asked for.
fn last_stage(config: &mut Config, stages: usize) -> Result<usize, Error> {
    let Some(names) = config.texts("out_features")? else { return Ok(stages) };
    let number = |name: &String| {
        let number = name.strip_prefix("stage").and_then(|n| n.parse::<usize>().ok());
        number.filter(|number| (1..=stages).contains(number))
    };
    let Some(last) =
        names.iter().map(number).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
    else {
        let detail =
            format!("is {names:?}: stages from \"stage1\" to \"stage{stages}\" are possible");
        return Err(config.fault("out_features", detail));
    };
    Ok(last)
}
