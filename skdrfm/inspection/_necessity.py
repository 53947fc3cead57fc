"""Whether a descriptor needs a network: how far its loading differs over time, and between the names of a date."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_dates, check_rows
from skdrfm.inspection._pooling import POOLS, pooled
from skdrfm.metrics._dates import DateGroups, group_by
from skdrfm.metrics._frozen import frozen_frame, frozen_series
from skdrfm.metrics._validation import validated
from skdrfm.utils._param_validation import StrOptions

PARTS = ("constant", "time_varying", "nonlinear")


@dataclass(frozen=True, eq=False, repr=False)
class NonlinearityIndex:
    """What kind of model the contributions of a network ask for. Numbers cannot be overwritten.

    Parameters
    ----------
    table : DataFrame of shape (n_groups, 5) or (n_groups, 7)
        One row for each group, descriptor, lag or pair of them.

        - ``size``: root mean square over rows of the relevances of its cells, in units of the prediction.
        - ``share``: its share of the sum of all squared relevances. A descriptor with a small share is not needed by
          any model, whatever the other columns say.
        - ``constant``, ``time_varying``, ``nonlinear``: shares of its own squared relevances, each from 0 to 1, that
          sum to 1. NaN where it contributes nothing.
        - ``linear_time_varying`` and ``correlation``, where a linear model was given: the share of that model, and the
          correlation over rows of the contributions of both.
    prediction : Series of shape (4,)
        The same for the whole prediction within dates: ``constant``, ``time_varying`` and ``nonlinear``, which sum to
        1, and ``nonlinear_adjusted``, which makes up for the degrees of freedom that the regressions use. NaN where
        no date suffices.
    n_dates : int
        Dates of the explanation.
    n_dates_left_out : int
        Those with too few names for the regression of `prediction`; the table has all dates.

    See Also
    --------
    nonlinearity_index : Compute it, with the formulas.
    """

    table: pd.DataFrame
    prediction: "pd.Series[float]"
    n_dates: int
    n_dates_left_out: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table, as a copy.

        Returns
        -------
        DataFrame of shape (n_groups, 5) or (n_groups, 7)
            The attribute table.
        """
        return self.table.copy()

    def __repr__(self) -> str:
        return f"NonlinearityIndex({len(self.table)} groups, {self.n_dates} dates)"


