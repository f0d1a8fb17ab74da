//! Answers to a user's SQL, as JSON values: numbers as numbers, lists as lists, times as ISO 8601 in UTC.

use super::{Store, StoreError};
use duckdb::types::{TimeUnit, Value as Sql};
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Number, Value as Json, json};
use std::fmt::Write as _;

/// The rows that a query gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a value per column.
    pub rows: Vec<Vec<Json>>,
}

impl Answer {
    /// Each row as an object. Of columns with the same name the last one stays.
    pub fn objects(&self) -> Vec<Map<String, Json>> {
        let object = |row: &Vec<Json>| self.columns.iter().cloned().zip(row.clone()).collect();
        self.rows.iter().map(object).collect()
    }
}

impl Store {
    /// Answers a query. On a store that is open for reading only, it can change and reach nothing else.
    ///
    /// # Errors
    /// The SQL is wrong, or not allowed.
    pub fn query(&self, sql: &str) -> Result<Answer, StoreError> {
        self.answer(sql).map_err(|e| StoreError::Query(e.to_string()))
    }

    fn answer(&self, sql: &str) -> duckdb::Result<Answer> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let columns = rows.as_ref().map(|s| s.column_names()).unwrap_or_default();
        let mut answer = Answer { columns, rows: Vec::new() };
        while let Some(row) = rows.next()? {
            let value = |index| row.get::<_, Sql>(index).map(json);
            answer.rows.push((0..answer.columns.len()).map(value).collect::<Result<_, _>>()?);
        }
        Ok(answer)
    }
}

/// A value as JSON. What JSON has no number for (NaN, infinities) is null; what it has no type for is text.
fn json(value: Sql) -> Json {
    let list = |values: Vec<Sql>| Json::Array(values.into_iter().map(json).collect());
    match value {
        Sql::Boolean(value) => value.into(),
        Sql::TinyInt(value) => value.into(),
        Sql::SmallInt(value) => value.into(),
        Sql::Int(value) => value.into(),
        Sql::BigInt(value) => value.into(),
        Sql::HugeInt(value) => number(Number::from_i128(value), value),
        Sql::UHugeInt(value) => number(Number::from_u128(value), value),
        Sql::UTinyInt(value) => value.into(),
        Sql::USmallInt(value) => value.into(),
        Sql::UInt(value) => value.into(),
        Sql::UBigInt(value) => value.into(),
        Sql::Float(value) => value.into(),
        Sql::Double(value) => value.into(),
        Sql::Decimal(value) => {
            let text = value.to_string();
            number(text.parse().ok().and_then(Number::from_f64), text)
        }
        Sql::Text(text) | Sql::Enum(text) => text.into(),
        Sql::Timestamp(unit, value) => timestamp(unit, value),
        Sql::Date32(days) => date(days),
        Sql::Time64(unit, value) => time(unit, value),
        Sql::Interval { months, days, nanos } => interval(months, days, nanos),
        Sql::Blob(bytes) | Sql::Geometry(bytes) => hex(&bytes).into(),
        Sql::List(values) | Sql::Array(values) => list(values),
        Sql::Struct(fields) => {
            let field = |(name, value): &(String, Sql)| (name.clone(), json(value.clone()));
            Json::Object(fields.iter().map(field).collect())
        }
        // Keys of a map may be of any type, so it is a list of pairs.
        Sql::Map(entries) => {
            let pair = |(key, value): &(Sql, Sql)| json!({ "key": json(key.clone()), "value": json(value.clone()) });
            entries.iter().map(pair).collect()
        }
        Sql::Union(value) => json(*value),
        _ => Json::Null,
    }
}

/// A number that JSON can hold without loss, or its text.
fn number(number: Option<Number>, text: impl ToString) -> Json {
    number.map_or_else(|| text.to_string().into(), Json::Number)
}

/// Without a place in jiff's range, which ends with the year 9999, the count of microseconds stays.
fn timestamp(unit: TimeUnit, value: i64) -> Json {
    let nanoseconds = i128::from(value) * i128::from(nanoseconds_per(unit));
    let time = Timestamp::from_nanosecond(nanoseconds);
    time.map_or_else(|_| value.into(), |time| time.to_string().into())
}

fn nanoseconds_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn date(days: i32) -> Json {
    let since_epoch = SignedDuration::from_hours(24 * i64::from(days));
    let date = Date::constant(1970, 1, 1).checked_add(since_epoch);
    date.map_or_else(|_| days.into(), |date| date.to_string().into())
}

fn time(unit: TimeUnit, value: i64) -> Json {
    let since_midnight = SignedDuration::from_nanos(value.saturating_mul(nanoseconds_per(unit)));
    let time = Time::midnight().checked_add(since_midnight);
    time.map_or_else(|_| value.into(), |time| time.to_string().into())
}

/// ISO 8601, with months and days apart from the time, as DuckDB keeps them.
fn interval(months: i32, days: i32, nanos: i64) -> Json {
    let time = SignedDuration::from_nanos(nanos);
    format!("P{months}M{days}DT{}S", time.as_secs_f64()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
