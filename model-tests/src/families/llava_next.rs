//! LLaVA-NeXT (Liu et al. 2024), as `LlavaNextForConditionalGeneration` of transformers computes it: a picture is seen
//! whole and in tiles, whose features are put together line by line.

mod packing;

use super::decoder::Decoder;
use super::llava::seeing::Seeing;
use super::net::Net;
use super::{
    ALL_TILES, Architecture, Argument, Decoding, FEATURES, Given, IMAGES, TILES, Values,
    expect_class,
};
use crate::config::Config;
use crate::error::Error;
use packing::{Packing, Piece};
use proofmark_kernels::{Binding, Graph, Kind, Tensor, Weights};

/// The input of the graph that says which rows of the tiles' features, or of the newline behind them, are the
/// features of the pictures.
const PACKED: &str = "packed_rows";

/// The resolutions of the published models.
const PINPOINTS: [[usize; 2]; 5] = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]];

/// The sizes of one LLaVA-NeXT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LlavaNext {
    seeing: Seeing,
    packing: Packing,
}

impl LlavaNext {
    /// Reads the sizes, and refuses what would make another model of it.
    pub(super) fn read(config: &mut Config, architectures: &[String]) -> Result<Self, Error> {
        expect_class(config, architectures, &["LlavaNextForConditionalGeneration"])?;
        let seeing = Seeing::read(config, false)?;
        let patches = &seeing.tower.patches;
        if seeing.features() != patches.count() {
            let detail = format!(
                "leaves {} features of a tile with {} patches: they must be as many",
                seeing.features(),
                patches.count()
            );
            return Err(config.fault("vision_feature_select_strategy", detail));
        }
        let packing = Packing {
            resolutions: pinpoints(config)?,
            tile: patches.picture[0],
            side: patches.grid()[0],
        };
        Ok(Self { seeing, packing })
    }

    /// The sizes of pictures that fill a resolution, one for each number of tiles, the fewest first.
    fn sizes(&self) -> Vec<(usize, [usize; 2])> {
        let tiles = |&size: &[usize; 2]| Some((self.packing.tiles(size).ok()?, size));
        let mut sizes: Vec<_> = self.packing.resolutions.iter().filter_map(tiles).collect();
        sizes.sort_by_key(|(tiles, _)| *tiles);
        sizes.dedup_by_key(|(tiles, _)| *tiles);
        sizes
    }

    /// Tiles that the tower sees, if there are pictures.
    fn tiles(binding: &Binding) -> Option<usize> {
        let stacked = || Some(binding.get(&IMAGES).ok()?.saturating_mul(binding.get(&TILES).ok()?));
        binding.get(&ALL_TILES).ok().or_else(stacked)
    }

    /// The rows of the features of all pictures among those of their tiles, with the newline behind.
    fn rows(&self, binding: &Binding, given: &Given) -> Result<Option<Vec<usize>>, Error> {
        let Some(tiles) = Self::tiles(binding) else { return Ok(None) };
        let fail = |name: &str, detail: String| Error::Input { name: name.into(), detail };
        let sizes = given.get("image_sizes").and_then(Tensor::indices).ok_or_else(|| {
            fail("image_sizes", "is missing: pictures need their rows and columns".into())
        })?;
        let (features, newline) = (self.seeing.features(), tiles * self.seeing.features());
        let stacked = binding.get(&ALL_TILES).is_err();
        let each = binding.get(&TILES).unwrap_or(tiles);
        let (mut rows, mut next) = (Vec::new(), 0);
        for (picture, size) in sizes.as_chunks::<2>().0.iter().enumerate() {
            let size = size.map(|size| usize::try_from(size).unwrap_or(0));
            if size.contains(&0) {
                let detail = format!("picture {picture} is {size:?}: nothing is in it");
                return Err(fail("image_sizes", detail));
            }
            let pieces = self.packing.pieces(size).map_err(|e| fail("image_sizes", e))?;
            let taken = self.packing.tiles(size).map_err(|e| fail("image_sizes", e))?;
            let first = if stacked { picture * each } else { next };
            next = first + taken;
            if taken > each || next > tiles {
                let detail = format!(
                    "picture {picture} of {size:?} takes {taken} tiles, {} are given",
                    each.min(tiles - first.min(tiles))
                );
                return Err(fail("pixel_values", detail));
            }
            rows.extend(pieces.into_iter().map(|piece| match piece {
                Piece::Feature(tile, feature) => (first + tile) * features + feature,
                Piece::Newline => newline,
            }));
        }
        if !stacked && next != tiles {
            let detail = format!("it has {tiles} tiles, the pictures take {next}");
            return Err(fail("pixel_values", detail));
        }
        Ok(Some(rows))
    }
}

/// The resolutions of `image_grid_pinpoints`.
fn pinpoints(config: &mut Config) -> Result<Vec<[usize; 2]>, Error> {
    let key = "image_grid_pinpoints";
    let Some(value) = config.value(key) else { return Ok(PINPOINTS.to_vec()) };
    let size = |v: &serde_json::Value| usize::try_from(v.as_u64()?).ok().filter(|&size| size > 0);
    let pair = |v: &serde_json::Value| {
        let sizes: Option<Vec<_>> = v.as_array()?.iter().map(size).collect();
        <[usize; 2]>::try_from(sizes?).ok()
    };
    let pairs: Option<Vec<_>> = value.as_array().and_then(|list| list.iter().map(pair).collect());
    pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(|| {
        config.fault(key, format!("is {value}: a list of pairs of rows and columns is needed"))
    })
}

