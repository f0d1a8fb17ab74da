//! CLAP's audio tower, HTSAT (Chen et al. 2022): its sizes, and the stages of windowed attention over the patches of
//! a picture. How the picture comes from mel frames is in `picture`, where windows lie is in `windows`.

use super::picture::Patches;
use super::windows::Windows;
use crate::config::Config;
use crate::error::Error;
use crate::families::activations::{ACTIVATIONS, Function};
use crate::families::net::{Heads, Net};
use proofmark_kernels::{Activation, Reduction, Value};
use serde_json::json;

/// PyTorch's default, which the model class does not change for the norms between stages.
pub(super) const EPSILON: f32 = 1e-5;

/// The sizes of the tower.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tower {
    pub(super) patches: Patches,
    stages: Vec<Stage>,
    /// Rows and columns of a window.
    window: usize,
    qkv_bias: bool,
    activation: Function,
    epsilon: f32,
}

/// Layers on one grid.
#[derive(Clone, Debug, PartialEq)]
struct Stage {
    width: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    grid: [usize; 2],
}

/// Keys without influence in inference; what both towers share with the whole model is taken from it.
const IDLE: [&str; 13] = [
    "aff_block_r",
    "attention_probs_dropout_prob",
    "drop_path_rate",
    "fusion_num_hidden_layers",
    "fusion_type",
    "hidden_dropout_prob",
    "initializer_factor",
    "layer_norm_first",
    "num_classes",
    "num_hidden_layers",
    "projection_dim",
    "projection_hidden_act",
    "window_type",
];

impl Tower {
    /// Reads `audio_config`, and refuses sizes with which the model class would fail as it runs.
    pub(super) fn read(config: &mut Config) -> Result<Self, Error> {
        config.held("model_type", &[json!("clap_audio_model")])?;
        config.idle(&IDLE);
        // The class takes patches apart as tokens only.
        config.held("flatten_patch_embeds", &[json!(true)])?;
        let patches = Patches::read(config)?;
        let tower = Self {
            stages: Stage::read_all(config, &patches)?,
            patches,
            window: config.size_or("window_size", 8)?,
            qkv_bias: config.flag_or("qkv_bias", true)?,
            activation: config.choice_or("hidden_act", &ACTIVATIONS, Activation::Gelu.into())?,
            epsilon: config.at_least_zero("layer_norm_eps", Some(1e-5))?,
        };
        tower.check(config)?;
        Ok(tower)
    }

    fn check(&self, config: &mut Config) -> Result<(), Error> {
        let smallest = self.stages.iter().flat_map(|stage| stage.grid).min().unwrap_or_default();
        if smallest < self.window {
            let detail = format!(
                "is {}: the last grid of patches has {smallest} rows or columns, which must be as many at least",
                self.window
            );
            return Err(config.fault("window_size", detail));
        }
        let hidden = config.size_or("hidden_size", 768)?;
        if hidden != self.width() {
            let detail = format!(
                "is {hidden}: {} is needed, patch_embeds_hidden_size doubled behind every stage but the last",
                self.width()
            );
            return Err(config.fault("hidden_size", detail));
        }
        // The class cuts the rows of the last grid into as many parts as the picture has side by side.
        let (ratio, rows) = (self.patches.ratio(), self.stages[self.stages.len() - 1].grid[0]);
        if rows < ratio || !rows.is_multiple_of(rows / ratio) {
            let detail = format!(
                "is {}: the last grid has {rows} rows of patches, in {ratio} equal parts or more",
                self.patches.mel_bins
            );
            return Err(config.fault("num_mel_bins", detail));
        }
        Ok(())
    }

    /// The width of what [`Self::encode`] gives.
    pub(super) fn width(&self) -> usize {
        self.stages[self.stages.len() - 1].width
    }

    /// The patches of the last stage, `[i, patches, width]`, from mel frames `[i, channels, f, mel]`; with fusion
    /// `rows` `[i]` chooses among the sounds fused and as they are.
    pub(super) fn encode(
        &self,
        net: &mut Net<'_>,
        features: Value,
        rows: Option<Value>,
    ) -> Result<Value, Error> {
        let name = "audio_model.audio_encoder";
        let picture = self.patches.picture(net, name, features)?;
        let mut x = self.patches.embed(net, &format!("{name}.patch_embed"), picture, rows)?;
        for (i, stage) in self.stages.iter().enumerate() {
            let name = format!("{name}.layers.{i}");
            for layer in 0..stage.layers {
                x = self.layer(net, &format!("{name}.blocks.{layer}"), stage, layer, x)?;
            }
            if i + 1 < self.stages.len() {
                x = stage.merge(net, &format!("{name}.downsample"), x)?;
            }
        }
        net.layer_norm(&format!("{name}.norm"), x, EPSILON)
    }

    /// The mean of the patches of each sound, `[i, width]`.
    pub(super) fn pool(net: &mut Net<'_>, patches: Value) -> Result<Value, Error> {
        Ok(net.builder.reduce(Reduction::Mean, patches, 1, false)?)
    }

