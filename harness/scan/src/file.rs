//! A file as the rules see it: its language, its lines, and what its name says of it.

use crate::words;
use std::cell::OnceCell;
use std::path::Path;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `.py`
    Python,
    /// `.js`, `.mjs`, `.cjs`, `.jsx`
    JavaScript,
    /// `.ts`, `.mts`, `.cts`
    TypeScript,
    /// `.tsx`
    Tsx,
    /// `.rs`
    Rust,
    /// `.json`, `.jsonl`, `.ndjson`
    Json,
    /// `.md`, `.markdown`
    Markdown,
    /// `.html`, `.htm`
    Html,
}

impl Language {
    /// By the extension of a path; none: the file is not scanned.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "py" | "pyi" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "rs" => Self::Rust,
            "json" | "jsonl" | "ndjson" => Self::Json,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            _ => return None,
        })
    }

    /// Whether it is a report and not code.
    pub fn is_report(self) -> bool {
        matches!(self, Self::Json | Self::Markdown | Self::Html)
    }

    /// The grammar; none for Markdown, which is read otherwise.
    pub(crate) fn grammar(self) -> Option<tree_sitter::Language> {
        Some(match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Json => tree_sitter_json::LANGUAGE.into(),
            Self::Html => tree_sitter_html::LANGUAGE.into(),
            Self::Markdown => return None,
        })
    }
}

/// A file that is being scanned.
#[derive(Debug)]
pub(crate) struct File<'a> {
    /// As it is shown.
    pub(crate) path: &'a Path,
    /// The part of the path from which it is judged whether this is code of tests.
    pub(crate) inner: &'a Path,
    pub(crate) language: Language,
    pub(crate) text: &'a str,
    /// Where its lines start, once somebody asks for one.
    starts: OnceCell<Vec<usize>>,
}

/// Folders that hold tests and what tests use.
const TEST_FOLDERS: [&str; 16] = [
    "test",
    "tests",
    "testing",
    "__tests__",
    "__mocks__",
    "__fixtures__",
    "spec",
    "specs",
    "e2e",
    "fixtures",
    "testdata",
    "test_data",
    "mocks",
    "test-utils",
    "testutils",
    "cypress",
];

impl<'a> File<'a> {
    pub(crate) fn new(path: &'a Path, inner: &'a Path, language: Language, text: &'a str) -> Self {
        Self { path, inner, language, text, starts: OnceCell::new() }
    }

    /// Line `number`, counted from 1, without blanks around it, cut to a length that can be shown.
    pub(crate) fn line(&self, number: usize) -> String {
        let starts = self.starts.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
        });
        let start = starts.get(number.saturating_sub(1)).copied();
        let rest = start.and_then(|start| self.text.get(start..)).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default().trim();
        line.chars().take(160).collect()
    }

    /// The file's name without its extension.
    pub(crate) fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// Whether the path is one of tests: by its folders or its name.
    pub(crate) fn is_test(&self) -> bool {
        let folders = self.inner.parent().into_iter().flat_map(Path::components);
        let in_folder = folders
            .filter_map(|part| part.as_os_str().to_str())
            .any(|part| TEST_FOLDERS.contains(&part.to_ascii_lowercase().as_str()));
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = self.stem().to_ascii_lowercase();
        let named = stem.starts_with("test_")
            || stem.ends_with("_test")
            || stem.ends_with("_tests")
            || matches!(stem.as_str(), "tests" | "test" | "conftest" | "testing" | "test_utils")
            || [".test.", ".spec.", ".stories.", ".mock."].iter().any(|part| name.contains(part));
        in_folder || named
    }

    /// Whether the file's name says that what it makes is simulated, an estimate or data for tests.
    pub(crate) fn declares_simulation(&self) -> bool {
        let words = words::split(self.stem());
        words
            .iter()
            .any(|word| words::is_declared(word) || word == "generator" || word == "fixtures")
    }
}
