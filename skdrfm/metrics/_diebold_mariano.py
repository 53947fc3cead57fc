"""Whether one model forecasts a panel better than another."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError, SkdrfmError
from skdrfm.metrics._dates import date_groups
from skdrfm.metrics._frozen import frozen_frame
from skdrfm.metrics._inference import LAG_CONSTRAINTS, checked_lags, t_of_means
from skdrfm.metrics._validation import as_aligned_values, validated
from skdrfm.utils._param_validation import Interval, StrOptions


@dataclass(frozen=True, eq=False, repr=False)
class DieboldMarianoResult:
    """Tests of equal forecasts for each pair of models.

    Rows and columns are the models in the order in which they were passed; diagonals are NaN, and so are pairs whose
    losses differ by the same number on all dates, such as equal models. Numbers cannot be overwritten.

    Parameters
    ----------
    statistic : DataFrame of shape (n_models, n_models)
        Positive where the model of the column has the smaller loss. Exactly antisymmetric.
    p_values : DataFrame of shape (n_models, n_models)
        Two-sided, of one test alone. Symmetric.
    adjusted_p_values : DataFrame of shape (n_models, n_models)
        The same times the number of pairs, at most 1 (Bonferroni). Below 0.05: the pair differs, even though it was
        picked from all pairs.
    n_dates : int
        Dates whose mean loss differences are tested.
    horizon : int
        Periods over which each return is earned.
    loss : {"squared", "absolute"}
        What is compared.
    n_lags : int
        Lags of the Newey-West standard error.
    """

    statistic: pd.DataFrame
    p_values: pd.DataFrame
    adjusted_p_values: pd.DataFrame
    n_dates: int
    horizon: int
    loss: str
    n_lags: int

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair of models.

        Returns
        -------
        DataFrame of shape (n_models * (n_models - 1) / 2, 3)
            Columns ``statistic``, ``p_value`` and ``adjusted_p_value``, indexed by ``row`` and ``column``, the two
            models; a positive statistic is in favour of ``column``.
        """
        models = self.statistic.columns
        first, second = np.triu_indices(len(models), k=1)
        tables = {
            "statistic": self.statistic,
            "p_value": self.p_values,
            "adjusted_p_value": self.adjusted_p_values,
        }
        index = pd.MultiIndex.from_arrays([models[first], models[second]], names=["row", "column"])
        return pd.DataFrame({name: table.to_numpy()[first, second] for name, table in tables.items()}, index=index)

    def __repr__(self) -> str:
        return (
            f"DieboldMarianoResult({len(self.statistic)} models, {self.n_dates} dates, loss={self.loss!r}, "
            f"horizon={self.horizon}, n_lags={self.n_lags})"
        )


