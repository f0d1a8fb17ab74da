//! Rows of one table as columns, which DuckDB takes by the thousand.

use duckdb::arrow::array::{
    ArrayRef, Float64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
    UInt32Builder, UInt64Builder,
};
use duckdb::arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    /// Of each row the number of what it belongs to, among those beside it.
    pub(super) owners: Vec<u32>,
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Number(UInt64Builder),
    Small(UInt32Builder),
    Float(Float64Builder),
    Numbers(ListBuilder<UInt64Builder>),
    Floats(ListBuilder<Float64Builder>),
    Texts(ListBuilder<StringBuilder>),
}

impl Table {
    /// A table without rows. A letter for each column says its kind: `t` text, `n` and `s` numbers of 64 and 32 bits, `f`
    /// floats, `T` times, `N`, `F` and `L` lists of numbers, of floats and of texts.
    pub(super) fn new(columns: &str) -> Self {
        Self { columns: columns.chars().map(Column::new).collect(), owners: Vec::new() }
    }

    /// Adds a row, whose values are given in the order of the columns.
    pub(super) fn row(&mut self, owner: u32, fill: impl FnOnce(&mut Row<'_>)) {
        self.owners.push(owner);
        let mut row = Row { columns: self.columns.iter_mut() };
        fill(&mut row);
        debug_assert!(row.columns.next().is_none(), "a row has a value for each column");
    }

    /// A row for each entry of a list; the first column is the same for all.
    pub(super) fn rows<T>(
        &mut self,
        owner: u32,
        first: &str,
        entries: &[T],
        fill: impl Fn(&mut Row<'_>, u32, &T),
    ) {
        for (position, entry) in entries.iter().enumerate() {
            self.row(owner, |row| fill(row.text(first), position as u32, entry));
        }
    }

    /// The rows for DuckDB; nothing where there are none.
    pub(super) fn batch(&mut self) -> Option<RecordBatch> {
        let column = |(place, column): (usize, &mut Column)| {
            // Columns go by their places, but Arrow wants them named.
            (place.to_string(), column.finish(), true)
        };
        let columns = self.columns.iter_mut().enumerate().map(column);
        let batch =
            (!self.owners.is_empty()).then(|| RecordBatch::try_from_iter_with_nullable(columns));
        batch.map(|batch| batch.expect("columns of one table are of one length"))
    }
}

/// A row that is being filled, from its first column on.
pub(super) struct Row<'t> {
    columns: std::slice::IterMut<'t, Column>,
}

macro_rules! fills {
    ($($(#[$doc:meta])* $name:ident($kind:ident, $value:ident: $type:ty) $append:expr;)*) => {
        impl Row<'_> {
            $($(#[$doc])* pub(super) fn $name(&mut self, $value: $type) -> &mut Self {
                let Some(Column::$kind(builder)) = self.columns.next() else {
                    unreachable!("a column of another kind is next")
                };
                $append(builder);
                self
            })*
        }
    };
}

fills! {
    text(Text, value: &str) |b: &mut StringBuilder| b.append_value(value);
    maybe_text(Text, value: Option<&str>) |b: &mut StringBuilder| b.append_option(value);
    time(Time, value: i64) |b: &mut TimestampMicrosecondBuilder| b.append_value(value);
    number(Number, value: u64) |b: &mut UInt64Builder| b.append_value(value);
    maybe_number(Number, value: Option<u64>) |b: &mut UInt64Builder| b.append_option(value);
    small(Small, value: u32) |b: &mut UInt32Builder| b.append_value(value);
    float(Float, value: f64) |b: &mut Float64Builder| b.append_value(value);
    maybe_float(Float, value: Option<f64>) |b: &mut Float64Builder| b.append_option(value);
    numbers(Numbers, values: &[u64]) |b: &mut ListBuilder<UInt64Builder>| {
        b.values().append_slice(values);
        b.append(true);
    };
    floats(Floats, values: &[f64]) |b: &mut ListBuilder<Float64Builder>| {
        b.values().append_slice(values);
        b.append(true);
    };
    texts(Texts, values: &[String]) |b: &mut ListBuilder<StringBuilder>| {
        values.iter().for_each(|value| b.values().append_value(value));
        b.append(true);
    };
}

impl Column {
    /// A column by its letter.
    fn new(letter: char) -> Self {
        match letter {
            't' => Self::Text(StringBuilder::new()),
            'T' => Self::Time(TimestampMicrosecondBuilder::new()),
            'n' => Self::Number(UInt64Builder::new()),
            's' => Self::Small(UInt32Builder::new()),
            'f' => Self::Float(Float64Builder::new()),
            'N' => Self::Numbers(ListBuilder::new(UInt64Builder::new())),
            'L' => Self::Texts(ListBuilder::new(StringBuilder::new())),
            'F' => Self::Floats(ListBuilder::new(Float64Builder::new())),
            _ => unreachable!("no kind of column has the letter {letter}"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Small(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Numbers(builder) => Arc::new(builder.finish()),
            Self::Texts(builder) => Arc::new(builder.finish()),
            Self::Floats(builder) => Arc::new(builder.finish()),
        }
    }
}
