//! What can go wrong between a name or a folder and a result; messages are fragments that follow "failed to".

use std::path::PathBuf;

/// Why a model could not be read, fetched, run or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    File {
        /// `read`, `write`, and so on.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file does not hold what it must.
    #[error("read {path}: {detail}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was wrong, and what is possible.
        detail: String,
    },
    /// A key of a `config.json` is missing or asks for something that cannot be done.
    #[error("read {path}: `{key}` {detail}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was wrong with its value, and what is possible.
        detail: String,
    },
    /// An input does not fit the model.
    #[error("take the input `{name}`: {detail}")]
    Input {
        /// The forward argument.
        name: String,
        /// What was wrong, and what is possible.
        detail: String,
    },
    /// A model of this name does not exist.
    #[error("find the model `{name}`: {detail}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What is possible.
        detail: String,
    },
    /// A case of this id does not exist.
    #[error("find the case `{id}`: {detail}")]
    UnknownCase {
        /// What was asked for.
        id: String,
        /// Why it cannot be, and which are near.
        detail: String,
    },
    /// A case could not be opened; a fragment like all messages.
    #[error("{0}")]
    Case(String),
    /// Something that is needed is not on this machine.
    #[error("find what is needed: {0}")]
    Absent(String),
    /// A resource could not be fetched.
    #[error("fetch {name}: {detail}\n{remedies}")]
    Fetch {
        /// The resource.
        name: String,
        /// What failed.
        detail: String,
        /// What else can be done.
        remedies: String,
    },
    /// A graph, its weights or a device refused.
    #[error(transparent)]
    Kernels(#[from] proofmark_kernels::Error),
}

impl Error {
    /// Whether something that is needed is absent: exit code 3, not 2.
    pub(crate) fn is_absence(&self) -> bool {
        use proofmark_kernels::Error as Kernels;
        matches!(
            self,
            Self::Absent(_)
                | Self::Fetch { .. }
                | Self::Kernels(Kernels::Absent { .. } | Kernels::Unsupported { .. })
        )
    }

    /// Whether the device failed while it worked: exit code 1, not 2.
    pub(crate) fn is_failure(&self) -> bool {
        use proofmark_kernels::Error as Kernels;
        matches!(self, Self::Kernels(Kernels::Device { .. } | Kernels::TooLarge { .. }))
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn content(path: impl Into<PathBuf>, detail: impl ToString) -> Self {
        Self::Content { path: path.into(), detail: detail.to_string() }
    }
}