impl Architecture for LlavaNext {
    /// `input_ids` `[b, s]`; if there are pictures, `pixel_values` `[i, n, c, h, w]` with as many tiles for each, or
    /// `[a, c, h, w]` with the tiles of all end to end, and `image_sizes` `[i, 2]`, rows and columns; and what the
    /// decoder takes.
    fn arguments(&self) -> Vec<Argument> {
        let patches = &self.seeing.tower.patches;
        let stacked = patches.sizes([IMAGES.into(), TILES.into()]);
        let joined = patches.sizes([ALL_TILES.into()]);
        let below = usize::try_from(i32::MAX).unwrap_or(usize::MAX);
        let sizes = Values::Ids { below, default: None };
        let mut arguments = vec![
            self.seeing.ids(),
            Argument::optional("pixel_values", stacked, Values::Real).or(joined),
            Argument::optional("image_sizes", vec![IMAGES.into(), 2.into()], sizes),
        ];
        arguments.extend(self.seeing.decoder.arguments());
        arguments
    }

    /// Outputs `logits`, and the cache where `p` is bound, as the decoder gives them; where `k`, the number of all
    /// features, is bound as well, `image_hidden_states` `[k, hidden]`.
    fn graph(&self, weights: &Weights, binding: &Binding) -> Result<Graph, Error> {
        let mut net = Net::new(binding, weights);
        Seeing::rename(&mut net);
        let mut features = None;
        if let Some(tiles) = Self::tiles(binding) {
            let patches = &self.seeing.tower.patches;
            let lead = match (binding.get(&ALL_TILES), binding.get(&IMAGES), binding.get(&TILES)) {
                (Err(_), Ok(pictures), Ok(each)) => vec![pictures, each],
                _ => vec![tiles],
            };
            let pixels = net.input("pixel_values", Kind::Float, &patches.shape(&lead))?;
            let pixels = net.builder.reshape(pixels, &patches.shape(&[tiles]))?;
            let seen = self.seeing.see(&mut net, pixels)?;
            let width = self.seeing.decoder.hidden;
            let newline = net.weight("model.image_newline", &[width])?;
            let newline = net.builder.reshape(newline, &[1, width])?;
            let seen = net.builder.concat(&[seen, newline], 0)?;
            if let Ok(count) = binding.get(&FEATURES) {
                let rows = net.input(PACKED, Kind::Index, &[count])?;
                let packed = net.builder.gather(seen, rows)?;
                net.builder.output("image_hidden_states", packed)?;
            }
            features = Some(seen);
        }
        self.seeing.finish(&mut net, features)?;
        net.finish()
    }

    fn measure(&self, binding: Binding, given: &Given) -> Result<Binding, Error> {
        let rows = self.rows(&binding, given)?;
        Ok(match rows {
            Some(rows) => binding.with(FEATURES, rows.len()),
            None => binding,
        })
    }

    fn derive(&self, binding: &Binding, given: &Given) -> Result<Given, Error> {
        let rows = self.rows(binding, given)?;
        let mut derived = self.seeing.derive(binding, given, rows.as_deref())?;
        if let Some(rows) = rows {
            let count = rows.len();
            let rows = rows.into_iter().map(|row| i32::try_from(row).unwrap_or(i32::MAX));
            derived.insert(PACKED.into(), Tensor::i32([count], rows.collect()));
        }
        Ok(derived)
    }

    /// Every picture has the resolution with the most tiles that are there for it.
    fn reconcile(&self, binding: &Binding, given: &mut Given) -> Result<(), Error> {
        let pictures = binding.get(&IMAGES).unwrap_or(0);
        let Some(tiles) = Self::tiles(binding).filter(|_| pictures > 0) else {
            return self.seeing.reconcile(binding, given, &[]);
        };
        let each = tiles / pictures;
        let exact = binding.get(&ALL_TILES).is_ok();
        let fits = |found: usize| if exact { found * pictures == tiles } else { found <= each };
        let Some((_, size)) = self.sizes().into_iter().rev().find(|(found, _)| fits(*found)) else {
            let detail = format!("no resolution has tiles for {binding}");
            return Err(Error::Input { name: "pixel_values".into(), detail });
        };
        let numbers = size.map(|size| i32::try_from(size).unwrap_or(i32::MAX));
        let sizes = Tensor::i32([pictures, 2], numbers.repeat(pictures));
        given.insert("image_sizes".into(), sizes);
        let pieces = self.packing.pieces(size);
        let pieces =
            pieces.map_err(|detail| Error::Input { name: "image_sizes".into(), detail })?;
        self.seeing.reconcile(binding, given, &vec![pieces.len(); pictures])
    }

    fn picture_tokens(&self, given: &Given) -> Result<Vec<usize>, Error> {
        let sizes = given.get("image_sizes").and_then(Tensor::indices).unwrap_or_default();
        let pieces = |size: &[i32; 2]| {
            let size = size.map(|size| usize::try_from(size).unwrap_or(0));
            let pieces = self
                .packing
                .pieces(size)
                .map_err(|detail| Error::Input { name: "image_sizes".into(), detail })?;
            Ok(pieces.len())
        };
        sizes.as_chunks().0.iter().map(pieces).collect()
    }

    fn decoding(&self) -> Option<Decoding> {
        Some(Decoder::decoding())
    }

    fn unsupported_outputs(&self) -> &'static str {
        "image_hidden_states needs pixel_values; hidden_states and attentions are not given out"
    }

    fn example(&self) -> Binding {
        let (tiles, size) = self.sizes().first().copied().unwrap_or((2, [1, 1]));
        let features = self.packing.pieces(size).map_or(0, |pieces| pieces.len());
        let text = Binding::batch_sequence(1, features.saturating_add(8));
        text.with(IMAGES, 1).with(TILES, tiles)
    }

    fn max_sequence(&self) -> usize {
        self.seeing.decoder.max_positions
    }
}

#[cfg(test)]
mod tests;
