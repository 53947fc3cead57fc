"""What explainers are compared on: rows, a fast prediction of any rows like them, and an honest background."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import lrp, networks
from skdrfm._typing import AnyArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.explanation import Explanation
from skdrfm.inspection._explain import explain
from skdrfm.inspection._resolve import Inputs, as_network, last_step
from skdrfm.utils.validation import check_finite, describe_first

Predict = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, the rows whose predictions are explained, and what explainers ask of them.

    Parameters
    ----------
    model : estimator or keras.Model
        The whole model, as `skdrfm.explain` takes it.
    step : estimator or keras.Model
        Its last step, which predicts.
    X : DataFrame or ndarray of n_samples rows
        The rows, as the whole model reads them.
    rows : Explanation
        An explanation of them, for the inputs of the last step, their names, index and predictions.
    network : lrp.Network or None
        The network without an output activation; None for a linear model.
    predict : callable
        Function of flat inputs (n, n_timesteps * n_features) that gives n predictions. No Keras is called.
    output : int or None
        Which output unit of a Keras model is explained.
    dtype : {"float64", "float32"}
        Precision in which networks are computed.
    """

    model: Any
    step: Any
    X: Any
    rows: Explanation
    network: lrp.Network | None
    predict: Predict
    output: int | None = None
    dtype: str = "float64"

    @property
    def data(self) -> FloatArray:
        """Flat inputs of the last step in float64, of shape (n_samples, n_timesteps * n_features)."""
        return np.asarray(self.rows.data, dtype=np.float64).reshape(len(self.rows), -1)

    def background(self, background: Any) -> FloatArray:
        """Check a background, and lay it out as the last step reads it.

        Parameters
        ----------
        background : DataFrame or ndarray of n_background rows
            Rows as X has them.

        Returns
        -------
        ndarray of shape (n_background, n_timesteps * n_features)
            The rows after the earlier steps of a Pipeline, in float64.

        Raises
        ------
        PanelError
            If there are no rows, they are not laid out like X, one of them is a row of X, or their dates are not
            all before the first date of X.
        NonFiniteError
            If a value is NaN or infinite.
        """
        _check_layout(background, self.X)
        _check_rows_apart(background, self.X)
        _check_dates_before(background, self.X)
        _, inputs = last_step(self.model, Inputs.of(background))
        values = np.asarray(inputs.X)
        check_finite(values.reshape(len(values), -1), what="background", columns=inputs.names)
        return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def subject_of(model: Any, X: Any, output: int | None = None, dtype: str = "float64") -> Subject:
    """Resolve a model and its rows once, as `skdrfm.explain` does.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As `skdrfm.explain` takes it.
    X : DataFrame or ndarray
        Rows to explain.
    output : int, default=None
        Which output unit of a Keras model to explain.
    dtype : {"float64", "float32"}, default="float64"
        Precision in which networks are computed.

    Returns
    -------
    Subject
        The model with its rows.

    Raises
    ------
    PanelError
        If there are no rows.
    TypeError, UnsupportedLayerError
        If the model cannot be explained.
    """
    if isinstance(model, str | os.PathLike):
        model = networks.load_keras(model)
    if np.shape(X)[:1] == (0,):
        raise PanelError("X must have at least one row to explain. Got none. Explain some rows.")
    rows = explain(model, X, output=output, dtype=dtype)
    step, inputs = last_step(model, Inputs.of(X))
    network: lrp.Network | None = getattr(step, "network_", None)
    if networks.is_keras_model(step):
        network = as_network(step, inputs, output)
    if network is None:
        return Subject(model, step, X, rows, None, _table_predict(step, inputs), output, dtype)
    # Explained is what the output activation is applied to, as explain does.
    linear = replace(network, output_activation="linear")
    shape = rows.data.shape[1:]

    def predict(flat: FloatArray) -> FloatArray:
        predictions = lrp.predict(linear, flat.reshape(len(flat), *shape), dtype=np.dtype(dtype))
        return predictions.astype(np.float64, copy=False)  # else shap would compile for another type

    return Subject(model, step, X, rows, network, predict, output, dtype)


