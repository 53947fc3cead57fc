"""Proof that values up to a date do not depend on rows that become known later."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skdrfm._typing import AnyArray, BoolArray, PanelLike
from skdrfm.exceptions import PanelError
from skdrfm.inspection._audit_dates import comparable, show_date, table_dates
from skdrfm.inspection._audit_report import Finding
from skdrfm.utils.validation import describe_first

_REMEDY = (
    "Use past rows only: shift forward, fill forward, take rolling or cross-sectional figures, and let reports enter "
    "at their availability date. What is learned over time belongs into fit."
)


def check_point_in_time(
    compute: Callable[..., Any],
    *tables: PanelLike,
    dates: Iterable[Any] | None = None,
    available: str | Sequence[str | None] | None = None,
    n_dates: int = 3,
    rtol: float = 0.0,
    random_state: int | np.random.RandomState | None = 0,
) -> tuple[Finding, ...]:
    """Check that what is computed up to a date stays as it is when later rows are changed or removed.

    For a few dates t, ``compute(*tables)`` is called again, once with the rows after t changed and once without
    them. Everything that it returned for dates up to t must come out the same. Changed rows change places among
    each other and each is scaled by its own factor between 0.5 and 0.95, so that prices stay positive, returns above
    -1 and highs above lows. Only columns of floats are changed; every column goes when rows are removed.

    Parameters
    ----------
    compute : callable
        Takes the tables and returns a DataFrame, a Series, an ndarray with the rows of the first table, or a tuple of
        them. Results need their dates too, as tables do. It must give the same result for the same tables.
    *tables : DataFrame or Series
        Dated by an index level, an index or a column named ``date``, or by a DatetimeIndex or PeriodIndex.
        Dates are datetime64, Period, yyyymm or yyyymmdd integers or ISO strings; a month counts as its last day.
    dates : iterable of dates, default=None
        The dates t to try. None: ``n_dates`` of the later half of the dates of the result, the last but one included.
    available : str or sequence of str or None, default=None
        Column with the date at which a row becomes known, where that is not its own date: the filing date of a
        report. One name for all tables that have it, or one entry for each table. A row without such a date is
        never known.
    n_dates : int, default=3
        How many dates to try, if ``dates`` is None.
    rtol : float, default=0.0
        Tolerance relative to the largest value when rows are removed: matrix products over fewer rows may round
        otherwise. Results with changed rows must be the same in every bit.
    random_state : int, RandomState instance or None, default=0
        Seed of the changes.

    Returns
    -------
    tuple of Finding
        One finding of code ``"look_ahead"`` for each result that looks ahead, with the columns, the number of values
        and the first of them. Empty if nothing does.

    Raises
    ------
    PanelError
        If a table or a result has no dates, dates cannot be compared, no rows are later than a date, or two calls
        with the same tables give different results.
    ValueError
        If ``n_dates`` is below 1 or ``rtol`` is negative.

    Examples
    --------
    >>> from skdrfm import make_factor_panel
    >>> from skdrfm.inspection import check_point_in_time
    >>> from skdrfm.preprocessing import CrossSectionalRankScaler
    >>> X, y = make_factor_panel(n_dates=12, n_assets=10, n_descriptors=2, random_state=0)
    >>> check_point_in_time(CrossSectionalRankScaler().fit_transform, X)
    ()
    >>> (finding,) = check_point_in_time(lambda table: table / table.std(), X, n_dates=1)
    >>> finding.evidence
    "Rows after 2000-11-30 changed: 220 of 220 values up to it differ (columns '60VOL', 'BETA'; first at ..."
    """
    if n_dates < 1:
        raise ValueError(f"'n_dates' must be an integer >= 1. Got {n_dates!r}. Pass how many dates to try.")
    if not rtol >= 0:
        raise ValueError(f"'rtol' must be a number >= 0. Got {rtol!r}. Pass 0 for equal bits.")
    known = [table_dates(table, column) for table, column in zip(tables, _columns(tables, available), strict=True)]
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    # Every call gets tables that were put together in the same way: the layout in memory decides on rounding.
    nothing = [np.zeros(len(table), dtype=bool) for table in tables]
    untouched, twin = (list(map(changed_rows, tables, nothing, [rng] * len(tables))) for _ in range(2))
    whole = _results(compute(*untouched), untouched)
    again = _results(compute(*twin), twin)
    *known_moments, result_dates = comparable([*known, pd.Index(np.concatenate([r.dates for r in whole]))])
    for first, second in zip(whole, again, strict=True):
        if _difference(first.frame, second.frame, rtol) is not None:
            raise PanelError(
                "'compute' must give the same result for the same tables. Got two different ones. Fix its random_state."
            )
    cuts = _cuts(result_dates, dates, n_dates)
    evidence: dict[str, list[str]] = {}
    for cut in cuts:
        later = [np.asarray(~(moments <= cut)) for moments in known_moments]
        if not any(mask.any() for mask in later):
            raise PanelError(
                f"Some rows must be later than each of the dates to try. Got none after {show_date(cut)}. "
                "Pass earlier dates."
            )
        for kind, changed, tolerance in _variants(tables, later, rtol, rng):
            outcome = _call(compute, changed, kind, cut)
            for before, after in zip(whole, outcome, strict=True):
                found = _difference(before.until(cut), after.until(cut), tolerance)
                if found is not None:
                    evidence.setdefault(before.name, []).append(f"Rows after {show_date(cut)} {kind}: {found}")
    return tuple(
        Finding(
            "look_ahead",
            "error",
            f"{'The result' if len(whole) == 1 else name} looks ahead: later rows have an effect on earlier dates.",
            "; ".join(parts) + ".",
            _REMEDY,
        )
        for name, parts in evidence.items()
    )


@dataclass(frozen=True, eq=False)
class _Result:
    """One table that was computed, with the date of each row."""

    name: str
    frame: pd.DataFrame
    dates: pd.Index

    def until(self, cut: Any) -> pd.DataFrame:
        moments, _ = comparable([self.dates, pd.Index([cut])])
        return self.frame[np.asarray(moments <= cut)]


def _results(outcome: Any, tables: Sequence[PanelLike]) -> list[_Result]:
    several = outcome if isinstance(outcome, tuple | list) else (outcome,)
    results = []
    for position, part in enumerate(several):
        if isinstance(part, np.ndarray):
            if not tables or part.ndim not in (1, 2) or len(part) != len(tables[0]):
                raise PanelError(
                    f"An array that 'compute' returns must have the rows of the first table. Got shape {part.shape}. "
                    "Return a DataFrame or a Series with dates."
                )
            part = pd.DataFrame(part, index=tables[0].index)
            dates = table_dates(tables[0], None)
        else:
            dates = table_dates(part, None)
        frame = part.to_frame() if isinstance(part, pd.Series) else part
        if "date" in frame.columns:
            # Row numbers are no key: they move when rows are removed.
            frame = frame.reset_index(drop=True)
        results.append(_Result(f"Result {position}", frame, dates))
    return results


def _call(compute: Callable[..., Any], tables: list[Any], kind: str, cut: Any) -> list[_Result]:
    try:
        return _results(compute(*tables), tables)
    except Exception as error:
        error.add_note(f"Raised in check_point_in_time, with the rows after {show_date(cut)} {kind}.")
        raise


def _variants(
    tables: Sequence[Any], later: list[BoolArray], rtol: float, rng: np.random.Generator
) -> Iterator[tuple[str, list[Any], float]]:
    yield "changed", [changed_rows(table, mask, rng) for table, mask in zip(tables, later, strict=True)], 0.0
    yield "removed", [_kept(table, ~mask) for table, mask in zip(tables, later, strict=True)], rtol


def changed_rows(table: Any, later: BoolArray, rng: np.random.Generator) -> Any:
    """Copy of a table whose later rows have changed places and scale."""
    rows = np.flatnonzero(later)
    order, factor = rng.permutation(rows), rng.uniform(0.5, 0.95, len(rows))
    if isinstance(table, pd.Series):
        return _changed_column(table, rows, order, factor)
    dtypes = set(table.dtypes)
    if len(dtypes) == 1 and next(iter(dtypes)) in (np.float64, np.float32):
        values = table.to_numpy(copy=True)
        values[rows] = values[order] * factor[:, np.newaxis].astype(values.dtype)
        out = pd.DataFrame(values, index=table.index, columns=table.columns, copy=False)
    else:
        columns = [_changed_column(table.iloc[:, j], rows, order, factor) for j in range(table.shape[1])]
        out = pd.concat(columns, axis=1, keys=range(len(columns))) if columns else table.copy()
        out.columns = table.columns
    out.attrs = dict(table.attrs)
    return out


def _changed_column(column: Any, rows: AnyArray, order: AnyArray, factor: AnyArray) -> Any:
    out = column.copy()
    if pd.api.types.is_float_dtype(column.dtype) and len(rows):
        out.iloc[rows] = (column.iloc[order].array * factor).astype(column.dtype)
    return out


def _kept(table: Any, rows: BoolArray) -> Any:
    out = table[rows]
    if isinstance(out.index, pd.MultiIndex):
        # Labels that no row has any more would still tell of the future.
        out = out.set_axis(out.index.remove_unused_levels(), axis=0)
    return out.copy()


def _difference(before: pd.DataFrame, after: pd.DataFrame, rtol: float) -> str | None:
    """Say what differs between two tables that must be equal, None if nothing does."""
    if list(before.columns) != list(after.columns):
        return f"the columns differ, {describe_first(list(before.columns))} and {describe_first(list(after.columns))}"
    if not before.index.equals(after.index):
        n_changed = len(before.index.symmetric_difference(after.index))
        if n_changed or len(before) != len(after):
            return f"{n_changed or abs(len(before) - len(after))} of {len(before)} rows up to it appear or vanish"
        if not before.index.is_unique:
            return "rows up to it change their order"
        after = after.reindex(before.index)
    wrong = _differing(before, after, rtol)
    if not wrong.any():
        return None
    row, column = (int(place) for place in np.argwhere(wrong)[0])
    names = list(before.columns[np.flatnonzero(wrong.any(axis=0))])
    label: Any = before.index.take([row])[0]
    where = ", ".join(map(show_date, label)) if isinstance(label, tuple) else show_date(label)
    return (
        f"{int(wrong.sum())} of {wrong.size} values up to it differ (column{'s' if len(names) > 1 else ''} "
        f"{describe_first(names)}; first at {where}: {_show(before.iloc[row, column])} became "
        f"{_show(after.iloc[row, column])})"
    )


def _differing(before: pd.DataFrame, after: pd.DataFrame, rtol: float) -> AnyArray:
    """Tell which values differ; two missing values are equal."""
    differs = np.zeros(before.shape, dtype=bool)
    is_float = np.array([pd.api.types.is_float_dtype(dtype) for dtype in before.dtypes], dtype=bool)
    is_float &= np.array([pd.api.types.is_numeric_dtype(dtype) for dtype in after.dtypes], dtype=bool)
    if is_float.any():
        x, y = (frame.loc[:, is_float].to_numpy(np.float64, na_value=np.nan) for frame in (before, after))
        scale = np.where(np.isfinite(x), np.abs(x), 0.0).max(axis=0, initial=0.0)
        with np.errstate(invalid="ignore"):
            # Infinities are equal or not; their difference is no number.
            close = (x == y) | (np.abs(x - y) <= rtol * scale) if rtol else x == y
        differs[:, is_float] = ~(close | (np.isnan(x) & np.isnan(y)))
    for j in map(int, np.flatnonzero(~is_float)):
        old, new = before.iloc[:, j].astype(object), after.iloc[:, j].astype(object)
        differs[:, j] = ~np.asarray((old == new) | (old.isna() & new.isna()), dtype=bool)
    return differs


def _columns(tables: Sequence[Any], available: str | Sequence[str | None] | None) -> list[str | None]:
    """Column with the availability dates of each table."""
    for table in tables:
        if not isinstance(table, pd.DataFrame | pd.Series):
            raise PanelError(
                f"The tables must be DataFrames or Series with dates. Got a {type(table).__name__}. Bind other "
                "arguments in 'compute', for example with functools.partial."
            )
    if not tables:
        raise PanelError("At least one table must be given. Got none. Pass what 'compute' takes.")
    if available is None:
        return [None] * len(tables)
    has = [list(table.columns) if isinstance(table, pd.DataFrame) else [] for table in tables]
    names: list[str | None]
    names = [available if available in own else None for own in has] if isinstance(available, str) else list(available)
    wrong = len(names) != len(tables) or any(
        name is not None and name not in own for name, own in zip(names, has, strict=False)
    )
    if wrong or not any(name is not None for name in names):
        raise PanelError(
            f"'available' must name a column of a table, or hold one column or None for each of the {len(tables)} "
            f"tables. Got {available!r}. Use the column with the date at which a row becomes known."
        )
    return names


def _cuts(result_dates: pd.Index, dates: Iterable[Any] | None, n_dates: int) -> list[Any]:
    if dates is not None:
        cuts = list(comparable([pd.Index(list(dates)), result_dates])[0])
        if not cuts:
            raise PanelError("'dates' must hold at least one date. Got none. Pass None to have some chosen.")
        return cuts
    distinct = result_dates.dropna().unique().sort_values()
    if len(distinct) < 2:
        raise PanelError(
            f"The result must have at least two dates, so that one is later than the other. Got {len(distinct)}. "
            "Pass longer tables."
        )
    places = np.linspace((len(distinct) - 2) / 2, len(distinct) - 2, n_dates) if n_dates > 1 else [len(distinct) - 2]
    return list(distinct.take(np.unique(np.round(places).astype(np.intp))))


def _show(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else repr(value)
