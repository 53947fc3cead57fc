"""How sure contributions are: their mean over time and seeds, its error, and how often the sign changes."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._plot_common import check_rows
from skdrfm.inspection._pooling import POOLS, pooled
from skdrfm.inspection._uncertainty_result import ContributionStatistics
from skdrfm.metrics._dates import DateGroups, group_by_index
from skdrfm.metrics._frozen import frozen_frame
from skdrfm.metrics._inference import LAG_CONSTRAINTS, checked_lags, long_run_variance, t_of_means
from skdrfm.metrics._validation import as_float_vector, validated
from skdrfm.model_selection import WalkForwardResult
from skdrfm.model_selection._assemble import INTERCEPT
from skdrfm.panel import check_panel_index
from skdrfm.panel._index import check_is_series, positions_of_rows
from skdrfm.portfolio import long_short_weights, quantile_weights
from skdrfm.portfolio._rows import held_dates
from skdrfm.utils._param_validation import Interval, StrOptions
from skdrfm.utils.validation import check_finite

__all__ = ["ContributionStatistics", "contribution_statistics"]

Explained: TypeAlias = Explanation | WalkForwardResult

_WEIGHTINGS = ("long_short", "long", "equal")


@validated(
    {
        "by": [StrOptions(set(POOLS))],
        "weights": [StrOptions(set(_WEIGHTINGS)), pd.Series],
        "n_quantiles": [Interval(Integral, 2, None, closed="left")],
        **LAG_CONSTRAINTS,
    }
)
def contribution_statistics(
    explanations: Explained | Sequence[Explained] | Mapping[Any, Explained],
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    by: str = "group",
    weights: "str | pd.Series[Any]" = "long_short",
    n_quantiles: int = 5,
    n_lags: int | None = None,
) -> ContributionStatistics:
    """Say how large the contributions to the forecasts are, and how sure.

    At date t group g contributes ``C_gt = sum_i w_it R_igt`` to the forecast of a portfolio with weights w, where
    ``R_igt`` is the sum of the relevances of the group's descriptors (Nakagawa et al. 2019 average over the top
    quintile). The plain mean over a cross-section tells little: descriptors that are ranked or standardised have a
    mean of 0 on each date, and so have their contributions nearly. In a long/short portfolio ``C_gt`` is what the
    group adds to the spread of the forecasts between the highest and the lowest quantile, and the groups and the
    intercept add up to that spread.

    All seeds are weighed by one portfolio, that of the mean of their forecasts, so that they differ in what they say
    about the same names and not in the names.

    Parameters
    ----------
    explanations : Explanation or WalkForwardResult, or sequence or mapping of them
        One, or one for each seed; all of the same rows, indexed by (date, asset). A mapping names the seeds. A walk
        with ``explain=True`` has an explanation of many windows; one with ``groups`` has the contributions of these
        groups alone.
    groups : mapping of str to sequence of str, default=None
        Descriptors of each group. None: each descriptor is a group of its own; for a walk with contributions, its
        groups.
    by : {"group", "lag", "group_and_lag"}, default="group"
        What contributions are summed over. By group there is also the row ``intercept``, the part of the forecast that
        no descriptor explains. A walk with contributions knows groups alone.
    weights : {"long_short", "long", "equal"} or Series, default="long_short"
        Portfolio at each date: the highest minus the lowest quantile of the mean forecast, the highest quantile alone,
        all names with the same weight, or weights by (date, asset). NaN on all names of a date says that there is no
        portfolio.
    n_quantiles : int, default=5
        Number of quantiles.
    n_lags : int, default=None
        Lags of the standard error. None means ``floor(4 (T/100)^(2/9))``.

    Returns
    -------
    ContributionStatistics
        Table by group, and the contributions by seed and date. A t beyond 2 says that the mean contribution is not an
        accident of these dates; a spread over seeds near the mean, or a sign stability over seeds well below 1, says
        that it is one of the random start.

    Raises
    ------
    PanelError
        If there is nothing, rows have no (date, asset) index or differ between seeds, groups do not fit, weights lack
        a row, or no date has a portfolio.
    NonFiniteError
        If a relevance is NaN or infinite.

    Warns
    -----
    CoverageWarning
        If some dates have fewer names than quantiles. They are left out of all figures.

    See Also
    --------
    skdrfm.metrics.newey_west_t : The t statistic.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skdrfm.explanation import linear_explanation
    >>> from skdrfm.inspection import contribution_statistics
    >>> index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
    >>> data = np.array([[[1.0, 0.0]], [[-1.0, 1.0]], [[2.0, 1.0]], [[-1.0, 0.0]]])
    >>> seeds = [
    ...     linear_explanation(data, slopes, index=index, descriptor_names=["BETA", "CAP"])
    ...     for slopes in ([0.01, 0.002], [0.03, -0.004])
    ... ]
    >>> statistics = contribution_statistics(seeds, n_quantiles=2)
    >>> statistics.table[["mean", "spread_over_seeds", "sign_stability_seeds"]].round(3)
                mean  spread_over_seeds  sign_stability_seeds
    descriptor
    BETA        0.05              0.035                   1.0
    CAP         0.00              0.000                   NaN
    intercept   0.00              0.000                   NaN
    """
    members = _members(explanations)
    parts = {seed: _parts(explained, by, groups, seed) for seed, explained in members.items()}
    first = next(iter(parts.values()))
    for seed, part in parts.items():
        _check_same_rows(part, first, seed)
    rows = group_by_index(check_panel_index(first.index, name="The explanation"))
    mean_forecast = np.mean([part.predictions for part in parts.values()], axis=0)
    portfolio = _weights(weights, pd.Series(mean_forecast, index=first.index), rows, n_quantiles)
    held = held_dates(portfolio, rows)
    if not held.any():
        raise PanelError(f"Some date must have a portfolio. Got weights of NaN on all {len(held)} dates. Pass others.")
    # Of shape (n_seeds, n_dates, n_groups).
    contributions = np.stack(
        [np.column_stack([rows.sum(portfolio * column) for column in part.values.T])[held] for part in parts.values()]
    )
    sizes = np.mean(
        [[rows.mean(np.abs(column))[held].mean() for column in part.values.T] for part in parts.values()], axis=0
    )
    dates = rows.dates[held]
    lags = checked_lags(n_lags, len(dates))
    seeds = pd.Index(list(parts), name="seed", tupleize_cols=False)
    return ContributionStatistics(
        table=_table(contributions, sizes, lags, first.labels),
        by_seed_and_date=frozen_frame(
            contributions.reshape(-1, len(first.labels)),
            pd.MultiIndex.from_product([seeds, dates], names=["seed", "date"]),
            first.labels,
        ),
        weights=weights if isinstance(weights, str) else "given",
        n_lags=int(lags),
        n_dates_left_out=int((~held).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Contributions of one seed, of shape (n_samples, n_groups), and what is needed to weigh them."""

    values: FloatArray
    labels: pd.Index
    index: Any
    predictions: FloatArray


