"""Shapley values of groups of descriptors: exact where coalitions are few, sampled where they are many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.factor_model._network import draw_seed
from skdrfm.inspection._compare_subject import Subject, subject_of
from skdrfm.inspection._forward import Predict
from skdrfm.metrics._frozen import frozen_array
from skdrfm.utils._param_validation import Interval, StrOptions, validate_params

Groups: TypeAlias = Mapping[str, Sequence[str]]

# Rows predicted at once: 40 MiB of 80 columns.
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False, repr=False)
class GroupShapley:
    """Shapley values whose players are groups of descriptors, or groups at single lags.

    ``predictions = values.sum(axis=1) + base`` up to rounding. A value is what the prediction gains, on average over
    the orders in which groups become known, when a group takes its values in place of those of the background.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_players)
        In units of the prediction (decimal return per period: 0.01 = 1 %). Read-only.
    predictions : ndarray of shape (n_samples,)
        The predictions. Read-only.
    base : float
        Mean prediction of the background.
    players : Index of length n_players
        Names of the groups; or a MultiIndex of ``group`` and ``lag``, the oldest lag first.
    index : Index of length n_samples or None
        Rows, usually (date, asset).
    n_coalitions : int
        Coalitions whose worth was computed for each row, each a mean over the background.
    is_exact : bool
        Whether all coalitions were enumerated; False: sampled orders.

    See Also
    --------
    group_shapley : Make it from a model.
    """

    values: FloatArray
    predictions: FloatArray
    base: float
    players: pd.Index
    index: pd.Index | None
    n_coalitions: int
    is_exact: bool

    def __post_init__(self) -> None:
        for name in ("values", "predictions"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))

    @property
    def additivity_gap(self) -> FloatArray:
        """Prediction less base and values, of shape (n_samples,); 0 up to rounding."""
        gap: FloatArray = self.predictions - self.values.sum(axis=1) - self.base
        return gap

    def by_group(self) -> pd.DataFrame:
        """Value of each group, summed over lags where players are single lags.

        Returns
        -------
        DataFrame of shape (n_samples, n_groups)
            In units of the prediction, in the order of the groups.
        """
        return self._summed("group")

    def by_lag(self) -> pd.DataFrame:
        """Value of each lag, summed over groups.

        Returns
        -------
        DataFrame of shape (n_samples, n_timesteps)
            In units of the prediction; columns are lags, the oldest first.

        Raises
        ------
        PanelError
            If players are groups of all lags.
        """
        if "lag" not in self.players.names:
            raise PanelError(
                "by_lag needs players that are groups at single lags. Got groups of all lags. Compute them with "
                "group_shapley(..., by_lag=True)."
            )
        return self._summed("lag")

    def to_frame(self) -> pd.DataFrame:
        """Return the values, a row for each sample and a column for each player.

        Returns
        -------
        DataFrame of shape (n_samples, n_players)
            A copy, in units of the prediction.
        """
        return pd.DataFrame(self.values.copy(), index=self.index, columns=self.players)

    def _summed(self, level: str) -> pd.DataFrame:
        labels = self.players.get_level_values(level)
        columns = labels.unique()
        sums = np.stack([self.values[:, labels == label].sum(axis=1) for label in columns], axis=1)
        return pd.DataFrame(sums, index=self.index, columns=columns.rename(level))

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        n_samples, n_players = self.values.shape
        return f"GroupShapley(n_samples={n_samples}, n_players={n_players}, is_exact={self.is_exact})"


@validate_params(
    {
        "groups": [Mapping],
        "by_lag": ["boolean"],
        "max_evals": [Interval(Integral, 2, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def group_shapley(
    model: Any,
    X: Any,
    background: Any,
    groups: Mapping[str, Sequence[str]],
    *,
    by_lag: bool = False,
    max_evals: int = 4096,
    output: int | None = None,
    dtype: str = "float64",
    random_state: Any = None,
) -> GroupShapley:
    """Share predictions out over groups of descriptors by Shapley values.

    The worth of a coalition S of groups is ``v(S) = mean_b f(x_S, b_rest)``, the prediction with the values of the
    row for the groups in S and those of a background row b for the others. The value of a group p of P is
    ``sum_S |S|! (P - |S| - 1)! / P! (v(S + p) - v(S))`` over the coalitions without it (Shapley 1953; Lundberg and Lee
    2017, 1705.07874, equation 4). It is exact for the given background where ``2 ** P <= max_evals``. Beyond that it
    is the mean over random orders of the groups, each taken forward and backward, which is exact for models without
    interactions of three groups or more. Either way the values add up.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As `skdrfm.explain` takes it. Networks are computed in NumPy; Keras is not called.
    X : DataFrame or ndarray of n_samples rows
        Rows to explain.
    background : DataFrame or ndarray of n_background rows
        Rows of the training window in the layout of X. The cost grows with their number; 100 usually do.
    groups : mapping of str to sequence of str
        Group to names of its descriptors; each descriptor in exactly one group.
    by_lag : bool, default=False
        Whether each group plays at each lag by itself, or with all its lags at once.
    max_evals : int, default=4096
        Coalitions that may be computed for each row.
    output : int, default=None
        Which output unit of a Keras model to explain.
    dtype : {"float64", "float32"}, default="float64"
        Precision in which networks are computed; float32, that of Keras, takes half the time. Linear models
        predict as they do.
    random_state : int, RandomState instance or None, default=None
        Seed of the orders; exact values need none.

    Returns
    -------
    GroupShapley
        Values of the groups for each row, in the order of X.

    Raises
    ------
    PanelError
        If the groups do not fit the descriptors, or the background is not laid out like X, holds an explained row or
        a date that is not before the first date of X.
    ValueError
        If max_evals allows for no pair of orders.
    TypeError, UnsupportedLayerError
        If the model cannot be explained.

    Examples
    --------
    >>> from skdrfm import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> from skdrfm.inspection import group_shapley
    >>> X, y = make_factor_panel(n_dates=12, n_assets=10, n_descriptors=3, random_state=0)
    >>> dates = X.index.get_level_values("date")
    >>> train, test = X[dates < dates[100]], X[dates >= dates[100]]
    >>> model = LinearFactorRegressor().fit(train, y[train.index])
    >>> shapley = group_shapley(model, test, train, {"Risk": ["60VOL", "BETA"], "Skewness": ["SKEW"]})
    >>> shapley
    GroupShapley(n_samples=20, n_players=2, is_exact=True)
    >>> bool(abs(shapley.additivity_gap).max() < 1e-12)
    True
    """
    subject = subject_of(model, X, output, dtype)
    return shapley_of_groups(
        subject,
        subject.background(background),
        groups,
        by_lag=by_lag,
        max_evals=max_evals,
        seed=draw_seed(random_state),
    )


def shapley_of_groups(
    subject: Subject, background: FloatArray, groups: Groups, *, by_lag: bool, max_evals: int, seed: int
) -> GroupShapley:
    """Compute `group_shapley` of a resolved model and a checked background."""
    rows = subject.rows
    rows[:1].by_group(groups)  # one row is enough for the explanation to check that the groups fit
    players, player_of_cell = _players(groups, rows.descriptor_names, rows.lags, by_lag=by_lag)
    worth = _Worth(subject.forward.predict, subject.data, background, player_of_cell)
    n_players = len(players)
    is_exact = 2**n_players <= max_evals
    if is_exact:
        values, n_coalitions = _enumerated(worth, n_players), 2**n_players
    else:
        values, n_coalitions = _sampled(worth, n_players, max_evals, np.random.default_rng(seed))
    return GroupShapley(values, worth.full, worth.empty, players, rows.index, n_coalitions, is_exact)


def _players(groups: Groups, names: Sequence[str], lags: Sequence[int], *, by_lag: bool) -> tuple[pd.Index, IntArray]:
    """Names of the players, and the player of each flat cell, oldest lag first."""
    group_of = {name: i for i, members in enumerate(groups.values()) for name in members}
    # A group without descriptors is a player without cells, worth 0.
    one_lag = np.array([group_of[name] for name in names], dtype=np.intp)
    steps = np.arange(len(lags))[:, np.newaxis] * len(groups) if by_lag else np.zeros((len(lags), 1), dtype=np.intp)
    labels = pd.Index(list(groups), name="group")
    if by_lag:
        labels = pd.MultiIndex.from_tuples([(group, lag) for lag in lags for group in groups], names=["group", "lag"])
    return labels, (steps + one_lag).ravel()


class _Worth:
    """The worth of coalitions: mean predictions with the values of a row in place of those of the background."""

    def __init__(self, predict: Predict, data: FloatArray, background: FloatArray, player_of_cell: IntArray) -> None:
        self.predict, self.data, self.background, self.player_of_cell = predict, data, background, player_of_cell
        self.full = predict(data)
        self.empty = float(predict(background).mean())

    def of(self, rows: slice, coalitions: BoolArray) -> FloatArray:
        """Worth of coalitions (n_rows or 1, n_coalitions, n_players), of shape (n_rows, n_coalitions)."""
        x = self.data[rows]
        n_background, n_cells = self.background.shape
        worths = np.empty((len(x), coalitions.shape[1]))
        step = max(1, _ROWS_AT_ONCE // (len(x) * n_background))
        for start in range(0, coalitions.shape[1], step):
            known = coalitions[:, start : start + step, self.player_of_cell]
            mixed = np.where(known[:, :, np.newaxis], x[:, np.newaxis, np.newaxis], self.background)
            predictions = self.predict(mixed.reshape(-1, n_cells))
            worths[:, start : start + step] = predictions.reshape(*mixed.shape[:3]).mean(axis=2)
        return worths

    def blocks(self, n_coalitions: int) -> list[slice]:
        """Slices of rows whose coalitions are computed together."""
        n_rows = max(1, _ROWS_AT_ONCE // max(1, n_coalitions * len(self.background)))
        return [slice(start, start + n_rows) for start in range(0, len(self.data), n_rows)]


def _enumerated(worth: _Worth, n_players: int) -> FloatArray:
    members = (np.arange(2**n_players)[:, np.newaxis] >> np.arange(n_players)) & 1 == 1
    sizes = members.sum(axis=1)
    # |S|! (P - |S| - 1)! / P! by size, for the coalition with a player and for the one without.
    weights = np.array([1 / (n_players * comb(n_players - 1, size)) for size in range(n_players)])
    signed = np.where(members, weights[sizes - 1, np.newaxis], -weights[sizes % n_players, np.newaxis])
    values = np.empty((len(worth.data), n_players))
    partial = members[np.newaxis, 1:-1]
    for rows in worth.blocks(partial.shape[1]):
        values[rows] = worth.of(rows, partial) @ signed[1:-1]
    values += worth.full[:, np.newaxis] * signed[-1] + worth.empty * signed[0]
    return values


def _sampled(worth: _Worth, n_players: int, max_evals: int, rng: np.random.Generator) -> tuple[FloatArray, int]:
    """Mean gains over orders, each with its reverse, which cancels the errors of pairwise interactions."""
    n_pairs = max_evals // (2 * (n_players - 1))
    if not n_pairs:
        raise ValueError(
            f"'max_evals' must be at least {2 * (n_players - 1)}, for one order of {n_players} players and its "
            f"reverse. Got {max_evals}. Pass more, or fewer groups."
        )
    n_samples = len(worth.data)
    n_coalitions = 2 * n_pairs * (n_players - 1)
    values = np.empty((n_samples, n_players))
    for rows in worth.blocks(n_coalitions):
        n_rows = len(worth.data[rows])
        # Drawn row after row, so that the rows of a block do not depend on its size.
        forward = rng.permuted(np.broadcast_to(np.arange(n_players), (n_rows, n_pairs, n_players)), axis=2)
        orders = np.concatenate([forward, forward[:, :, ::-1]], axis=1)
        places = np.argsort(orders, axis=2)
        known = places[:, :, np.newaxis] < np.arange(1, n_players)[:, np.newaxis]
        worths = worth.of(rows, known.reshape(n_rows, n_coalitions, n_players))
        path = np.empty((n_rows, 2 * n_pairs, n_players + 1))
        path[:, :, 0], path[:, :, -1] = worth.empty, worth.full[rows, np.newaxis]
        path[:, :, 1:-1] = worths.reshape(n_rows, 2 * n_pairs, n_players - 1)
        values[rows] = np.take_along_axis(np.diff(path, axis=2), places, axis=2).mean(axis=1)
    return values, n_coalitions
