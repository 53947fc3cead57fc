"""Labels of rows as text and back, with what must be kept beside the text so that they come back as they were."""

import datetime
from typing import Any

import numpy as np
import pandas as pd

TEXT, OBJECTS, CALENDAR_DAY = "text", "object", "day"


def kind_of(labels: pd.Index) -> str | None:
    """Say what has to be known to read labels back from text.

    Parameters
    ----------
    labels : Index
        Dates or assets, none missing.

    Returns
    -------
    str or None
        ``"text"``, ``"object"`` for text that pandas holds as objects, ``"day"`` for dates of the standard library, or
        the name of a type of pandas such as ``"datetime64[ns]"``, ``"period[M]"`` or ``"int64"``. None if text cannot
        tell, as with labels of several types.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.report._labels import kind_of
    >>> kind_of(pd.Index(["NA", "001"])), kind_of(pd.PeriodIndex(["2001-01"], freq="M")), kind_of(pd.Index([1, "A"]))
    ('text', 'period[M]', None)
    """
    if isinstance(labels, pd.CategoricalIndex):
        return kind_of(labels.categories)
    if isinstance(labels.dtype, pd.StringDtype):
        return TEXT
    if labels.dtype == object:
        kinds = {type(label) for label in labels}
        return {str: OBJECTS, datetime.date: CALENDAR_DAY}.get(kinds.pop()) if len(kinds) == 1 else None
    if isinstance(labels, pd.DatetimeIndex | pd.PeriodIndex) or pd.api.types.is_any_real_numeric_dtype(labels.dtype):
        return str(labels.dtype)
    return None


def labels_from(texts: Any, kind: str) -> pd.Index:
    """Read labels back.

    Parameters
    ----------
    texts : Series, ndarray or list of str
        Labels as pandas writes them into a CSV file.
    kind : str
        From `kind_of`.

    Returns
    -------
    Index
        Labels of the type that they had.

    Raises
    ------
    ValueError, TypeError
        If a text is no such label, or the kind is unknown.

    Examples
    --------
    >>> from skdrfm.report._labels import labels_from
    >>> labels_from(["NA", "001"], "text").tolist(), labels_from(["200101"], "int64").tolist()
    (['NA', '001'], [200101])
    """
    # Few labels occur often: each is read once.
    codes, distinct = pd.factorize(np.asarray(texts, dtype=object))
    return _read(list(distinct), kind).take(codes)


def _read(texts: list[str], kind: str) -> pd.Index:
    if kind == TEXT:
        return pd.Index(texts, dtype=pd.Index(["text"]).dtype)
    if kind == OBJECTS:
        return pd.Index(texts, dtype=object)
    if kind == CALENDAR_DAY:
        return pd.Index([datetime.date.fromisoformat(text) for text in texts], dtype=object)
    if kind.startswith("datetime64"):
        # Moments of a zone with summer time are written with different offsets.
        return pd.DatetimeIndex(pd.to_datetime(texts, format="ISO8601", utc="," in kind)).astype(kind)
    if kind.startswith("period["):
        return pd.PeriodIndex([pd.Period(text, freq=kind[len("period[") : -1]) for text in texts], dtype=kind)
    if not kind.lower().startswith(("int", "uint", "float")):
        raise ValueError(f"labels of an unknown kind {kind!r}")
    number = float if "float" in kind.lower() else int
    return pd.Index([number(text) for text in texts]).astype(kind)
