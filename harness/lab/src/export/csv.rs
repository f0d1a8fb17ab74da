//! Comma-separated values as RFC 4180 has them, in which no text of a result is a formula of a spreadsheet.

use super::plain;
use crate::store::Answer;
use serde_json::Value;
use std::borrow::Cow;

/// An answer as CSV with a header. Text that a spreadsheet would take for a formula begins with an apostrophe;
/// numbers stay numbers.
pub fn csv(answer: &Answer) -> String {
    let mut writer =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    let mut write = |cells: Vec<String>| {
        // Into memory, which takes any bytes; all rows are of one length.
        let _ = writer.write_record(cells);
    };
    write(answer.columns.iter().map(|name| defused(name).into_owned()).collect());
    for row in &answer.rows {
        write(row.iter().map(cell).collect());
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => defused(text).into_owned(),
        other => plain(other),
    }
}

fn defused(text: &str) -> Cow<'_, str> {
    // Some programs pass over blanks, or take the wide forms for the same signs.
    let signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    match text.trim_start().starts_with(signs) || text.starts_with(['\t', '\r', '\n']) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_needs_it_is_quoted() {
        let columns = vec!["a".into(), "b,c".into()];
        let rows = vec![vec![json!("x \"y\"\nz"), json!(null)], vec![json!([1, 2]), json!(0.5)]];
        let expected = "a,\"b,c\"\r\n\"x \"\"y\"\"\nz\",\r\n\"[1,2]\",0.5\r\n";
        assert_eq!(csv(&Answer { columns, rows }), expected);
    }

    #[test]
    fn text_is_no_formula_and_numbers_stay_numbers() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"] {
            let answer = Answer { columns: vec![text.into()], rows: vec![vec![json!(text)]] };
            let text = csv(&answer);
            let mut reader = ::csv::Reader::from_reader(text.as_bytes());
            assert!(reader.headers().unwrap()[0].starts_with('\''), "{text:?}");
            assert!(reader.records().next().unwrap().unwrap()[0].starts_with('\''), "{text:?}");
        }
        let answer =
            Answer { columns: vec!["n".into()], rows: vec![vec![json!(-1.5)], vec![json!(-2)]] };
        assert_eq!(csv(&answer), "n\r\n-1.5\r\n-2\r\n");
    }
}
