"""What a study does before it walks: models and groups by name, ranks, lags, and the rows and months to walk over."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.descriptors import GROUPS
from skdrfm.exceptions import PanelError, SplitError
from skdrfm.explanation._aggregation import check_groups
from skdrfm.factor_model import paper_models
from skdrfm.model_selection import WalkForwardSplit
from skdrfm.panel import LaggedPanel, check_aligned, dates_of
from skdrfm.panel._index import calendar_ordinals, check_is_series
from skdrfm.preprocessing import CrossSectionalRankScaler
from skdrfm.utils.validation import describe_first


def resolve_models(models: Mapping[str, Any] | Sequence[str] | None, random_state: int) -> dict[str, Any]:
    """Turn names into the paper's models; a mapping of estimators is taken as it is."""
    if isinstance(models, Mapping):
        if not models or not all(isinstance(name, str) for name in models):
            raise ValueError(
                "'models' must map names, which are text, to models, at least one. Got "
                f"{describe_first(list(models)) or 'none'}. Pass {{'Mine': model}}."
            )
        return dict(models)
    known = paper_models(random_state)
    if models is not None and (isinstance(models, str) or not hasattr(models, "__iter__")):
        raise ValueError(
            f"'models' must be a list of names among {', '.join(known)}, or a mapping of names to models. Got "
            f"{models!r}. Pass {[models] if isinstance(models, str) else '{name: model}'}."
        )
    names = list(known) if models is None else list(models)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"'models' must name some of {', '.join(known)}. Got {', '.join(map(str, unknown)) or 'none'}."
        )
    return {name: known[name] for name in names}


def resolve_groups(
    descriptors: Sequence[str], groups: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """Group the descriptors at hand, the rest as "Other"."""
    given = GROUPS if groups is None else groups
    for group, names in given.items():
        if isinstance(names, str):
            raise PanelError(
                f"Each group must have a list of descriptors. Got the text {names!r} for {group!r}. Pass "
                f"{{{group!r}: {[names]!r}}}."
            )
    grouping = {group: tuple(name for name in names if name in descriptors) for group, names in given.items()}
    grouped = {name for names in grouping.values() for name in names}
    other = tuple(name for name in descriptors if name not in grouped)
    grouping["Other"] = (*grouping.get("Other", ()), *other)
    found = {group: names for group, names in grouping.items() if names}
    check_groups(found, tuple(descriptors))
    return found


def rank_and_stack(X: pd.DataFrame, lags: Sequence[int]) -> tuple[LaggedPanel, dict[str, int]]:
    """Rank each cross-section to [-1, 1], missing values at the neutral rank 0, and stack the lags.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_descriptors), indexed by (date, asset)
        Raw descriptors.
    lags : sequence of int
        Months before the date.

    Returns
    -------
    panel : LaggedPanel
        What the models of a study are given.
    missing : dict of str to int
        Number of missing values that became 0, of the descriptors that have any.

    Raises
    ------
    PanelError
        If a descriptor has no value at all, or no row has the full history.
    """
    empty = [str(name) for name in X.columns if X[name].isna().all()]
    if empty:
        raise PanelError(
            f"Each descriptor must have a value in some row. Got none in {', '.join(map(repr, empty))}. "
            "Leave these columns out."
        )
    scaler = CrossSectionalRankScaler(missing="zero")
    lagged = LaggedPanel(scaler.fit_transform(X), lags=lags)
    missing = {str(name): int(count) for name, count in zip(X.columns, scaler.n_missing_, strict=True) if count}
    return lagged, missing


def prepare(
    X: pd.DataFrame, y: "pd.Series[Any]", universe: "pd.Series[bool] | None", lags: Sequence[int]
) -> tuple[LaggedPanel, "pd.Series[Any]", dict[str, int], dict[str, int]]:
    """Rank, stack, and keep the rows of the universe whose forward return is known; count what is left out."""
    if universe is not None:
        check_is_series(universe, name="universe")
        check_aligned(X, universe, y_name="universe")
        wrong = universe[~universe.isin([True, False])]
        if len(wrong):
            raise PanelError(
                f"universe must be True or False in each row. Got {describe_first(list(wrong.unique()))} in "
                f"{len(wrong)} of {len(universe)} rows. Say what a missing value means: "
                "universe.fillna(False).astype(bool)."
            )
    lagged, missing = rank_and_stack(X, lags)
    target = lagged.align(y)
    rows = {"given": len(X), "dropped_without_full_history": len(X) - len(lagged)}
    keep = np.ones(len(lagged), dtype=bool)
    if universe is not None:
        keep = lagged.align(universe).to_numpy(dtype=bool)
    rows["dropped_outside_universe"] = int((~keep).sum())
    known = target.notna().to_numpy()
    rows["dropped_without_forward_return"] = int((keep & ~known).sum())
    keep = keep & known
    if not keep.any():
        raise PanelError(
            f"Some rows must have full history, be in the universe and have a forward return. Got none of {len(X)}: "
            f"{rows}. Check the lags, the universe and the return column."
        )
    return lagged[keep], target[keep], rows, missing


def limit_months(
    X: LaggedPanel, y: "pd.Series[Any]", train_size: int, start: str | None, end: str | None
) -> tuple[LaggedPanel, "pd.Series[Any]", WalkForwardSplit]:
    """Leave out what lies outside the test months and the training windows before them."""
    dates = dates_of(X)
    # The return predicted at the end of one month is earned in the next.
    earned = calendar_ordinals(dates, "M") + 1
    keep = np.ones(len(X), dtype=bool)
    if end is not None:
        keep &= earned <= _month(end, "end")
    first_test_date = None
    if start is not None:
        tested = dates[keep & (earned >= _month(start, "start"))]
        if not len(tested):
            raise SplitError(
                f"Some predicted months must lie between start={start} and end={end}. Got months from "
                f"{pd.Period(ordinal=int(earned.min()), freq='M')} to {pd.Period(ordinal=int(earned.max()), freq='M')}."
            )
        first_test_date = tested.min()
        formation = dates[keep].unique().sort_values()
        position = int(formation.searchsorted(first_test_date))
        keep &= np.asarray(dates >= formation[max(0, position - train_size)])
    return X[keep], y[keep], WalkForwardSplit(train_size, first_test_date=first_test_date)


def _month(text: str, name: str) -> int:
    try:
        # A missing month becomes NaT, which has no ordinal.
        return int(pd.Period(text, freq="M").ordinal)
    except (ValueError, AttributeError) as error:
        raise SplitError(f"{name!r} must be a month such as '2009-01'. Got {text!r}.") from error


def check_enough_assets(X: LaggedPanel, n_quantiles: int) -> None:
    most = int(dates_of(X).value_counts().max())
    if most < n_quantiles:
        raise PanelError(
            f"There must be at least as many assets on a date as quantiles ({n_quantiles}). Got {most} assets at "
            "most. Use fewer quantiles or a larger universe."
        )
