"""Soft imports: an optional package is asked for where it is used."""

from importlib import import_module
from types import ModuleType

from skdrfm.exceptions import MissingDependencyError


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module or say how to install it.

    Parameters
    ----------
    module : str
        Module to import, for example ``"pyarrow"``.
    extra : str
        The extra of skdrfm that brings it.
    purpose : str
        What it is needed for, as the end of "... is needed to".

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingDependencyError
        If the module is not installed.

    Examples
    --------
    >>> from skdrfm.utils._optional import import_optional
    >>> import_optional("json", extra="report", purpose="write JSON").__name__
    'json'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"The package {module!r} is needed to {purpose} and is not installed. "
            f"Install it with: pip install 'skdrfm[{extra}]'"
        ) from error
