"""What a model loses without its most relevant descriptors: removed and retrained, in each window of a walk."""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.factor_model._network import draw_seed
from skdrfm.inspection._removal_result import FIGURES, LEVELS, RemovalCheck, t_of_known_dates
from skdrfm.inspection._removal_walk import UNITS, Ranking, RemovalWalk, columns_of_units, variants_of
from skdrfm.metrics import r2_oos, rank_information_coefficient
from skdrfm.metrics._dates import group_by_index
from skdrfm.metrics._frozen import frozen_frame
from skdrfm.metrics._inference import LAG_CONSTRAINTS
from skdrfm.metrics._validation import validated
from skdrfm.model_selection import WalkForwardResult, walk_forward_predict
from skdrfm.panel import LaggedPanel, check_aligned, check_panel_index
from skdrfm.panel._index import check_is_series
from skdrfm.portfolio import backtest
from skdrfm.portfolio._costs import RATE_CONSTRAINTS
from skdrfm.utils._param_validation import Interval, StrOptions
from skdrfm.utils.validation import check_whole

__all__ = ["RemovalCheck", "removal_check"]


@validated(
    {
        "n_removed": ["array-like"],
        "unit": [StrOptions(set(UNITS))],
        "n_random": [Interval(Integral, 1, None, closed="left")],
        "ranking": [callable, "array-like", None],
        "n_quantiles": [Interval(Integral, 2, None, closed="left")],
        "cost": RATE_CONSTRAINTS,
        "random_state": ["random_state"],
        **LAG_CONSTRAINTS,
    }
)
def removal_check(
    model: Any,
    X: "pd.DataFrame | LaggedPanel",
    y: "pd.Series[Any]",
    *,
    cv: Any,
    n_removed: Sequence[int] = (1, 2, 4, 8),
    unit: str = "descriptor",
    groups: Mapping[str, Sequence[str]] | None = None,
    ranking: Ranking = None,
    n_random: int = 5,
    n_quantiles: int = 5,
    cost: "float | pd.Series[Any]" = 0.0,
    n_lags: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    refit_every: int = 1,
    n_seeds: int = 1,
    windows_per_program: Any = "auto",
) -> RemovalCheck:
    """Remove the most relevant descriptors, retrain, and see how much worse the forecasts become.

    In each window the model is fitted and its training rows are explained. The columns of the k descriptors with the
    largest mean absolute contribution, all their lags, are left out, the model is fitted anew on the same rows, and
    both predict the test rows. The same is done without the k least relevant descriptors, and without k random ones.
    This is the remove-and-retrain test of Hooker et al. (2019), walked forward: an explanation that tells the truth
    names descriptors that the forecasts miss more than random ones. Where descriptors replace each other nothing is
    missed, whoever is right about them.

    Parameters
    ----------
    model : estimator
        Cloned for each fit. `skdrfm.explain` must be able to explain it, or a ranking must be given. Its
        ``n_timesteps`` should be None if lags are removed.
    X : DataFrame or LaggedPanel of shape (n_samples, n_columns), indexed by (date, asset)
        Columns ``"{descriptor}__lag{k}"`` as made by `stack_lags`, or one column for each descriptor.
    y : Series of shape (n_samples,)
        Forward returns with the index of X. Missing values are allowed where rows are only tested.
    cv : splitter
        Training and test rows, for example `WalkForwardSplit`.
    n_removed : sequence of int, default=(1, 2, 4, 8)
        Numbers of descriptors to remove, each below their number, in increasing order.
    unit : {"descriptor", "lag"}, default="descriptor"
        What is removed: a descriptor with all its lags, or a lag of all descriptors.
    groups : mapping of str to sequence of str, default=None
        Groups of descriptors to rank and remove as a whole.
    ranking : callable, sequence or None, default=None
        None ranks by the mean absolute contribution on the training rows of each window. A callable gets the fitted
        model and the training rows, ``ranking(model, X, y)``, and returns a Series with a number for each unit, larger
        being more relevant. A sequence of all units, the most relevant first, is the same for all windows; it must
        come from elsewhere, since one that saw the test dates makes the check worthless.
    n_random : int, default=5
        Random draws. A draw is one order of the units for the whole walk; its first k are removed.
    n_quantiles, cost
        As in `skdrfm.backtest`.
    n_lags : int, default=None
        Lags of the Newey-West standard errors. None means ``floor(4 (T/100)^(2/9))``.
    random_state : int, RandomState instance or None, default=None
        Of the random draws. With a checkpoint it must be an int, or a later call has other draws. More draws begin
        with the same ones.
    n_jobs, checkpoint, progress, refit_every, n_seeds
        As in `walk_forward_predict`. A checkpoint has one file for each window with all its variants.
    windows_per_program : int or "auto", default="auto"
        Variants of a window that are trained side by side, where the model can do so.

    Returns
    -------
    RemovalCheck
        Figures of each variant.

    Raises
    ------
    PanelError
        If X and y are not as they must be, numbers to remove do not fit, or the ranking lacks a unit.
    TypeError
        If the model cannot be explained and no ranking is given.
    SplitError, CheckpointError, ValueError
        As in `walk_forward_predict`.

    Warns
    -----
    CoverageWarning
        If predicted rows have no forward return, or a variant has no figure on some dates.

    Notes
    -----
    Each window takes ``1 + len(n_removed) * (2 + n_random)`` fits; the ranking takes none of its own. All variants
    have the random state of the model.

    References
    ----------
    Hooker, Erhan, Kindermans and Kim (2019), A benchmark for interpretability methods in deep neural networks,
    https://arxiv.org/abs/1806.10758.

    Examples
    --------
    >>> from skdrfm import WalkForwardSplit, make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import removal_check
    >>> X, y = make_factor_panel(n_dates=40, n_assets=30, n_descriptors=6, random_state=0)
    >>> cv = WalkForwardSplit(24, test_size=8)
    >>> check = removal_check(
    ...     LinearFactorRegressor(), X, y, cv=cv, n_removed=[2], n_random=3, random_state=0, progress=False
    ... )
    >>> check
    RemovalCheck(n_removed=[2], 6 units, 16 dates)
    >>> check.to_frame().index.tolist()
    [('none', 0), ('most', 2), ('random', 2), ('least', 2)]
    """
    check_panel_index(X)
    check_is_series(y, name="y")
    check_aligned(X, y)
    units = columns_of_units(list(X.columns), unit, groups)
    numbers = _check_numbers(n_removed, len(units))
    if windows_per_program != "auto":
        check_whole(windows_per_program, "windows_per_program", owner="removal_check", other="or 'auto'")
    if ranking is not None and not callable(ranking):
        ranking = _check_order(ranking, units)
    rng = np.random.default_rng(draw_seed(random_state))
    labels = list(units)
    walked = RemovalWalk(
        model,
        n_removed=numbers,
        random_orders=tuple(tuple(labels[j] for j in rng.permutation(len(labels))) for _ in range(n_random)),
        ranking=ranking,
        unit=unit,
        groups=groups,
        width=windows_per_program,
    )
    result: WalkForwardResult = walk_forward_predict(  # type: ignore[assignment]  # one model gives one result
        walked,
        X,
        y,
        cv=cv,
        n_jobs=n_jobs,
        explain=True,
        checkpoint=checkpoint,
        progress=progress,
        refit_every=refit_every,
        n_seeds=n_seeds,
    )
    assert result.explanation is not None  # it was asked for
    found = result.explanation.values[:, 0]
    variants = [("none", 0, 0), *variants_of(numbers, n_random)]
    n_predictions = len(variants) - 1
    predictions = np.column_stack([result.predictions.to_numpy(), found[:, :n_predictions]])
    index = result.predictions.index
    rows = group_by_index(index)
    # The rows of a date have the same importances, those of its window.
    one_of_date = rows.in_date_order(np.arange(len(index)))[rows.starts]
    realised = y.loc[index]
    known = realised.notna().to_numpy()
    if not known.all():
        warnings.warn(
            f"{int((~known).sum())} of {len(known)} predicted rows have no forward return and are in no figure.",
            CoverageWarning,
            stacklevel=3,
        )
    return _figures(
        predictions[known],
        realised[known],
        pd.MultiIndex.from_tuples(variants, names=LEVELS),
        n_quantiles=n_quantiles,
        cost=cost,
        n_lags=n_lags,
        importance=frozen_frame(
            found[one_of_date, n_predictions:],
            rows.dates,
            pd.Index(labels, name="group" if groups is not None else unit),
        ),
        n_rows_left_out=int((~known).sum()),
    )


