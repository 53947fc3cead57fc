"""Errors and warnings of skdrfm.

Every error is also the built-in error that existing code would catch::

    SkdrfmError
    ├── PanelError             (ValueError)           index, alignment or layout of a panel
    ├── NonFiniteError         (ValueError)           NaN or infinity where numbers are needed
    ├── SplitError             (ValueError)           dates and windows that do not fit
    ├── PanelFileError         (ValueError)           a file that cannot be read as a panel
    ├── CheckpointError        (RuntimeError)         a checkpoint that belongs to another run
    ├── PersistenceError       (ValueError)           an estimator that cannot be saved, or a file that cannot be loaded
    ├── UnsupportedLayerError  (NotImplementedError)  a layer without a relevance rule
    └── MissingDependencyError (ImportError)          an optional package that is not installed

    SkdrfmWarning (UserWarning)
    └── CoverageWarning        rows or dates that could not be used, with their count
"""

__all__ = [
    "CheckpointError",
    "CoverageWarning",
    "MissingDependencyError",
    "NonFiniteError",
    "PanelError",
    "PanelFileError",
    "PersistenceError",
    "SkdrfmError",
    "SkdrfmWarning",
    "SplitError",
    "UnsupportedLayerError",
]


class SkdrfmError(Exception):
    """Base of all errors that skdrfm raises on purpose."""


class PanelError(SkdrfmError, ValueError):
    """The index, the alignment or the column layout of a panel is not what it must be."""


class NonFiniteError(SkdrfmError, ValueError):
    """NaN or infinity came where finite numbers are needed."""


class SplitError(SkdrfmError, ValueError):
    """The dates of a panel cannot be split into the windows that were asked for."""


class PanelFileError(SkdrfmError, ValueError):
    """A file cannot be read as a panel."""


class CheckpointError(SkdrfmError, RuntimeError):
    """A checkpoint folder belongs to another run."""


class PersistenceError(SkdrfmError, ValueError):
    """An estimator cannot be saved as plain data, or a file does not hold a saved estimator."""


class UnsupportedLayerError(SkdrfmError, NotImplementedError):
    """A network has a layer for which no relevance rule is known."""


class MissingDependencyError(SkdrfmError, ImportError):
    """An optional package is needed and not installed."""


class SkdrfmWarning(UserWarning):
    """Base of all warnings that skdrfm gives on purpose."""


class CoverageWarning(SkdrfmWarning):
    """Rows or dates could not be used; the message counts them."""