@validated({"by": [StrOptions(set(POOLS))]})
def nonlinearity_index(
    explanation: Explanation,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    by: str = "group",
    linear: Explanation | None = None,
) -> NonlinearityIndex:
    """Split what descriptors contribute into what a linear model could do and what it could not.

    For one cell (a descriptor at a lag) with inputs x, loadings l and relevances R = x l, let ``m_t`` be the mean of l
    over the names of date t and ``m`` the mean over all rows, both with the weights x^2. Then, exactly,

    ``sum R^2 = sum x^2 m^2 + sum x^2 (m_t - m)^2 + sum x^2 (l - m_t)^2``

    and the three terms over their sum are the shares ``constant``, ``time_varying`` and ``nonlinear``. Since
    ``m_t = sum x R / sum x^2`` is the slope of the regression of R on x at date t, the shares say what a model with one
    slope for ever can reproduce of the contributions, what is added by a slope for each date, and what is left to a
    model whose slope depends on the name: on the level of the descriptor itself, or on the other descriptors. Cells
    are pooled by adding up their sums. A linear model has nonlinear 0; fitted once it has time_varying 0 as well;
    refitted in each window of a walk it has what its estimates move.

    The prediction f as a whole is split in the same way, after the mean of each date is taken off f and x. With SSE_0
    the sum of squared errors of one regression of f on all cells, SSE_1 that of one regression for each date, and SST
    the sum of squares of f: ``constant = 1 - SSE_0 / SST``, ``time_varying = (SSE_0 - SSE_1) / SST``,
    ``nonlinear = SSE_1 / SST``. A regression of n names on k cells fits a part of anything, so that the last is too
    small; ``nonlinear_adjusted`` multiplies the error of each date by ``(n - 1) / (n - 1 - k)``.

    Parameters
    ----------
    explanation : Explanation
        Of a network, indexed by (date, asset), of one model on many dates or of a walk. Its inputs should be ranked or
        standardised by date: what a loading does to inputs far from 0 counts as constant.
    groups : mapping of str to sequence of str, default=None
        Descriptors of each group. None: each descriptor is a group of its own.
    by : {"group", "lag", "group_and_lag"}, default="group"
        Rows of the table. Without groups the last are the cells.
    linear : Explanation, default=None
        Of a linear model for the same rows, to compare with.

    Returns
    -------
    NonlinearityIndex
        A descriptor whose share is large and nonlinear is near 0 can be left to a linear model, refitted over time if
        time_varying is not near that of ``linear``.

    Raises
    ------
    PanelError
        If the explanation has no rows or no dates, groups do not fit, or `linear` explains other rows.
    NonFiniteError
        If a relevance is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names for the regression on all cells.

    Notes
    -----
    Offsets of an explanation belong to no loading and are not in the table. Of n names on a date about 1/n of what
    differs between them shows up as time_varying, since their mean moves by chance. With one name on each date nothing
    is nonlinear, and with one date nothing is time_varying.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from dataclasses import replace
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import nonlinearity_index
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B", "C", "D"]], names=["date", "asset"])
    >>> data = np.tile([-1.0, 1.0, -1.0, 1.0], 2)[:, None, None]
    >>> linear = linear_explanation(data, [0.03], index=index, descriptor_names=["CAP"])
    >>> nonlinearity_index(linear).table.loc["CAP", ["constant", "time_varying", "nonlinear"]].tolist()
    [1.0, 0.0, 0.0]
    >>> loadings = np.array([2.0, 2, 2, 2, 0, 0, 4, 4])[:, None, None] / 100
    >>> network = replace(linear, loadings=loadings, predictions=(data * loadings).ravel())
    >>> nonlinearity_index(network).table.round(2)
                size  share  constant  time_varying  nonlinear
    descriptor
    CAP         0.02    1.0      0.67           0.0       0.33
    """
    check_rows(explanation)
    rows = group_by(check_dates(explanation))
    energy, labels = _energy(explanation, rows, by, groups)
    total = energy.sum(axis=0)
    shares = _ratio(energy, total)
    figures: dict[str, AnyArray] = {
        "size": np.sqrt(total / len(explanation)),
        "share": _ratio(total, total.sum()),
        **dict(zip(PARTS, shares, strict=True)),
    }
    if linear is not None:
        _check_same_rows(linear, explanation)
        other, _ = _energy(linear, rows, by, groups)
        figures["linear_time_varying"] = _ratio(other, other.sum(axis=0))[1]
        own, theirs = (pooled(each, each.data * each.loadings, by, groups)[0] for each in (explanation, linear))
        figures["correlation"] = _correlation(own, theirs)
    prediction, left_out = _split_prediction(explanation, rows)
    if left_out:
        warnings.warn(
            f"{left_out} of {len(rows.dates)} dates have too few names for a regression of the prediction on "
            f"{explanation.data[0].size} cells and are left out of it. The table has all dates.",
            CoverageWarning,
            stacklevel=3,
        )
    return NonlinearityIndex(
        table=frozen_frame(np.column_stack(list(figures.values())), labels, pd.Index(list(figures))),
        prediction=frozen_series(np.array(list(prediction.values())), pd.Index(list(prediction)), name="prediction"),
        n_dates=len(rows.dates),
        n_dates_left_out=left_out,
    )


def _check_same_rows(linear: Explanation, explanation: Explanation) -> None:
    same = linear.index is not None and linear.index.equals(explanation.index)
    layouts = [(each.descriptor_names, each.lags) for each in (linear, explanation)]
    if not same or layouts[0] != layouts[1]:
        raise PanelError(
            "'linear' must explain the rows, descriptors and lags of the explanation, in the same order. Got "
            f"{linear!r} for {explanation!r}. Explain the same DataFrame with both models."
        )
    check_rows(linear)


