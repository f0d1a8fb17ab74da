//! Where a number comes from, as far as the file shows it.

use crate::syntax::Span;
use std::collections::BTreeMap;
use std::ops::BitOr;
use std::rc::Rc;

/// A set of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins(u16);

impl Origins {
    pub(crate) const NONE: Self = Self(0);
    /// A number in the text. Zero, one's complement of knowing (-1, infinity) and no value at all are none.
    pub(crate) const CONST: Self = Self(1);
    /// A random generator, or a hash used as one.
    pub(crate) const RANDOM: Self = Self(2);
    /// A clock.
    pub(crate) const CLOCK: Self = Self(4);
    /// Somewhere else: a parameter, a call, a file.
    pub(crate) const UNKNOWN: Self = Self(8);
    /// The size of an input, which is no measurement.
    pub(crate) const SIZE: Self = Self(16);
    /// A constant by the name of a quantity, such as `BASE_LATENCY_MS`.
    pub(crate) const ANCHOR: Self = Self(32);
    /// Sizes of inputs with constants that are no conversions of units.
    pub(crate) const FORMULA: Self = Self(64);
    /// A constant that is no power of ten or two and no conversion of units.
    pub(crate) const ODD: Self = Self(128);
    /// Something that says that it was not measured.
    pub(crate) const DECLARED: Self = Self(256);
    /// A hash: random as a measurement, and a result of its own otherwise.
    pub(crate) const HASHED: Self = Self(512);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Origins {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Records in records beyond this are not told apart.
const MAX_NESTED: u8 = 8;

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    pub(crate) origins: Origins,
    /// The fields of a record, or of the records of a list.
    pub(crate) fields: Option<Rc<BTreeMap<String, Value>>>,
    /// How many records stand in each other here, itself included.
    pub(super) nested: u8,
    /// Whether it is a record that says that it was not measured.
    pub(crate) marked: bool,
    /// Where it was made up.
    pub(crate) source: Option<Span>,
    /// The function of this file that says it does not measure, and gave it.
    pub(crate) via: Option<Rc<str>>,
    /// Where it was put in the place of something that could not be had.
    pub(crate) fallback: Option<Span>,
}

impl Value {
    pub(crate) fn of(origins: Origins, span: Span) -> Self {
        Self { origins, source: Some(span), ..Self::default() }
    }

    pub(crate) fn unknown() -> Self {
        Self { origins: Origins::UNKNOWN, ..Self::default() }
    }

    /// A record without fields.
    pub(crate) fn record() -> Self {
        Self { fields: Some(Rc::default()), nested: 1, ..Self::unknown() }
    }

    /// Sets a field; what it holds is forgotten where that is too deep.
    pub(crate) fn set(&mut self, name: String, value: Value) {
        let value = if value.nested >= MAX_NESTED { value.scalar() } else { value };
        self.nested = self.nested.max(value.nested + 1);
        Rc::make_mut(self.fields.get_or_insert_default()).insert(name, value);
    }

    /// A number in the text.
    pub(crate) fn number(value: f64, span: Span) -> Self {
        let nines = value >= 999.0 && value.to_string().chars().all(|c| c == '9' || c == '.');
        let trivial = nines || value <= 0.0 || !value.is_finite() || value >= 1e15;
        if trivial {
            return Self::default();
        }
        let unit =
            [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e9, 1e12, 60.0, 3600.0, 8.0, 24.0, 3.0, 6.0, 12.0];
        let power = value.log2().fract() == 0.0;
        let tenth = (1..=9).any(|n| (value - 0.1f64.powi(n)).abs() < 1e-15);
        let odd = !power && !tenth && !unit.contains(&value);
        let origins = if odd { Origins::CONST | Origins::ODD } else { Origins::CONST };
        Self::of(origins, span)
    }

    /// Whether it has a source that is no measurement.
    pub(crate) fn is_made_up(&self) -> bool {
        self.origins.has(Origins::CONST | Origins::RANDOM | Origins::ANCHOR | Origins::FORMULA)
    }

    /// Either of the two.
    pub(crate) fn or(self, other: Self) -> Self {
        let fields = match (self.fields, other.fields) {
            (Some(left), Some(right)) if Rc::ptr_eq(&left, &right) => Some(left),
            (Some(mut left), Some(right)) => {
                join(Rc::make_mut(&mut left), &right);
                Some(left)
            }
            (left, right) => left.or(right),
        };
        Self {
            origins: self.origins | other.origins,
            fields,
            nested: self.nested.max(other.nested),
            marked: self.marked || other.marked,
            source: self.source.or(other.source),
            via: self.via.or(other.via),
            fallback: self.fallback.or(other.fallback),
        }
    }

    /// Computed of both. What is measured, or unknown, stays so however it is scaled.
    pub(crate) fn with(self, other: Self, operator: &str) -> Self {
        let (left, right) = (self.origins, other.origins);
        let mut origins = left | right;
        let random = origins.has(Origins::RANDOM);
        if origins.has(Origins::CLOCK) {
            origins = origins.without(
                Origins::CONST | Origins::ANCHOR | Origins::FORMULA | Origins::SIZE | Origins::ODD,
            );
        } else if origins.has(Origins::UNKNOWN) {
            let dropped = Origins::CONST | Origins::ODD | Origins::FORMULA;
            let divided = operator == "/" || operator == "-";
            origins = origins.without(dropped);
            if divided {
                origins = origins.without(Origins::ANCHOR);
            }
        } else if origins.has(Origins::SIZE) && origins.has(Origins::CONST) && !random {
            let formula = origins.has(Origins::ODD);
            origins = origins.without(Origins::CONST | Origins::ODD);
            if formula {
                origins = origins | Origins::FORMULA;
            }
        }
        let random_first = right.has(Origins::RANDOM) && !left.has(Origins::RANDOM);
        let source = if random_first { other.source } else { self.source.or(other.source) };
        Self {
            origins,
            fields: None,
            nested: 0,
            marked: self.marked || other.marked,
            source,
            via: self.via.or(other.via),
            fallback: self.fallback.or(other.fallback),
        }
    }

    /// A field of it, where it is known.
    pub(crate) fn field(&self, name: &str) -> Option<Value> {
        let mut value = self.fields.as_ref()?.get(name)?.clone();
        value.marked |= self.marked;
        value.via = value.via.or_else(|| self.via.clone());
        value.fallback = value.fallback.or(self.fallback);
        Some(value)
    }

    /// An element of it, whichever: of a table, any of its fields.
    pub(crate) fn element(self) -> Value {
        match &self.fields {
            Some(fields) => fields.values().cloned().reduce(Value::or).unwrap_or_default(),
            None => self,
        }
    }

    /// Without what is known of its fields.
    pub(crate) fn scalar(mut self) -> Self {
        self.fields = None;
        self.nested = 0;
        self
    }
}

/// Adds to what one way leaves what another leaves.
fn join(left: &mut BTreeMap<String, Value>, right: &BTreeMap<String, Value>) {
    for (name, value) in right {
        let held = left.entry(name.clone()).or_default();
        *held = std::mem::take(held).or(value.clone());
    }
}