def _check_numbers(n_removed: Any, n_units: int) -> tuple[int, ...]:
    given = list(n_removed)
    valid = all(type(k) is not bool and isinstance(k, Integral) and 1 <= int(k) < n_units for k in given)
    if not given or not valid or any(np.diff(given) <= 0):
        raise PanelError(
            f"'n_removed' must be increasing integers from 1 to {n_units - 1}, so that something is left of the "
            f"{n_units} units. Got {given!r}. Pass for example n_removed=[1]."
        )
    return tuple(int(k) for k in given)


def _check_order(ranking: Sequence[Any], units: Mapping[Hashable, Any]) -> tuple[Any, ...]:
    order = tuple(ranking)
    if len(order) != len(units) or set(order) != set(units):
        raise PanelError(
            f"'ranking' must name each of {list(units)!r} once, the most relevant first. Got {list(order)!r}. Name all "
            "of them."
        )
    return order


def _figures(
    predictions: FloatArray,
    realised: "pd.Series[Any]",
    variants: pd.MultiIndex,
    *,
    n_quantiles: int,
    cost: Any,
    n_lags: int | None,
    importance: pd.DataFrame,
    n_rows_left_out: int,
) -> RemovalCheck:
    """Figures of each column of predictions."""
    rank_ics, returns, r2 = [], [], []
    with warnings.catch_warnings():
        # One warning is given for all variants, below.
        warnings.simplefilter("ignore", CoverageWarning)
        for column in predictions.T:
            forecast = pd.Series(column, index=realised.index)
            r2.append(r2_oos(realised, forecast))
            rank_ics.append(rank_information_coefficient(realised, forecast))
            returns.append(backtest(forecast, realised, n_quantiles=n_quantiles, cost=cost).long_short)
    # In the order of their labels, which pandas looks up without complaint.
    place = variants.argsort()
    variants = variants[place]
    tables = [
        frozen_frame(np.column_stack([all_series[j].to_numpy() for j in place]), all_series[0].index, variants)
        for all_series in (rank_ics, returns)
    ]
    missing = [int(table.isna().to_numpy().any(axis=1).sum()) for table in tables]
    if any(missing):
        warnings.warn(
            f"Some variants have no rank IC on {missing[0]} and no long/short return on {missing[1]} of "
            f"{len(tables[0])} dates: too few names, or equal forecasts or returns. Means leave these dates out.",
            CoverageWarning,
            stacklevel=4,
        )
    figures: dict[str, Any] = {"r2_oos": [r2[j] for j in place]}
    for name, table in zip(("rank_ic", "long_short"), tables, strict=True):
        figures[name] = table.mean().to_numpy()
        figures[f"{name}_t"] = [t_of_known_dates(table.iloc[:, j], n_lags) for j in range(table.shape[1])]
    return RemovalCheck(
        draws=frozen_frame(np.column_stack([figures[name] for name in FIGURES]), variants, pd.Index(FIGURES)),
        rank_ic=tables[0],
        long_short=tables[1],
        importance=importance,
        n_lags=n_lags,
        n_rows_left_out=n_rows_left_out,
    )
