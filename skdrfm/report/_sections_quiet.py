"""Warnings whose counts a report has in its own tables."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from skdrfm.exceptions import CoverageWarning


@contextmanager
def without_coverage_warnings() -> Iterator[None]:
    """Leave out warnings on dates or rows that could not be used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        yield


@contextmanager
def coverage_warnings() -> Iterator[list[str]]:
    """Collect the messages of warnings on dates or rows that could not be used; others pass.

    Yields
    ------
    list of str
        Filled when the block ends.
    """
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CoverageWarning)
        yield found
    for warning in caught:
        if issubclass(warning.category, CoverageWarning):
            found.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