@validated(
    {
        "loss": [StrOptions({"squared", "absolute"})],
        "horizon": [Interval(Integral, 1, None, closed="left")],
        **LAG_CONSTRAINTS,
    }
)
def diebold_mariano(
    y_true: Any,
    predictions: "Mapping[Any, Any] | pd.DataFrame",
    *,
    dates: Any = None,
    loss: str = "squared",
    horizon: int = 1,
    n_lags: int | None = None,
) -> DieboldMarianoResult:
    """Compare the forecasts of several models, each with each.

    For the models of a row and a column, ``d_t`` is the mean over the names of date t of the row's loss minus the
    column's loss, and ``DM = mean(d) / se(mean(d))`` with the Newey-West standard error (Diebold and Mariano 1995;
    for panels Gu, Kelly and Xiu 2020, equation 20). Errors of one date move together, so that dates are the
    observations, not rows. The statistic is multiplied by ``sqrt((T + 1 - 2h + h (h - 1) / T) / T)`` and compared
    with Student's t of T - 1 degrees of freedom (Harvey, Leybourne and Newbold 1997).

    Parameters
    ----------
    y_true : Series or ndarray of shape (n_samples,)
        Realised forward returns, decimal (0.01 = 1 %).
    predictions : mapping of name to Series or ndarray of shape (n_samples,), or DataFrame
        Predicted returns of the same rows for at least 2 models; a DataFrame has one column for each. Compared by
        index where both are pandas objects.
    dates : array-like of shape (n_samples,), default=None
        Date of each row. None takes the index level ``date`` of y_true.
    loss : {"squared", "absolute"}, default="squared"
        Loss of each row.
    horizon : int, default=1
        h: periods over which each return is earned, below the number of dates. More than 1 means that the returns of
        neighbouring dates overlap.
    n_lags : int, default=None
        Lags of the standard error, at least ``horizon - 1``. None means the larger of ``horizon - 1`` and
        ``floor(4 (T/100)^(2/9))``.

    Returns
    -------
    DieboldMarianoResult
        Statistics and p-values, models by models. Positive: the model of the column is better.

    Raises
    ------
    PanelError
        If rows are not aligned, their dates are not known or too few, a name repeats or there are fewer than 2
        models, or ``n_lags`` does not fit the horizon or the number of dates.
    NonFiniteError
        If a value is NaN or infinite.

    Notes
    -----
    The sources weigh the first h - 1 autocovariances alike. Bartlett weights are used here instead: the variance
    cannot be negative with them, and loss differences of panels are often correlated over time for h = 1, too.

    Examples
    --------
    >>> from skdrfm.metrics import diebold_mariano
    >>> result = diebold_mariano(
    ...     [0.01, 0.02, -0.01, 0.03],
    ...     {"zero": [0.0, 0.0, 0.0, 0.0], "half": [0.005, 0.01, 0.0, 0.02]},
    ...     dates=[1, 2, 3, 4],
    ... )
    >>> result.statistic.round(2)
          zero  half
    zero   NaN  2.08
    half -2.08   NaN
    >>> result.to_frame().round(2)
                 statistic  p_value  adjusted_p_value
    row  column
    zero half         2.08     0.13              0.13
    """
    models = _models_of(predictions)
    errors = [_errors(y_true, predictions[model], model) for model in models]
    groups = date_groups(y_true, dates, name="y_true")
    n_dates = len(groups.dates)
    if n_dates <= horizon:
        raise PanelError(
            f"Forecasts must be compared on more than {horizon} dates for horizon={horizon}. Got {n_dates}. "
            "Pass predictions of more dates."
        )
    lags = max(checked_lags(None, n_dates), horizon - 1) if n_lags is None else checked_lags(n_lags, n_dates)
    if lags < horizon - 1:
        raise PanelError(
            f"'n_lags' must be at least horizon - 1 ({horizon - 1}), as returns over {horizon} periods overlap. "
            f"Got {lags}. Pass more lags, or None."
        )

    # In units of the largest error squares neither overflow nor vanish; the statistic has no unit.
    unit = max(np.abs(error).max() for error in errors) or 1.0
    power = 2 if loss == "squared" else 1
    losses = [groups.mean(np.abs(error / unit) ** power) for error in errors]
    differences = np.column_stack([row - column for row, column in combinations(losses, 2)])
    correction = np.sqrt((n_dates + 1 - 2 * horizon + horizon * (horizon - 1) / n_dates) / n_dates)
    statistic = correction * t_of_means(differences, lags)
    p_values = 2 * stdtr(n_dates - 1, -np.abs(statistic))

    def table(upper: FloatArray, sign: int = 1) -> pd.DataFrame:
        return _pairs_by_model(upper, sign, models)

    return DieboldMarianoResult(
        statistic=table(statistic, sign=-1),
        p_values=table(p_values),
        adjusted_p_values=table(np.minimum(p_values * len(p_values), 1)),
        n_dates=n_dates,
        horizon=int(horizon),
        loss=loss,
        n_lags=int(lags),
    )


def _models_of(predictions: Any) -> list[Hashable]:
    if not isinstance(predictions, Mapping | pd.DataFrame):
        raise PanelError(
            "predictions must be a mapping of names to predictions, or a DataFrame with one column for each model. "
            f"Got {type(predictions).__name__}. Pass for example {{'lstm': ..., 'ols': ...}}."
        )
    models = list(predictions)
    if len(models) < 2 or len(set(models)) < len(models):
        raise PanelError(
            f"predictions must hold at least 2 models with different names. Got {models}. "
            "Add a model, for example a forecast of zero, or rename columns."
        )
    return models


def _errors(y_true: Any, prediction: Any, model: Hashable) -> FloatArray:
    try:
        truth, values = as_aligned_values(y_true, prediction)
    except SkdrfmError as error:
        raise type(error)(f"Model {model!r} cannot be compared. {error}") from error
    return truth - values


def _pairs_by_model(upper: AnyArray, sign: int, models: list[Hashable]) -> pd.DataFrame:
    """Lay out one value for each pair as a matrix whose lower half is `sign` times its upper half."""
    matrix = np.full((len(models), len(models)), np.nan)
    first, second = np.triu_indices(len(models), k=1)
    matrix[first, second] = upper
    matrix[second, first] = sign * upper
    labels = pd.Index(models, tupleize_cols=False)
    return frozen_frame(matrix, labels, labels)
