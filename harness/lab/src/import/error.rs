//! Why a source could not be imported. Each message says what failed, where, and what to do; the source's name comes
//! from who knows it.

use super::Tool;

/// Why a source could not be imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// The content is like that of no tool.
    #[error(
        "it looks like the results of none of the tools that are known here ({}): name the tool with --tool if \
         it is one of them ({detail})",
        Tool::names()
    )]
    Unknown {
        /// What was seen instead.
        detail: String,
    },
    /// The source cannot be read to its end.
    #[error(
        "it cannot be read as results of {tool}, {place}: {detail}; write it anew, or name its tool with --tool"
    )]
    Damaged {
        /// Whose results it should be.
        tool: Tool,
        /// Where the damage is.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// There is no number in it.
    #[error(
        "it holds no result of {tool}{}: run the tool to its end, or leave the file out",
        .remarks.first().map(|first| format!(" ({first})")).unwrap_or_default()
    )]
    Empty {
        /// Whose results it should be.
        tool: Tool,
        /// What was left out.
        remarks: Vec<String>,
    },
    /// A single one of criterion's files.
    #[error(
        "it is a part of what criterion keeps of a benchmark: import the folder target/criterion as a whole"
    )]
    Part,
}

impl ImportError {
    /// Damage in JSON, at its line and column.
    pub(super) fn json(tool: Tool, error: &serde_json::Error) -> Self {
        let place = format!("line {}, column {}", error.line(), error.column());
        let said = error.to_string();
        let detail = said.split(" at line ").next().unwrap_or_default().to_owned();
        Self::Damaged { tool, place, detail }
    }

    /// Damage at a line of text, counted from 1.
    pub(super) fn line(tool: Tool, line: usize, detail: impl Into<String>) -> Self {
        Self::Damaged { tool, place: format!("line {line}"), detail: detail.into() }
    }
}
