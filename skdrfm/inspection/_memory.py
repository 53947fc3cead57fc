"""How long a recurrent model remembers: products of forget gates, as effective memory in months."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm import lrp
from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.inspection._resolve import Inputs, as_network, last_step
from skdrfm.networks import is_keras_model
from skdrfm.panel import dates_of


@dataclass(frozen=True, eq=False)
class LagMemory:
    """What is left, at the end of the sequence, of what each unit stored at each lag.

    Parameters
    ----------
    survival : ndarray of shape (n_samples, n_timesteps, n_units)
        Product of the forget gates of all steps that are read after a lag, oldest lag first: 1 for the lag that is
        read last, which for a backward layer is the oldest one. Read-only.
    units : MultiIndex of length n_units
        Levels ``layer``, ``direction`` ("forward" reads the oldest lag first) and ``unit``.
    lags : tuple of int of length n_timesteps
        Lag of each time step in periods, oldest first.
    index : Index of length n_samples or None
        Rows, usually (date, asset).

    See Also
    --------
    lag_memory : Make the profile of a fitted model.
    """

    survival: FloatArray
    units: pd.MultiIndex
    lags: tuple[int, ...]
    index: pd.Index | None = None

    def __post_init__(self) -> None:
        self.survival.setflags(write=False)

    def by_lag(self) -> pd.DataFrame:
        """Effective memory of each lag: its survival times the periods until the lag that is read next.

        A lag that survives in full counts with all the periods between it and the next one; the lag that is read last
        has none after it and counts 0. The sum over lags is the area under the survival curve.

        Returns
        -------
        DataFrame of shape (n_samples * n_timesteps, n_units)
            In periods (months), indexed by the rows and ``lag``.
        """
        months = self._months()
        n_samples, n_timesteps, n_units = months.shape
        index = self.index if self.index is not None else pd.RangeIndex(n_samples, name="sample")
        rows = index.repeat(n_timesteps).to_frame(index=False)
        rows["lag"] = np.tile(self.lags, n_samples)
        return pd.DataFrame(months.reshape(-1, n_units), index=pd.MultiIndex.from_frame(rows), columns=self.units)

    def total(self) -> pd.DataFrame:
        """Effective memory of each unit: the area under its survival curve.

        A unit that forgets nothing has the span of the lags, one that forgets everything at each step has 0.

        Returns
        -------
        DataFrame of shape (n_samples, n_units)
            In periods (months).
        """
        return pd.DataFrame(self._months().sum(axis=1), index=self.index, columns=self.units)

    def over_time(self) -> pd.DataFrame:
        """Effective memory of each unit at each date, the mean over the rows of the date.

        Returns
        -------
        DataFrame of shape (n_dates, n_units)
            In periods (months), by ascending date.

        Raises
        ------
        PanelError
            If the rows have no dates.
        """
        if self.index is None:
            raise PanelError(
                "over_time needs an index with a level named 'date'. Got rows without an index. Pass a DataFrame "
                "indexed by (date, asset)."
            )
        means: pd.DataFrame = self.total().groupby(dates_of(self.index)).mean()
        return means.rename_axis(index="date")

    def _months(self) -> FloatArray:
        gaps = np.abs(np.diff(self.lags))
        forward = np.asarray(self.units.get_level_values("direction") == "forward")
        ahead, back = np.append(gaps, 0), np.insert(gaps, 0, 0)  # until the lag read next, in each direction
        return self.survival * np.where(forward, ahead[:, np.newaxis], back[:, np.newaxis])

    def __repr__(self) -> str:
        n_samples, n_timesteps, n_units = self.survival.shape
        return f"LagMemory(n_samples={n_samples}, n_timesteps={n_timesteps}, n_units={n_units})"


def lag_memory(model: Any, X: Any, *, chunk_size: int = 2048) -> LagMemory:
    """Multiply the forget gates of a recurrent model over time (Arras et al. 2019, 1909.12114).

    Along the memory of a cell, relevance of a lag is multiplied with the forget gates of all later steps. Their
    product says, for each unit and each stock at each date, how much of a lag is left in the forecast.

    Parameters
    ----------
    model : estimator, keras.Model or path
        As for `explain`, with an LSTM, a GRU (whose update gate forgets) or an additive cell (which forgets nothing).
    X : DataFrame or ndarray
        Rows, as the model predicts them.
    chunk_size : int, default=2048
        Rows computed at a time.

    Returns
    -------
    LagMemory
        Survival of each lag in each unit, and effective memory in periods.

    Raises
    ------
    TypeError
        If the model is no network.
    UnsupportedLayerError
        If it has no memory with gates, or a layer is not supported.

    Examples
    --------
    >>> from skdrfm import DeepRecurrentFactorRegressor, make_factor_panel, stack_lags
    >>> from skdrfm.inspection import lag_memory
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> X, y = stack_lags(X, y, lags=(0, 3, 6))
    >>> model = DeepRecurrentFactorRegressor(units=2, epochs=1, random_state=0).fit(X, y)
    >>> memory = lag_memory(model, X)
    >>> memory
    LagMemory(n_samples=480, n_timesteps=3, n_units=4)
    >>> bool(memory.total().to_numpy().max() <= 6)
    True
    """
    model, inputs = last_step(model, Inputs.of(X))
    if is_keras_model(model):
        network = as_network(model, inputs)
    elif hasattr(model, "network_"):
        network = model.network_
    else:
        raise TypeError(
            f"The model must be a recurrent network. Got {type(model).__name__}. Use DeepRecurrentFactorRegressor or a "
            "Keras model."
        )
    data, _, known = inputs.sequences(network.n_timesteps, network.n_features)
    parts = lrp.survival(network, data, chunk_size=chunk_size)
    lags = known or tuple(getattr(model, "lags_", range(network.n_timesteps - 1, -1, -1)))
    units = [(part.layer, part.direction, unit) for part in parts for unit in range(part.values.shape[2])]
    return LagMemory(
        np.concatenate([part.values for part in parts], axis=2),
        pd.MultiIndex.from_tuples(units, names=["layer", "direction", "unit"]),
        lags,
        inputs.index,
    )