def _members(explanations: Any) -> dict[Hashable, Explained]:
    """One explanation for each seed, by its name."""
    kinds = (Explanation, WalkForwardResult)
    if isinstance(explanations, kinds):
        return {0: explanations}
    if isinstance(explanations, Mapping):
        members = dict(explanations)
    else:
        members = dict(enumerate(explanations)) if np.iterable(explanations) else {0: explanations}
    wrong = [type(member).__name__ for member in members.values() if not isinstance(member, kinds)]
    if wrong or not members:
        raise PanelError(
            "'explanations' must be an Explanation or a WalkForwardResult, or one for each seed in a sequence or a "
            f"mapping. Got {', '.join(dict.fromkeys(wrong)) or 'none'}. Pass for example [model.explain(X) for model "
            "in models]."
        )
    return members


def _parts(explained: Explained, by: str, groups: Mapping[str, Sequence[str]] | None, seed: Hashable) -> _Parts:
    if isinstance(explained, WalkForwardResult):
        if explained.explanation is None:
            return _parts_of_contributions(explained, by, groups, seed)
        explained = explained.explanation
    check_rows(explained)
    values, labels = pooled(explained, explained.values, by, groups)
    if by == "group":
        if INTERCEPT in labels:
            raise PanelError(
                f"No group or descriptor must have the name {INTERCEPT!r}, which is a row of the table. Rename it."
            )
        values = np.column_stack([values, explained.intercept])
        labels = labels.append(pd.Index([INTERCEPT])).rename(labels.name)
    return _Parts(values, labels, explained.index, explained.predictions)


