//! To what size a picture is resized: the rules of transformers' `size`, in whole pixels.
//!
//! They are transformers' `image_transforms` and `image_utils`, with their roundings: edges are cut to whole pixels,
//! not rounded, but for the edge that a longest edge forces.

use super::settings::whole;
use serde_json::Value;

/// What `size`, `crop_size` or `pad_size` asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Size {
    /// This height and width, whatever the aspect.
    Exact(usize, usize),
    /// The shorter edge has this length; the aspect stays.
    Shortest(usize),
    /// The shorter edge has this length, unless the longer one would exceed the second; the aspect stays.
    Between(usize, usize),
    /// As large as fits this height and width; the aspect stays.
    Within(usize, usize),
}

impl Size {
    /// Reads a size; `square` tells whether a lone number is both edges or the shorter one.
    pub(super) fn of(value: &Value, square: bool) -> Result<Self, String> {
        let need = "a whole number of at least 1";
        match value {
            Value::Number(_) => {
                let edge = whole(value).ok_or_else(|| format!("is {value}: {need} is needed"))?;
                Ok(if square { Self::Exact(edge, edge) } else { Self::Shortest(edge) })
            }
            Value::Array(edges) => match edges.iter().map(whole).collect::<Option<Vec<_>>>() {
                Some(edges) if edges.len() == 2 => Ok(Self::Exact(edges[0], edges[1])),
                _ => Err(format!("is {value}: height and width, each {need}, are needed")),
            },
            Value::Object(edges) => {
                let mut given = Vec::new();
                for (key, edge) in edges.iter().filter(|(_, edge)| !edge.is_null()) {
                    let whole = whole(edge);
                    let whole =
                        whole.ok_or_else(|| format!("has `{key}` {edge}: {need} is needed"))?;
                    given.push((key.as_str(), whole));
                }
                given.sort_unstable();
                match given[..] {
                    [("height", height), ("width", width)] => Ok(Self::Exact(height, width)),
                    [("shortest_edge", edge)] => Ok(Self::Shortest(edge)),
                    [("longest_edge", longest), ("shortest_edge", shortest)] => {
                        Ok(Self::Between(shortest, longest))
                    }
                    [("max_height", height), ("max_width", width)] => {
                        Ok(Self::Within(height, width))
                    }
                    _ => Err(format!(
                        "is {value}, which is not supported: possible are height and width, shortest_edge, \
                         shortest_edge and longest_edge, max_height and max_width"
                    )),
                }
            }
            _ => Err(format!("is {value}: an object, a number or a list is needed")),
        }
    }

    /// Height and width of a picture of this height and width after it; 0 for what is too narrow to keep.
    pub(super) fn after(self, height: usize, width: usize) -> (usize, usize) {
        let (short, long) = (height.min(width), height.max(width));
        let oriented = |new_short, new_long| {
            if width <= height { (new_long, new_short) } else { (new_short, new_long) }
        };
        match self {
            Self::Exact(height, width) => (height, width),
            Self::Shortest(edge) => oriented(edge, cut(real(edge * long) / real(short))),
            Self::Between(shortest, longest) => {
                let forced = real(long) / real(short) * real(shortest) > real(longest);
                let raw =
                    if forced { real(longest) * real(short) / real(long) } else { real(shortest) };
                let edge = cut(raw.round_ties_even());
                if edge == short {
                    (height, width)
                } else {
                    oriented(edge, cut(raw * real(long) / real(short)))
                }
            }
            Self::Within(max_height, max_width) => {
                let scale = (real(max_height) / real(height)).min(real(max_width) / real(width));
                (cut(real(height) * scale), cut(real(width) * scale))
            }
        }
    }
}

/// Pixels as a real number.
#[expect(
    clippy::cast_precision_loss,
    reason = "edges have at most 31 bits, and products below 2^53 stay exact"
)]
pub(super) fn real(pixels: usize) -> f64 {
    pixels as f64
}

/// A real number of pixels, cut to whole ones.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Python's int(); what is not in range saturates and is refused as too large"
)]
pub(super) fn cut(pixels: f64) -> usize {
    pixels as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(value: &Value, square: bool, picture: (usize, usize), expected: (usize, usize)) {
        assert_eq!(Size::of(value, square).unwrap().after(picture.0, picture.1), expected);
    }

    /// The expected sizes are those of transformers' functions.
    #[test]
    fn sizes_are_those_of_transformers() {
        check(&json!(24), true, (31, 57), (24, 24));
        check(&json!(24), false, (31, 57), (24, 44));
        check(&json!([20, 30]), false, (31, 57), (20, 30));
        check(&json!({"shortest_edge": 224}), false, (500, 333), (336, 224));
        check(&json!({"shortest_edge": 800, "longest_edge": 1333}), false, (480, 640), (800, 1066));
        check(
            &json!({"shortest_edge": 800, "longest_edge": 1333}),
            false,
            (400, 1000),
            (533, 1333),
        );
        check(&json!({"shortest_edge": 40, "longest_edge": 60}), false, (31, 97), (19, 60));
        check(&json!({"max_height": 50, "max_width": 50}), false, (100, 200), (25, 50));
        check(&json!({"max_height": 200, "max_width": 500}), false, (100, 200), (200, 400));
        check(&json!({"shortest_edge": 8, "longest_edge": 13}), false, (1, 1000), (0, 13));
    }

    #[test]
    fn what_is_no_size_says_what_is_possible() {
        let bad = |value: Value| Size::of(&value, true).unwrap_err();
        assert!(bad(json!(0)).contains("is 0: a whole number"));
        assert!(bad(json!([1, 2, 3])).contains("height and width"));
        assert!(bad(json!({"height": -3, "width": 2})).contains("has `height` -3"));
        assert!(bad(json!({"longest_edge": 3})).contains("possible are height and width"));
        assert!(bad(json!("large")).contains("is \"large\""));
    }
}