def _table_predict(step: Any, inputs: Inputs) -> Predict:
    columns = getattr(inputs.X, "columns", None)

    def predict(flat: FloatArray) -> FloatArray:
        # A model that was fitted on names asks for them.
        table = flat if columns is None else pd.DataFrame(flat, columns=columns, copy=False)
        return np.ravel(np.asarray(step.predict(table), dtype=np.float64))

    return predict


def _check_layout(background: Any, X: Any) -> None:
    shape, expected = np.shape(background), np.shape(X)
    if len(shape) != len(expected) or shape[1:] != expected[1:] or not shape[0]:
        raise PanelError(
            f"'background' must have rows like X, of shape (n_background, {', '.join(map(str, expected[1:]))}), at "
            f"least one. Got {shape}. Take rows of the training window: X_train.sample(100, random_state=0)."
        )
    columns, names = getattr(background, "columns", None), getattr(X, "columns", None)
    if columns is not None and names is not None and list(columns) != list(names):
        where = next(j for j in range(len(names)) if columns[j] != names[j])
        raise PanelError(
            "The columns of 'background' must be those of X, in the same order. Got "
            f"{columns[where]!r} instead of {names[where]!r} in column {where}. Select them: background[X.columns]."
        )


def _check_rows_apart(background: Any, X: Any) -> None:
    """Refuse rows that are explained: by their labels where these identify them, by their values elsewhere."""
    labels, explained = (getattr(rows, "index", None) for rows in (background, X))
    if isinstance(labels, pd.Index) and isinstance(explained, pd.Index):
        # Two tables that were numbered by themselves share labels without sharing rows.
        numbered = isinstance(labels, pd.RangeIndex) or isinstance(explained, pd.RangeIndex)
        if not numbered and labels.nlevels == explained.nlevels:
            shared = labels[labels.isin(explained)]
            if len(shared):
                raise PanelError(
                    f"'background' must hold no row that is explained. Got {len(shared)} rows of X: "
                    f"{describe_first(list(shared))}. Take rows of the training window alone."
                )
        if "date" in labels.names and "date" in explained.names:
            return  # labels and dates say which rows these are; two rows with the same values may be different ones
    known = set(_row_keys(X))
    n_same = sum(key in known for key in _row_keys(background))
    if n_same:
        raise PanelError(
            f"'background' must hold no row that is explained. Got {n_same} rows with the values of a row of X. Take "
            "rows of the training window alone."
        )


def _row_keys(rows: Any) -> list[bytes]:
    values: AnyArray = np.asarray(rows, dtype=np.float64) + 0.0  # no negative zeros
    flat = np.ascontiguousarray(values.reshape(len(values), -1))
    return [row.tobytes() for row in flat]


def _check_dates_before(background: Any, X: Any) -> None:
    dates = [
        index.get_level_values("date")
        for index in (getattr(background, "index", None), getattr(X, "index", None))
        if isinstance(index, pd.Index) and "date" in index.names
    ]
    if len(dates) < 2:
        return
    missing = sum(int(np.count_nonzero(part.isna())) for part in dates)
    if missing:
        raise PanelError(f"The rows of 'background' and X must have a date. Got {missing} rows without one. Drop them.")
    try:
        first = dates[1].min()
        late = dates[0][np.asarray(dates[0] >= first)].unique().sort_values()
    except TypeError as error:
        raise PanelError(
            f"The dates of 'background' and X must be of one type. Got {dates[0].dtype} and {dates[1].dtype}. Convert "
            "them, for example with pd.to_datetime."
        ) from error
    if len(late):
        raise PanelError(
            f"'background' must come from dates before the first date of X, {first}. Got {len(late)} dates that do "
            f"not: {describe_first(list(map(str, late)))}. Take rows of the training window: "
            "background[background.index.get_level_values('date') < first_date]."
        )