def _parts_of_contributions(
    result: WalkForwardResult, by: str, groups: Mapping[str, Sequence[str]] | None, seed: Hashable
) -> _Parts:
    table = result.contributions
    if table is None:
        raise PanelError(
            f"The walk must have explained its predictions. Got seed {seed!r} without. Pass explain=True to "
            "walk_forward_predict."
        )
    if by != "group" or (groups is not None and list(groups) != list(table.columns[:-1])):
        raise PanelError(
            f"A walk with contributions by group must be asked for these groups, {list(table.columns[:-1])!r}. Got "
            f"by={by!r} and {'no groups' if groups is None else list(groups)}. Walk with groups=None to keep whole "
            "explanations."
        )
    values = table.to_numpy(dtype=np.float64)
    check_finite(values, what="The contributions of the walk", columns=[str(name) for name in table.columns])
    return _Parts(values, table.columns, table.index, result.predictions.to_numpy(dtype=np.float64))


def _check_same_rows(part: _Parts, first: _Parts, seed: Hashable) -> None:
    if part.index is None or not part.index.equals(first.index):
        rows = "rows without an index" if part.index is None else f"{len(part.index)} rows for {len(first.index)}"
        raise PanelError(
            "All seeds must explain the same rows in the same order, indexed by (date, asset). Got others, or another "
            f"order, for seed {seed!r} ({rows}). Explain one DataFrame with each model."
        )
    if not part.labels.equals(first.labels):
        raise PanelError(
            f"All seeds must have the same descriptors and lags. Got {list(part.labels)!r} for seed {seed!r} and "
            f"{list(first.labels)!r} for the first. Fit all models on the same columns."
        )


def _weights(
    weights: "str | pd.Series[Any]", forecast: "pd.Series[Any]", rows: DateGroups, n_quantiles: int
) -> FloatArray:
    """Weight of each row in the portfolio of its date."""
    if not isinstance(weights, str):
        check_is_series(weights, name="weights")
        place = positions_of_rows(weights, forecast.index, name="weights", rows_name="the explanation")
        missing = int((place < 0).sum())
        if missing:
            raise PanelError(
                f"weights must hold each of the {len(place)} explained rows. Got {missing} rows without one. Give "
                "names that are not held the weight 0."
            )
        return as_float_vector(weights, name="weights")[place]
    if weights == "equal":
        equal: FloatArray = 1 / rows.counts[rows.codes]
        return equal
    made = (
        long_short_weights(forecast, n_quantiles=n_quantiles)
        if weights == "long_short"
        else quantile_weights(forecast, n_quantiles=n_quantiles)[n_quantiles]
    )
    return made.to_numpy(dtype=np.float64)


def _table(contributions: FloatArray, sizes: FloatArray, n_lags: int, labels: pd.Index) -> pd.DataFrame:
    """Figures of contributions of shape (n_seeds, n_dates, n_groups)."""
    n_seeds, n_dates, n_groups = contributions.shape
    nothing = np.full(n_groups, np.nan)
    by_date, by_seed = contributions.mean(axis=0), contributions.mean(axis=1)
    mean = by_date.mean(axis=0)
    sign = np.where(mean == 0, np.nan, np.sign(mean))
    several = n_dates > 1
    figures = {
        "mean": mean,
        "mean_size": sizes,
        "standard_error": np.sqrt(long_run_variance(by_date - mean, n_lags) / n_dates) if several else nothing,
        "t": t_of_means(by_date, n_lags) if several else nothing,
        "spread_over_dates": by_date.std(axis=0, ddof=1) if several else nothing,
        "spread_over_seeds": by_seed.std(axis=0, ddof=1) if n_seeds > 1 else nothing,
        "sign_stability_dates": np.where(np.isnan(sign), np.nan, (np.sign(by_date) == sign).mean(axis=0)),
        "sign_stability_seeds": (
            np.where(np.isnan(sign), np.nan, (np.sign(by_seed) == sign).mean(axis=0)) if n_seeds > 1 else nothing
        ),
    }
    return frozen_frame(np.column_stack(list(figures.values())), labels, pd.Index(list(figures)))