    /// The patches as the class gives them: `[i, width, frequencies, times]`, where the stripes of the picture,
    /// one below the other, stand side by side again.
    pub(super) fn spread(&self, net: &mut Net<'_>, patches: Value) -> Result<Value, Error> {
        let [rows, columns] = self.stages[self.stages.len() - 1].grid;
        let frequencies = rows / self.patches.ratio();
        let (sounds, width) = (net.shape(patches)[0], self.width());
        let stripes = [sounds, rows / frequencies, frequencies, columns, width];
        let x = net.builder.reshape(patches, &stripes)?;
        let x = net.builder.transpose(x, &[0, 4, 2, 1, 3])?;
        let times = rows / frequencies * columns;
        Ok(net.builder.reshape(x, &[sounds, width, frequencies, times])?)
    }

    /// One layer: attention in windows, every other time shifted by half a window, and the feed-forward network.
    fn layer(
        &self,
        net: &mut Net<'_>,
        name: &str,
        stage: &Stage,
        index: usize,
        x: Value,
    ) -> Result<Value, Error> {
        let part = |part: &str| format!("{name}.{part}");
        let windows = Windows::new(stage.grid, self.window, index % 2 == 1);
        let normed = net.layer_norm(&part("layernorm_before"), x, self.epsilon)?;
        let cut = windows.cut(net, normed)?;
        let attended = self.attend(net, &part("attention"), stage, &windows, cut)?;
        let images = net.shape(x)[0];
        let attended = windows.join(net, attended, images)?;
        let x = net.builder.add(x, attended)?;
        let normed = net.layer_norm(&part("layernorm_after"), x, self.epsilon)?;
        let wide = part("intermediate.dense");
        let wide = net.linear(&wide, normed, stage.intermediate, true, self.activation)?;
        let narrow = net.dense(&part("output.dense"), wide, stage.width)?;
        Ok(net.builder.add(x, narrow)?)
    }

    fn attend(
        &self,
        net: &mut Net<'_>,
        name: &str,
        stage: &Stage,
        windows: &Windows,
        x: Value,
    ) -> Result<Value, Error> {
        let mut project = |which: &str| {
            let name = format!("{name}.self.{which}");
            net.linear(&name, x, stage.width, self.qkv_bias, Activation::Identity)
        };
        let projected = [project("query")?, project("key")?, project("value")?];
        let table = format!("{name}.self.relative_position_bias_table");
        let table = net.weight(&table, &[windows.distances(), stage.heads])?;
        let bias = windows.bias(net, table, stage.heads)?;
        let heads = Heads::new(stage.heads, stage.width / stage.heads);
        let attended = net.attention(heads, projected, None, Some(bias))?;
        net.dense(&format!("{name}.output.dense"), attended, stage.width)
    }
}

impl Stage {
    fn read_all(config: &mut Config, patches: &Patches) -> Result<Vec<Self>, Error> {
        let depths = config.sizes_or("depths", &[2, 2, 6, 2])?;
        let heads = config.sizes_or("num_attention_heads", &[4, 8, 16, 32])?;
        let ratio = config.number_or("mlp_ratio", 4.0)?;
        if depths.is_empty() {
            return Err(config.fault("depths", "is empty: one stage at least is needed"));
        }
        let mut grid = patches.grid();
        let mut width = patches.width;
        let mut stages = Vec::new();
        for (i, &layers) in depths.iter().enumerate() {
            let Some(&heads) = heads.get(i).filter(|&&heads| width.is_multiple_of(heads)) else {
                let detail = format!(
                    "is {heads:?}: a divisor of {width}, the width of stage {i}, is needed at {i}"
                );
                return Err(config.fault("num_attention_heads", detail));
            };
            let odd = grid.iter().any(|size| !size.is_multiple_of(2));
            if i + 1 < depths.len() && odd {
                let detail = format!(
                    "has {} stages: the grid of stage {i} is {grid:?}, which cannot be halved",
                    depths.len()
                );
                return Err(config.fault("depths", detail));
            }
            let intermediate = whole(ratio * small(width));
            if intermediate == 0 {
                let detail = format!("is {ratio}: nothing is left of a width of {width}");
                return Err(config.fault("mlp_ratio", detail));
            }
            stages.push(Self { width, intermediate, layers, heads, grid });
            grid = grid.map(|size| size / 2);
            width = width.checked_mul(2).ok_or_else(|| {
                config.fault("patch_embeds_hidden_size", "is too large to be doubled")
            })?;
        }
        Ok(stages)
    }

    /// Patches two by two, `[i, patches/4, 2 · width]`.
    fn merge(&self, net: &mut Net<'_>, name: &str, x: Value) -> Result<Value, Error> {
        let ([height, across], width) = (self.grid, self.width);
        let images = net.shape(x)[0];
        let x = net.builder.reshape(x, &[images, height / 2, 2, across / 2, 2, width])?;
        // The four lie side by side column by column.
        let x = net.builder.transpose(x, &[0, 1, 3, 4, 2, 5])?;
        let x = net.builder.reshape(x, &[images, height / 2 * (across / 2), 4 * width])?;
        let x = net.layer_norm(&format!("{name}.norm"), x, EPSILON)?;
        let reduction = format!("{name}.reduction");
        net.linear(&reduction, x, 2 * width, false, Activation::Identity)
    }
}

#[expect(clippy::cast_precision_loss, reason = "widths are far below 2^53")]
fn small(size: usize) -> f64 {
    size as f64
}

/// A number without its fraction, as Python's `int` takes it; 0 for what is below.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(number: f64) -> usize {
    number.max(0.0) as usize
}