def _energy(
    explanation: Explanation, rows: DateGroups, by: str, groups: Mapping[str, Sequence[str]] | None
) -> tuple[FloatArray, pd.Index]:
    """Three terms of the sum of squared relevances, of shape (3, n_sums)."""
    _, n_timesteps, n_features = explanation.data.shape
    terms = np.empty((len(PARTS), n_timesteps, n_features))
    for t, j in np.ndindex(n_timesteps, n_features):
        loadings = explanation.loadings[:, t, j].astype(np.float64)
        terms[:, t, j] = _terms(loadings, explanation.data[:, t, j].astype(np.float64) ** 2, rows)
    return pooled(explanation, terms, by, groups)


def _terms(l: FloatArray, w: FloatArray, rows: DateGroups) -> tuple[float, float, float]:  # noqa: E741 of the formula
    """Constant, time-varying and non-linear term of one cell, with loadings l and weights w = x^2."""
    if not w.any():
        return 0.0, 0.0, 0.0
    by_date = rows.sum(w)
    # Means as a level and the mean distance from it: equal loadings then differ from their mean by exactly 0.
    level = rows.in_date_order(l)[rows.starts]
    m_t = level + _ratio(rows.sum(w * (l - level[rows.codes])), by_date, of_nothing=0.0)
    first = m_t[by_date > 0][0]
    m = first + (by_date * (m_t - first)).sum() / by_date.sum()
    return (
        float(by_date.sum() * m**2),
        float((by_date * (m_t - m) ** 2).sum()),
        float((w * (l - m_t[rows.codes]) ** 2).sum()),
    )


def _ratio(parts: FloatArray, whole: Any, *, of_nothing: float = np.nan) -> FloatArray:
    """Parts of a whole that is not negative; `of_nothing` where it is 0."""
    ratio: FloatArray = np.divide(parts, whole, out=np.full(parts.shape, of_nothing), where=whole > 0)
    return ratio


def _correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of each column of a with that of b; NaN where one is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    sizes = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return _ratio((a * b).sum(axis=0), sizes)


def _split_prediction(explanation: Explanation, rows: DateGroups) -> tuple[dict[str, float], int]:
    """Shares of the variance of the prediction within dates, and the number of dates left out."""
    cells = explanation.data.reshape(len(explanation), -1)
    # In units of the largest input: how many cells of a date are independent then does not depend on their units.
    cells = cells / np.where(np.abs(cells).max(axis=0) > 0, np.abs(cells).max(axis=0), 1)
    f = explanation.predictions.astype(np.float64)
    order = rows.in_date_order(np.arange(len(f)))
    k = cells.shape[1]
    triangle: AnyArray = np.zeros((0, k + 1))
    total = by_date = adjusted = 0.0
    left_out = 0
    for names in np.split(order, rows.starts[1:]):
        x, y = cells[names] - cells[names].mean(axis=0), f[names] - f[names].mean()
        # Equal predictions differ from their mean by rounding alone.
        y = np.zeros_like(y) if (f[names] == f[names][0]).all() else y
        slopes, _, rank, _ = np.linalg.lstsq(x, y, rcond=None)
        spare = len(names) - 1 - int(rank)
        if spare < 1:
            left_out += 1
            continue
        error = float(((y - x @ slopes) ** 2).sum())
        total += float((y**2).sum())
        by_date += error
        adjusted += error * (len(names) - 1) / spare
        # The triangle of all dates so far has their sums of squares and products, without a copy of their rows.
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, np.column_stack([x, y])]), mode="r"))
    if total == 0:
        return dict.fromkeys((*PARTS, "nonlinear_adjusted"), np.nan), left_out
    x, y = triangle[:, :k], triangle[:, k]
    once = float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())
    figures = {
        "constant": 1 - once / total,
        "time_varying": (once - by_date) / total,
        "nonlinear": by_date / total,
        "nonlinear_adjusted": adjusted / total,
    }
    return figures, left_out
