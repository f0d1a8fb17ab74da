//! JSON as Python wrote it: `NaN` and `Infinity`, names that stand twice, numbers as their text, any encoding that says so.
//!
//! No crate of the field keeps all of these, and each of them decides what may be believed of a file.

use std::borrow::Cow;

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 256;
/// The longest name of a field that is read, in bytes: it stands in paths.
const MAX_NAME_BYTES: usize = 1024;
/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = 256 << 20;

/// A value. Names of an object keep their order, and may stand twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The text of a number, of `NaN`, `Infinity` or `-Infinity`.
    Number(&'t str),
    /// Text without its escapes.
    Text(Cow<'t, str>),
    /// A list.
    List(Vec<Value<'t>>),
    /// An object.
    Object(Vec<(Cow<'t, str>, Value<'t>)>),
}

/// Why bytes are no JSON that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// The bytes are no text.
    #[error("it is no text in UTF-8, nor in UTF-16 with a byte order mark: byte {0}")]
    Encoding(usize),
    /// The text stops before the value is whole.
    #[error("it ends in the middle, at byte {0}")]
    Truncated(usize),
    /// The text is no JSON.
    #[error("it is no JSON: {what} at byte {at}")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// Where, in bytes of its text as UTF-8.
        at: usize,
    },
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("it is nested more than {MAX_DEPTH} deep, at byte {0}")]
    Deep(usize),
    /// It is larger than [`MAX_BYTES`].
    #[error("it has {0} bytes, and at most {MAX_BYTES} are read")]
    Large(u64),
}

impl Fault {
    /// A short name, by which faults are counted.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Encoding(_) => "encoding",
            Self::Truncated(_) => "truncated",
            Self::Syntax { .. } => "not-json",
            Self::Deep(_) => "too-deep",
            Self::Large(_) => "too-large",
        }
    }
}

/// The text of a file: UTF-8 with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
/// Anything else is no text.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks(2).map(|pair| match pair {
            [low, high] => Ok(unit([*low, *high])),
            _ => Err(Fault::Encoding(bytes.len() - 1)),
        });
        let units = units.collect::<Result<Vec<_>, _>>()?;
        String::from_utf16(&units).map(Cow::Owned).map_err(|_| Fault::Encoding(2))
    };
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Err(Fault::Encoding(0)),
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            let skipped = bytes.len() - rest.len();
            let text = std::str::from_utf8(rest);
            text.map(Cow::Borrowed).map_err(|e| Fault::Encoding(skipped + e.valid_up_to()))
        }
    }
}

