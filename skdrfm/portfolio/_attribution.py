"""What each group of descriptors contributes to a portfolio: to its forecast, and to what it returned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.metrics import annualised_return, newey_west_t
from skdrfm.metrics._dates import DateGroups
from skdrfm.metrics._frozen import frozen_frame, frozen_series
from skdrfm.metrics._validation import validated
from skdrfm.panel import check_panel_index
from skdrfm.portfolio._alignment import Positions, align_positions
from skdrfm.portfolio._rows import held_dates, warn_about_lost_dates
from skdrfm.utils.validation import check_finite, describe_first

_INTERCEPT, _SPECIFIC, _TOTAL = "intercept", "specific", "total"
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class GroupAttribution:
    """Forecast and realised return of a portfolio, split into groups of descriptors, date by date.

    Dates are those of the weights t; forecasts and returns are over (t, t+1]. The columns named ``"intercept"`` are
    what no descriptor explains, ``"specific"`` what no name shares with others.

    Parameters
    ----------
    forecast : DataFrame of shape (n_dates, n_groups + 1)
        Decimal forecast return of the portfolio by group, and ``"intercept"``. A row sums to the forecast of the
        portfolio. It is also the exposure of the portfolio to the group: ``realised = payoffs * forecast``.
    realised : DataFrame of shape (n_dates, n_groups + 2)
        Decimal realised return of the portfolio before costs by group, ``"intercept"`` and ``"specific"``. A row
        sums to the return of the portfolio.
    payoffs : DataFrame of shape (n_dates, n_groups + 1)
        Realised return for each unit of forecast contribution of a group: 1 where the market paid what the model
        had forecast, 0 where it paid nothing, below 0 where it paid the opposite. ``"intercept"`` is the return of
        a name without any contribution.
    n_names : Series of shape (n_dates,)
        Names with weight, explanation and return, from which the payoffs of a date are estimated.
    """

    forecast: pd.DataFrame
    realised: pd.DataFrame
    payoffs: pd.DataFrame
    n_names: "pd.Series[Any]"

    def summary(self, *, periods_per_year: float = 12) -> pd.DataFrame:
        """Means over the dates, by group.

        Parameters
        ----------
        periods_per_year : float, default=12
            P: 12 for months, 52 for weeks, 252 for trading days.

        Returns
        -------
        DataFrame of shape (n_groups + 3, 3)
            ``Forecast`` and ``Realised``, annualised as P times the mean (decimals), and ``Newey-West t`` of the
            mean realised contribution (see :func:`skdrfm.metrics.newey_west_t`), for each group, ``"intercept"``,
            ``"specific"`` and ``"total"``. Over the dates that have a figure; NaN where there is none, and t where
            there is only one. The specific part has no forecast.

        Raises
        ------
        ValueError
            If periods_per_year is not above 0.
        """
        forecast = self.forecast.assign(**{_TOTAL: self.forecast.sum(axis=1, skipna=False)})
        realised = self.realised.assign(**{_TOTAL: self.realised.sum(axis=1, skipna=False)})
        rows = []
        for name in realised.columns:
            earned = realised[name].dropna().to_numpy()
            expected = forecast[name].dropna().to_numpy() if name in forecast else np.empty(0)
            means = [
                annualised_return(part, periods_per_year=periods_per_year) if len(part) else np.nan
                for part in (expected, earned)
            ]
            rows.append([*means, newey_west_t(earned) if len(earned) > 1 else np.nan])
        return pd.DataFrame(rows, index=realised.columns, columns=["Forecast", "Realised", "Newey-West t"])

    def to_frame(self) -> pd.DataFrame:
        """One row for each date and group.

        Returns
        -------
        DataFrame of shape (n_dates * (n_groups + 2), 5)
            Columns ``date``, ``group`` (or ``descriptor``), ``forecast``, ``payoff`` and ``realised``; NaN for the
            forecast and the payoff of the specific part, which has none.
        """
        names = self.realised.columns
        parts = {"forecast": self.forecast, "payoff": self.payoffs, "realised": self.realised}
        labels = {
            "date": self.realised.index.repeat(len(names)),
            str(names.name): np.tile(names.to_numpy(), len(self.realised)),
        }
        return pd.DataFrame(
            labels | {name: part.reindex(columns=names).to_numpy().ravel() for name, part in parts.items()}
        )

    def __repr__(self) -> str:
        dates, names = self.realised.index, list(self.payoffs.columns[:-1])
        return (
            f"GroupAttribution({len(dates)} dates from {dates[0]} to {dates[-1]}, "
            f"{self.realised.columns.name}s={describe_first(names)})"
        )


@validated({"explanation": [Explanation], "groups": [Mapping, None]})
def group_attribution(
    explanation: Explanation,
    weights: "pd.Series[Any]",
    returns: "pd.Series[Any]",
    groups: Mapping[str, Any] | None = None,
) -> GroupAttribution:
    """Split the forecast and the realised return of a portfolio into groups of descriptors.

    An explanation writes the forecast of name i as ``sum_g c_ig + intercept_i``: a linear factor model, read as a
    risk model (Nakagawa et al. 2019). The forecast of the portfolio then is the sum over g of
    ``F_g = sum_i w_i c_ig``, and of ``sum_i w_i intercept_i``.

    For the realised return, the returns of each date are regressed on a constant and the contributions,
    ``r_i = gamma_0 + sum_g gamma_g c_ig + e_i``, by least squares over all names of the date. Group g contributed
    ``gamma_g F_g`` to the portfolio, the intercept ``gamma_0 sum_i w_i`` and the specific part ``sum_i w_i e_i``,
    which is summed up from the residuals on its own. Collinear contributions get the payoffs gamma of minimum norm,
    the intercept not counted; contributions that are equal for all names get 0, since they cannot be told from the
    intercept.

    Parameters
    ----------
    explanation : Explanation
        Explained predictions, indexed by (date, asset); rows that weights lacks are ignored.
    weights : Series of shape (n_samples,), indexed by (date, asset)
        Weights held over (t, t+1], such as ``backtest(...).positions``: what is held after delay and drift, not what
        was ordered. Names with weight 0 take part in the regression, so keep them. NaN on all names of a date says
        that no portfolio was formed there. Names without explanation must have weight 0.
    returns : Series, indexed by (date, asset)
        Decimal forward returns (0.01 = 1 %) for at least the rows of weights; compared by index.
    groups : mapping of str to sequence of str, default=None
        Group to its descriptors, for example :data:`skdrfm.descriptors.GROUPS`; each descriptor belongs to exactly
        one. None: by descriptor.

    Returns
    -------
    GroupAttribution
        Forecast, payoffs and realised return by date and group. NaN on dates without portfolio. On dates with not
        more names than fitted coefficients there are no payoffs: forecasts stay, the rest is NaN, and one warning
        counts these dates.

    Raises
    ------
    PanelError
        If an index is no panel index, a row of weights has no realised return, a name is held without explanation,
        weights are NaN on part of a date, or groups do not hold each descriptor once or have a reserved name.
    NonFiniteError
        If a return is infinite, or a contribution is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have too few names.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.portfolio import group_attribution
    >>> index = pd.MultiIndex.from_product([[1], list("ABCDE")], names=["date", "asset"])
    >>> descriptors = [[[2.0, 0.0]], [[1.0, 1.0]], [[0.0, -1.0]], [[-1.0, 1.0]], [[-2.0, -1.0]]]
    >>> explanation = linear_explanation(
    ...     descriptors, [0.01, 0.02], 0.005, index=index, descriptor_names=["BETA", "CAP"]
    ... )
    >>> weights = pd.Series([0.5, 0.5, 0.0, -0.5, -0.5], index=index)
    >>> returns = pd.Series([0.04, 0.01, 0.0, 0.01, -0.03], index=index)
    >>> attribution = group_attribution(explanation, weights, returns)
    >>> attribution.forecast.round(4)
    descriptor  BETA   CAP  intercept
    date
    1           0.03  0.01        0.0
    >>> attribution.realised.round(4)
    descriptor    BETA     CAP  intercept  specific
    date
    1           0.0383  0.0031        0.0   -0.0064
    """
    positions = align_positions(weights, returns, name="weights")
    formed = held_dates(positions.values, positions.groups)
    contributions = explanation.by_descriptor() if groups is None else explanation.by_group(groups)
    columns = contributions.columns
    reserved = [name for name in columns if name in (_INTERCEPT, _SPECIFIC, _TOTAL)]
    if reserved:
        raise PanelError(
            f"No {columns.name} may be named 'intercept', 'specific' or 'total', which are parts of their own. Got "
            f"{describe_first(reserved)}. Pass 'groups' with other names."
        )
    explained, where = _explained_rows(explanation, positions)
    rows = np.flatnonzero(explained)
    C = contributions.to_numpy(dtype=np.float64)[where]
    a = np.asarray(explanation.intercept, dtype=np.float64)[where]
    check_finite(C, what="The contributions of the explanation", columns=list(columns))
    check_finite(a, what="The intercept of the explanation")
    w, r = positions.values[rows], positions.returns[rows]
    by_date = DateGroups(positions.groups.codes[rows], positions.groups.dates)

    forecast = np.column_stack([by_date.sum(w * part) for part in (*C.T, a)])
    forecast[~formed] = np.nan
    payoffs, residual = _regressions(C, r, by_date)
    # Dates without portfolio have no figures, and only dates with one are counted.
    lost = formed & np.isnan(payoffs[:, 0])
    payoffs[~formed] = np.nan
    warn_about_lost_dates(
        lost,
        "have no payoffs: there are not more names with an explanation than fitted coefficients. Their payoffs and "
        "realised contributions are NaN, not 0. Use fewer groups or more assets.",
        stacklevel=4,
    )
    exposures = np.column_stack([forecast[:, :-1], _net_weight(w, by_date)])
    specific = by_date.sum(w * residual)
    specific[np.isnan(payoffs[:, 0])] = np.nan
    realised = np.column_stack([payoffs * exposures, specific])

    dates = positions.groups.dates
    with_intercept = pd.Index([*columns, _INTERCEPT], name=columns.name)
    return GroupAttribution(
        forecast=frozen_frame(forecast, dates, with_intercept),
        realised=frozen_frame(realised, dates, with_intercept.append(pd.Index([_SPECIFIC], name=columns.name))),
        payoffs=frozen_frame(payoffs, dates, with_intercept),
        n_names=frozen_series(by_date.counts, dates, name="n_names"),
    )


def _net_weight(w: FloatArray, groups: DateGroups) -> FloatArray:
    """Sum of the weights of each date; exactly 0 where long and short cancel up to rounding."""
    net = groups.sum(w)
    net[np.abs(net) <= groups.counts * _EPS * groups.sum(np.abs(w))] = 0.0
    return net


def _explained_rows(explanation: Explanation, positions: Positions) -> tuple[Any, IntArray]:
    """Tell which positions have an explanation, and where it is; all that are held must have one."""
    if explanation.index is None:
        raise PanelError(
            "explanation must be indexed by (date, asset). Got an explanation without an index. "
            "Explain a DataFrame indexed by (date, asset)."
        )
    index = check_panel_index(explanation.index, name="explanation")
    where = index.reorder_levels(["date", "asset"]).get_indexer(positions.index)
    explained = where >= 0
    bare = ~explained & (positions.values != 0) & ~np.isnan(positions.values)
    if bare.any():
        pairs = positions.index[bare].tolist()
        raise PanelError(
            f"Each name that is held must have an explanation. Got {len(pairs)} of {len(where)} rows of weights "
            f"without one: {describe_first(pairs)}. Explain these rows too, or give them the weight 0."
        )
    return explained, where[explained]


def _regressions(C: FloatArray, r: FloatArray, groups: DateGroups) -> tuple[FloatArray, FloatArray]:
    """Payoffs of each date, the intercept last, and the residual of each row; NaN where there is no regression.

    Rows come date by date.
    """
    payoffs: FloatArray = np.full((len(groups.dates), C.shape[1] + 1), np.nan)
    residual: FloatArray = np.full(len(r), np.nan)
    for date, (start, stop) in enumerate(zip(groups.starts, groups.starts + groups.counts, strict=True)):
        gamma = _least_squares(np.ascontiguousarray(C[start:stop]), r[start:stop])
        if gamma is not None:
            payoffs[date] = gamma
            residual[start:stop] = r[start:stop] - gamma[-1] - C[start:stop] @ gamma[:-1]
    return payoffs, residual


def _least_squares(C: FloatArray, r: FloatArray) -> FloatArray | None:
    """Slopes of minimum norm, and the intercept; None where there are not more names than coefficients."""
    n_names, n_groups = C.shape
    if n_names < 2:
        return None
    means = C.mean(axis=0)
    within = C - means
    # What is left of equal contributions is rounding, and no direction.
    within[:, np.abs(within).max(axis=0) <= n_names * _EPS * np.abs(C).max(axis=0)] = 0.0
    slopes, _, rank, _ = np.linalg.lstsq(within, r - r.mean(), rcond=max(n_names, n_groups) * _EPS)
    if n_names <= rank + 1:
        return None
    return np.append(slopes, r.mean() - means @ slopes)
