"""What there is to explain: the last step of a model, and its inputs with their names and rows."""

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from skdrfm import lrp, networks
from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import lag_layout
from skdrfm.utils.validation import check_finite


@dataclass(frozen=True)
class Inputs:
    """Rows to explain, with the column names and the index that arrays lose on their way through a Pipeline.

    Parameters
    ----------
    X : DataFrame or ndarray
        The rows, as the model reads them.
    names : tuple of str or None
        Names of flat columns.
    index : Index or None
        Labels of the rows.
    """

    X: Any
    names: tuple[str, ...] | None = None
    index: pd.Index | None = None

    @classmethod
    def of(cls, X: Any, before: Self | None = None) -> Self:
        """Read names and index from X, or else keep those of the inputs before it was transformed."""
        names, index = getattr(X, "columns", None), getattr(X, "index", None)
        return cls(
            X,
            None if names is None else tuple(map(str, names)),
            index if isinstance(index, pd.Index) else None if before is None else before.index,
        )

    def sequences(
        self, n_timesteps: int | None, n_features: int | None
    ) -> tuple[FloatArray, tuple[str, ...] | None, tuple[int, ...] | None]:
        """Lay the rows out as (n_samples, n_timesteps, n_features), with descriptor names and lags where known.

        Parameters
        ----------
        n_timesteps, n_features : int or None
            Shape that the model reads; None: what the column names say, else one time step.

        Returns
        -------
        tuple
            Data, names of the descriptors and lags; None where there are no names.

        Raises
        ------
        PanelError
            If the rows do not have this shape.
        NonFiniteError
            If a value is NaN or infinite.
        """
        values = np.asarray(self.X)
        if values.ndim not in (2, 3):
            raise PanelError(
                "X must be a table (n_samples, n_columns), or sequences (n_samples, n_timesteps, n_features). Got "
                f"{type(self.X).__name__} of shape {values.shape}. Build X with skdrfm.stack_lags."
            )
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        check_finite(values.reshape(len(values), int(np.prod(values.shape[1:]))), what="X", columns=self.names)
        layout = None if self.names is None else lag_layout(list(self.names))
        if n_timesteps is None or n_features is None:
            shape = values.shape[1:] if values.ndim == 3 else (1, values.shape[-1])
            n_timesteps, n_features = shape if layout is None else (layout.n_timesteps, len(layout.descriptor_names))
        n_columns = n_timesteps * n_features
        if values.shape[1:] not in ((n_columns,), (n_timesteps, n_features)):
            raise PanelError(
                f"X must have shape (n_samples, {n_timesteps}, {n_features}), or {n_columns} flat columns, oldest lag "
                f"first, as the model reads them. Got {values.shape}. Build X with skdrfm.stack_lags."
            )
        data = values.reshape(len(values), n_timesteps, n_features)
        if layout is not None and (layout.n_timesteps, len(layout.descriptor_names)) == (n_timesteps, n_features):
            return data, layout.descriptor_names, layout.lags
        if self.names is not None and n_timesteps == 1:
            return data, self.names, None
        if layout is not None:
            raise PanelError(
                f"The columns of X must be {n_timesteps} lags of {n_features} descriptors, as the model reads them. "
                f"Got names of {layout.n_timesteps} lags of {len(layout.descriptor_names)}. Select the columns that "
                "the model was fitted on."
            )
        return data, None, None


def last_step(model: Any, inputs: Inputs) -> tuple[Any, Inputs]:
    """Follow searches and Pipelines to the model that predicts, and X to what it is given.

    Parameters
    ----------
    model : estimator, keras.Model or path
        What `explain` was given; a path of a ``.keras`` file is loaded, and a wrapper of scikeras opened.
    inputs : Inputs
        Its rows.

    Returns
    -------
    tuple of model and Inputs
        The last step, and its rows.
    """
    while True:
        if isinstance(model, str | os.PathLike):
            model = networks.load_keras(model)
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, Pipeline):
            before = model[:-1]
            if len(before):
                inputs = _transform(before, inputs)
            model = model[-1]
        elif not hasattr(model, "explain") and networks.is_keras_model(getattr(model, "model_", None)):
            model = model.model_  # of scikeras; a factor model of ours would build its model anew to answer
        else:
            return model, inputs


def _transform(before: Pipeline, inputs: Inputs) -> Inputs:
    transformed = Inputs.of(before.transform(inputs.X), inputs)
    if transformed.names is not None:
        return transformed
    try:
        names = tuple(map(str, before.get_feature_names_out(inputs.names)))
    except (AttributeError, ValueError):  # a step that does not know its names
        return transformed
    if inputs.names is None:
        return transformed
    return Inputs(transformed.X, names, transformed.index)


def as_network(model: Any, inputs: Inputs, output: int | None = None) -> lrp.Network:
    """Turn a Keras model into a network of records; X tells the length of sequences where the model leaves it open."""
    n_timesteps = None
    if any(len(tensor.shape) == 3 and tensor.shape[1] is None for tensor in getattr(model, "inputs", None) or ()):
        shape = np.shape(inputs.X)
        layout = None if inputs.names is None else lag_layout(list(inputs.names))
        n_timesteps = shape[1] if len(shape) == 3 else None if layout is None else layout.n_timesteps
    network: lrp.Network = networks.canonize(model, output=output, n_timesteps=n_timesteps)
    return network