/// The one value of a text.
///
/// # Errors
/// The text is no JSON, ends too early, or is nested too deep.
pub fn parse(text: &str) -> Result<Value<'_>, Fault> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_space();
    if parser.at == text.len() {
        return Err(Fault::Empty);
    }
    let value = parser.value()?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.wrong("something stands behind the value")),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// What is wrong here: at the end of the text, that it ends.
    fn wrong(&self, what: &'static str) -> Fault {
        match self.peek() {
            None => Fault::Truncated(self.at),
            Some(_) => Fault::Syntax { what, at: self.at },
        }
    }

    fn value(&mut self) -> Result<Value<'t>, Fault> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N') => self.word("NaN", Value::Number("NaN")),
            Some(b'I') => self.word("Infinity", Value::Number("Infinity")),
            _ => Err(self.wrong("no value begins here")),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value<'t>, Fault>,
    ) -> Result<Value<'t>, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::Deep(self.at));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value<'t>, Fault> {
        let mut fields = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("no name begins here"));
            }
            let start = self.at;
            let name = self.string()?;
            if name.len() > MAX_NAME_BYTES {
                return Err(Fault::Syntax { what: "a name has more than 1024 bytes", at: start });
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            self.skip_space();
            fields.push((name, self.value()?));
            if !self.goes_on(b'}')? {
                return Ok(Value::Object(fields));
            }
        }
    }

    fn list(&mut self) -> Result<Value<'t>, Fault> {
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value()?);
            if !self.goes_on(b']')? {
                return Ok(Value::List(values));
            }
        }
    }

    /// Whether a comma follows, and not the end.
    fn goes_on(&mut self, end: u8) -> Result<bool, Fault> {
        self.skip_space();
        if self.take(end) {
            return Ok(false);
        }
        if !self.take(b',') {
            return Err(self.wrong("a comma is missing"));
        }
        self.skip_space();
        Ok(true)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str, value: Value<'t>) -> Result<Value<'t>, Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        if word.as_bytes().starts_with(rest) {
            return Err(Fault::Truncated(self.text.len()));
        }
        Err(self.wrong("an unknown word"))
    }

    fn number(&mut self) -> Result<Value<'t>, Fault> {
        let start = self.at;
        if self.take(b'-') && self.peek() == Some(b'I') {
            return self.word("Infinity", Value::Number("-Infinity"));
        }
        let whole = self.digits()?;
        if whole > 1 && self.text.as_bytes()[self.at - whole] == b'0' {
            return Err(Fault::Syntax { what: "a number begins with a zero", at: start });
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Value::Number(&self.text[start..self.at]))
    }

    /// Passes over at least one digit.
    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(self.wrong("a digit is missing")),
            count => Ok(count),
        }
    }

    fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        self.at += 1;
        let (text, start) = (self.text, self.at);
        let mut owned: Option<String> = None;
        let mut kept = start;
        loop {
            match self.peek() {
                None => return Err(Fault::Truncated(self.at)),
                Some(b'"') => {
                    let rest = &text[kept..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(rest),
                        Some(owned) => Cow::Owned(owned + rest),
                    });
                }
                Some(b'\\') => {
                    let owned = owned.get_or_insert_default();
                    owned.push_str(&text[kept..self.at]);
                    self.at += 1;
                    owned.push(self.escape()?);
                    kept = self.at;
                }
                Some(byte) if byte < 0x20 => return Err(self.wrong("a bare control character")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let letter = self.peek().ok_or(Fault::Truncated(self.at))?;
        let plain = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.wrong("an unknown escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Four hexadecimal digits, or twice four for a pair. Half a pair, which Python writes, is U+FFFD.
    fn unicode(&mut self) -> Result<char, Fault> {
        let high = self.hex()?;
        let is_pair =
            (0xD800..0xDC00).contains(&high) && self.text.as_bytes()[self.at..].starts_with(b"\\u");
        if is_pair {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xDC00..0xE000).contains(&low) {
                let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = 16 * code + digit.ok_or_else(|| self.wrong("a hexadecimal digit is missing"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Value<'_>, Fault>) {
        assert_eq!(parse(text), expected, "{text:?}");
    }

    fn syntax(what: &'static str, at: usize) -> Result<Value<'static>, Fault> {
        Err(Fault::Syntax { what, at })
    }

    #[test]
    fn what_python_writes_is_read() {
        let list = ["NaN", "Infinity", "-Infinity", "1e999", "-0.5e-07"].map(Value::Number);
        check("[NaN, Infinity, -Infinity, 1e999, -0.5e-07]", Ok(Value::List(list.into())));
        let twice = vec![("a".into(), Value::Number("1")), ("a".into(), Value::Null)];
        check("{\"a\": 1, \"a\": null}", Ok(Value::Object(twice)));
        check(r#""a\u00e9\ud83d\ude00\ud800\n""#, Ok(Value::Text("aé😀\u{fffd}\n".into())));
        check(r#""\ud800\u0041""#, Ok(Value::Text("\u{fffd}A".into())));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        check(" \n", Err(Fault::Empty));
        check("[1,", Err(Fault::Truncated(3)));
        check("tru", Err(Fault::Truncated(3)));
        check("[1 2]", syntax("a comma is missing", 3));
        check("[1,]", syntax("no value begins here", 3));
        check("{a: 1}", syntax("no name begins here", 1));
        check("01", syntax("a number begins with a zero", 0));
        check("1 2", syntax("something stands behind the value", 2));
        check("\"\t\"", syntax("a bare control character", 1));
        check("nan", syntax("an unknown word", 0));
    }

    #[test]
    fn nesting_ends_where_it_is_said_to() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        check(&nested(MAX_DEPTH + 1), Err(Fault::Deep(MAX_DEPTH)));
        check(&"{\"a\":".repeat(100_000), Err(Fault::Deep(5 * MAX_DEPTH)));
    }

    #[test]
    fn encodings_that_say_so_are_read_and_others_refused() {
        let wide = |bytes: fn(u16) -> [u8; 2]| {
            "\u{feff}{\"é\": 1}".encode_utf16().flat_map(bytes).collect::<Vec<_>>()
        };
        for bytes in [wide(u16::to_le_bytes), wide(u16::to_be_bytes), "\u{feff}{\"é\": 1}".into()]
        {
            assert_eq!(decode(&bytes).unwrap(), "{\"é\": 1}");
        }
        assert_eq!(decode(b"{\"\xe9\": 1}"), Err(Fault::Encoding(2)));
        assert_eq!(decode(b"\xFF\xFE{\0}"), Err(Fault::Encoding(4)));
        assert_eq!(decode(b"\xFF\xFE\0\0{\0\0\0"), Err(Fault::Encoding(0)));
        assert_eq!(decode(b"\xFF\xFE\x00\xD8"), Err(Fault::Encoding(2)));
    }

    /// The same value by serde_json; of names that stand twice it keeps the last one.
    fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            (Value::Number(a), serde_json::Value::Number(b)) => a.parse::<f64>().ok() == b.as_f64(),
            (Value::Text(a), serde_json::Value::String(b)) => a == b,
            (Value::List(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), serde_json::Value::Object(b)) => a.iter().all(|(name, value)| {
                let is_last =
                    a.iter().rfind(|(other, _)| other == name).map(|(_, v)| v) == Some(value);
                !is_last || b.get(name.as_ref()).is_some_and(|theirs| same(value, theirs))
            }),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads(text in "[\\[\\]{}:,\"a1.e0 \\\\u-]{0,40}") {
            match (parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs), "{text:?}: {ours:?}"),
                (Err(_), Err(_)) => {}
                // Half a pair of surrogates and numbers beyond a float are ours alone.
                (Ok(_), Err(error)) => prop_assert!(
                    text.contains("\\u") || error.to_string().contains("out of range"),
                    "{text:?}: {error}"
                ),
                (ours, theirs) => prop_assert!(false, "{text:?}: {ours:?}, {theirs:?}"),
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(text) = decode(&bytes) {
                let _ = parse(&text);
            }
        }
    }
}
