//! What must never be printed: passwords, tokens, and the addresses that hold them.

use url::Url;

/// Words that are taken out of every message.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Secrets in these values: a token is one as a whole; of an address all but its scheme, host and port is.
    pub(super) fn of(values: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<_> = values.into_iter().flat_map(|value| parts(&value)).collect();
        words.retain(|word| !word.is_empty());
        // A secret that holds another goes first, or a piece of it would stay.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Self(words)
    }

    /// The text with `***` in the place of every secret.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, word| text.replace(word.as_str(), "***"))
    }
}

fn parts(value: &str) -> Vec<String> {
    let mut words = vec![value.to_owned()];
    let Ok(url) = Url::parse(value) else { return words };
    if !url.has_host() {
        return words;
    }
    words.push(url.to_string());
    let path = url.path().trim_start_matches('/');
    let pieces = [url.username(), url.password().unwrap_or(""), path, url.query().unwrap_or("")];
    words.extend(
        pieces
            .into_iter()
            .chain(path.split('/'))
            .flat_map(|piece| [piece.to_owned(), decoded(piece)]),
    );
    for (_, value) in url.query_pairs() {
        words.extend([value.to_string(), decoded(&value)]);
    }
    words
}

/// `%41` is `A`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2)).flatten();
        let escaped =
            escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, text: &str, expected: &str) {
        assert_eq!(Secrets::of([secret.to_owned()]).hide(text), expected);
    }

    #[test]
    fn of_an_address_its_host_may_be_told() {
        let smtp = "smtps://us%40er:p%2Fss@mail.example:465";
        check(
            smtp,
            "535 us@er and p/ss and p%2Fss at mail.example:465",
            "535 *** and *** and *** at mail.example:465",
        );
        check(smtp, &format!("failed on {smtp}"), "failed on ***");
        let hook = "https://hooks.example/services/T0/secret-b?key=abc%20d";
        check(
            hook,
            "no hook secret-b, abc d at hooks.example",
            "no hook ***, *** at hooks.example",
        );
        check(hook, "POST /services/T0/secret-b", "POST /***");
        check("ghp_token", "bad credentials ghp_token", "bad credentials ***");
        check("not an address", "is not an address: not an address", "is ***: ***");
    }
}
