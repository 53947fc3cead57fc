"""The index of a panel: a (date, asset) MultiIndex, checked once and read in one way."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm._typing import IntArray, PanelLike
from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import describe_first

if TYPE_CHECKING:
    from skdrfm.panel._lagged import LaggedPanel

    Panel: TypeAlias = "PanelLike | LaggedPanel"

LEVELS = ("date", "asset")

# Frequencies of a calendar, as pandas Period aliases; "date" counts the distinct dates of the panel itself.
FREQUENCIES = ("M", "Q", "Y", "W", "D", "date")


def check_panel_index(panel: "Panel | pd.Index[Any]", *, name: str = "X") -> pd.MultiIndex:
    """Check that rows are indexed by unique (date, asset) pairs.

    Parameters
    ----------
    panel : DataFrame, Series, LaggedPanel or Index
        The panel, or its index.
    name : str, default="X"
        Name of the panel in messages.

    Returns
    -------
    MultiIndex
        The index of the panel, unchanged.

    Raises
    ------
    PanelError
        If the index is no MultiIndex with the levels ``date`` and ``asset``, if a date or asset is missing, if
        dates are not all of one type, or if a (date, asset) pair occurs twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.panel import check_panel_index
    >>> index = pd.MultiIndex.from_product([pd.to_datetime(["2020-01-31"]), ["A", "B"]], names=["date", "asset"])
    >>> check_panel_index(index) is index
    True
    >>> check_panel_index(index.set_names(["month", "permno"]))
    Traceback (most recent call last):
        ...
    skdrfm.exceptions.PanelError: X must have a MultiIndex with the levels 'date' and 'asset' (found: 'month',
    'permno'). Rename the levels: X.index = X.index.set_names(['date', 'asset']).
    """
    index = panel if isinstance(panel, pd.Index) else getattr(panel, "index", None)
    if not isinstance(index, pd.MultiIndex) or set(index.names) != set(LEVELS):
        if isinstance(index, pd.MultiIndex):
            found = ", ".join(repr(level) for level in index.names)
            way_out = f"Rename the levels: {name}.index = {name}.index.set_names(['date', 'asset'])."
        elif isinstance(index, pd.Index):
            found = f"one level named {index.name!r}"
            way_out = f"Set it from columns: {name}.set_index(['date', 'asset'])."
        else:
            found = f"a {type(panel).__name__} without an index"
            way_out = "Pass a pandas DataFrame or Series indexed by (date, asset)."
        raise PanelError(
            f"{name} must have a MultiIndex with the levels 'date' and 'asset' (found: {found}). {way_out}"
        )
    for level in LEVELS:
        missing = int((index.codes[index.names.index(level)] < 0).sum())
        if missing:
            raise PanelError(
                f"{name} must have the {level} of every row. Got {missing} rows without one "
                f"({len(index)} rows in all). Drop them or fill in the {level}."
            )
    dates = index.levels[index.names.index("date")]
    if dates.dtype == object:
        _check_one_date_type(dates, name)
    if not _is_strictly_sorted(index) and not index.is_unique:
        repeated = index[index.duplicated()].unique()
        raise PanelError(
            f"{name} must have one row for each (date, asset) pair. Got {int(index.duplicated().sum())} duplicate "
            f"rows: {describe_first([tuple(pair) for pair in repeated])}. Keep one row of each pair."
        )
    return index


def _is_strictly_sorted(index: pd.MultiIndex) -> bool:
    """Tell whether (date, asset) pairs increase from row to row, which proves that none occurs twice.

    It costs a tenth of looking for pairs that occur twice. Sorted by place among the levels is enough. No date and no
    asset may be missing.
    """
    dates, assets = (np.asarray(index.codes[index.names.index(level)]) for level in LEVELS)
    later, same = dates[1:] > dates[:-1], dates[1:] == dates[:-1]
    return bool((later | (same & (assets[1:] > assets[:-1]))).all())


def _check_one_date_type(dates: pd.Index, name: str) -> None:
    kinds = sorted({type(date).__name__ for date in dates})
    if len(kinds) > 1:
        raise PanelError(
            f"The dates of {name} must all be of one type. Got {', '.join(kinds)}. "
            "Convert them, for example with pd.to_datetime."
        )


def _level(panel: "Panel | pd.Index[Any]", level: str) -> pd.Index:
    index = panel if isinstance(panel, pd.Index) else panel.index
    if level not in index.names:
        raise PanelError(
            f"The index must have a level named {level!r} (found: {', '.join(repr(n) for n in index.names)}). "
            "Rename the level, or pass the dates as groups=dates."
        )
    return index.get_level_values(level)


def dates_of(panel: "Panel | pd.Index[Any]") -> pd.Index:
    """Return the date of each row.

    Parameters
    ----------
    panel : DataFrame, Series, LaggedPanel or Index
        A panel with an index level ``date``.

    Returns
    -------
    Index of length n_samples
        The dates, in the order of the rows.

    Raises
    ------
    PanelError
        If there is no such level.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.panel import dates_of
    >>> X, y = make_factor_panel(n_dates=3, n_assets=10, random_state=0)
    >>> dates_of(X).nunique()
    3
    """
    return _level(panel, "date")


def assets_of(panel: "Panel | pd.Index[Any]") -> pd.Index:
    """Return the asset of each row.

    Parameters
    ----------
    panel : DataFrame, Series, LaggedPanel or Index
        A panel with an index level ``asset``.

    Returns
    -------
    Index of length n_samples
        The assets, in the order of the rows.

    Raises
    ------
    PanelError
        If there is no such level.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.panel import assets_of
    >>> X, y = make_factor_panel(n_dates=3, n_assets=10, random_state=0)
    >>> assets_of(X).nunique()
    10
    """
    return _level(panel, "asset")


def has_panel_index(data: Any) -> bool:
    """Tell whether data carries the (date, asset) index of a panel."""
    index = getattr(data, "index", None)
    return isinstance(index, pd.MultiIndex) and set(LEVELS) <= set(index.names)


def check_is_series(data: Any, *, name: str) -> None:
    """Refuse what is no Series, where one indexed by (date, asset) is asked for."""
    if not isinstance(data, pd.Series):
        raise PanelError(
            f"{name} must be a Series indexed by (date, asset). Got {type(data).__name__}. "
            f"Build one: pd.Series({name}, index=X.index)."
        )


def positions_of_rows(
    data: "pd.Series[Any] | pd.DataFrame", rows: "pd.Index[Any]", *, name: str, rows_name: str
) -> IntArray:
    """Find where data labelled by asset, or by (date, asset), hold the value of each row of a panel.

    Parameters
    ----------
    data : Series or DataFrame
        What is looked up.
    rows : Index of length n_samples
        Labels of the rows, with a level ``asset``, and ``date`` where data have it. Further levels do not matter.
    name, rows_name : str
        Names of both in messages.

    Returns
    -------
    ndarray of shape (n_samples,)
        Position in data; -1 where data have no such label.

    Raises
    ------
    PanelError
        If data are not labelled so, or a label occurs twice.
    """
    labels = data.index
    if labels.nlevels > 1:
        keys = check_panel_index(data, name=name).reorder_levels(list(LEVELS))
        if "date" not in rows.names:
            raise PanelError(
                f"{name} is indexed by (date, asset), and {rows_name} must be too. Got {list(rows.names)} as levels "
                f"of {rows_name}. Index {name} by asset, or {rows_name} by (date, asset)."
            )
        others = [level for level in rows.names if level not in LEVELS]
        both: pd.MultiIndex = rows.droplevel(others)  # type: ignore[arg-type, assignment]
        pairs = both.reorder_levels(list(LEVELS))
        return np.arange(len(pairs), dtype=np.intp) if keys.equals(pairs) else keys.get_indexer(pairs)
    # The numbers that pandas gives to rows by itself are no assets, even where assets are numbers.
    if labels.name != "asset" and (labels.name is not None or isinstance(labels, pd.RangeIndex)):
        raise PanelError(
            f"{name} must be indexed by asset, or by (date, asset) like {rows_name}. Got {len(labels)} labels of the "
            f"type {type(labels).__name__} named {labels.name!r}. Name assets: {name}.rename_axis('asset'). Or set "
            f"{name}.index = {rows_name}.index if the rows are the same."
        )
    if not labels.is_unique:
        repeated = labels[labels.duplicated()].unique()
        raise PanelError(
            f"{name} must have one value for each asset. Got more for {describe_first(list(repeated))}. "
            "Keep one, or index it by (date, asset)."
        )
    if not isinstance(rows, pd.MultiIndex):
        return labels.get_indexer(rows)
    level = rows.names.index("asset")
    by_asset = np.append(labels.get_indexer(rows.levels[level]), -1)  # a row without asset has the code -1
    positions: IntArray = by_asset[rows.codes[level]]
    return positions


def check_aligned(X: Any, y: Any, *, x_name: str = "X", y_name: str = "y") -> None:
    """Check that X and y have the same rows in the same order.

    Only lengths are compared where one of the two carries no (date, asset) index.

    Parameters
    ----------
    X, y : DataFrame, Series, LaggedPanel or ndarray
        The data to compare.
    x_name, y_name : str
        Their names in messages.

    Raises
    ------
    PanelError
        If lengths or indexes differ.

    Examples
    --------
    >>> from skdrfm.datasets import make_factor_panel
    >>> from skdrfm.panel import check_aligned
    >>> X, y = make_factor_panel(n_dates=3, n_assets=10, random_state=0)
    >>> check_aligned(X, y)
    >>> check_aligned(X, y.iloc[::-1])
    Traceback (most recent call last):
        ...
    skdrfm.exceptions.PanelError: y must have the rows of X in the same order. Got the same rows in another order...
    """
    if len(X) != len(y):
        raise PanelError(
            f"{y_name} must have one value for each row of {x_name} ({len(X)}). Got {len(y)}. "
            f"Align them by index: {y_name} = {y_name}.reindex({x_name}.index)."
        )
    if not (has_panel_index(X) and isinstance(y, pd.Series | pd.DataFrame)):
        return
    if X.index.equals(y.index):
        return
    if len(X.index.symmetric_difference(y.index)) == 0:
        fault = "the same rows in another order"
    else:
        absent = X.index.difference(y.index)
        fault = f"{len(absent)} rows of {x_name} that {y_name} lacks: {describe_first(list(absent))}"
    raise PanelError(
        f"{y_name} must have the rows of {x_name} in the same order. Got {fault}. "
        f"Align them by index: {y_name} = {y_name}.reindex({x_name}.index)."
    )


def calendar_ordinals(dates: pd.Index, frequency: str) -> IntArray:
    """Give a number to the calendar periods of dates, so that consecutive periods differ by one.

    Parameters
    ----------
    dates : Index of length n_samples
        datetime64, Period, yyyymm (or yyyymmdd) integers, or ISO strings.
    frequency : {"M", "Q", "Y", "W", "D", "date"}
        Length of a period. ``"date"`` counts the distinct dates that occur, as for trading days.

    Returns
    -------
    ndarray of shape (n_samples,)
        Period numbers.

    Raises
    ------
    PanelError
        If the dates cannot be read as dates, or the frequency is unknown.
    """
    if frequency not in FREQUENCIES:
        raise PanelError(f"'frequency' must be one of {', '.join(map(repr, FREQUENCIES))}. Got {frequency!r}.")
    codes, distinct = dates.factorize(sort=frequency == "date")
    if frequency == "date":
        return codes.astype(np.intp)
    ordinals: IntArray = _to_periods(pd.Index(distinct), frequency).asi8[codes].astype(np.intp)
    return ordinals


def _to_periods(dates: pd.Index, frequency: str) -> pd.PeriodIndex:
    try:
        if isinstance(dates, pd.PeriodIndex):
            return dates.asfreq(frequency)
        if pd.api.types.is_integer_dtype(dates.dtype):
            pattern = {6: "%Y%m", 8: "%Y%m%d"}[len(str(int(dates.max())))]
            moments = pd.to_datetime(dates.astype(str), format=pattern)
            return pd.PeriodIndex(moments, freq=frequency)
        if pd.api.types.is_float_dtype(dates.dtype):
            # pandas would read 202001.0 as nanoseconds since 1970 and put all rows into one month.
            raise TypeError("dates are floats")
        if isinstance(dates, pd.DatetimeIndex):
            return pd.PeriodIndex(dates, freq=frequency)
        # Only ISO 8601 text means the same everywhere: 01/02/2000 is in January or in February.
        return pd.PeriodIndex(pd.to_datetime(dates, format="ISO8601"), freq=frequency)
    except (ValueError, TypeError, KeyError) as error:
        raise PanelError(
            "The index level 'date' must hold dates: datetime64, Period, yyyymm integers or ISO "
            f"strings. Got {dates.dtype} values such as {describe_first(list(dates), 2)}. "
            "Convert them with pd.to_datetime and its 'format'."
        ) from error
