"""Drawing of the comparison of forecasts, each model with each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.metrics._diebold_mariano import DieboldMarianoResult, diebold_mariano
from skdrfm.panel._plot import count_of_dates, heat_cells, new_axes, number

# Colours are full from this statistic on at the earliest, so that small differences look small.
_FULL_COLOUR = 3.0


class DieboldMarianoDisplay:
    """Matrix of Diebold-Mariano statistics: blue and positive where the model of the column forecasts better.

    Parameters
    ----------
    result : DieboldMarianoResult
        Tests of each pair of models, see :func:`skdrfm.metrics.diebold_mariano`.
    level : float, default=0.05
        A statistic is bold and has a star where its p-value, adjusted for the number of pairs, is below it.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on, after :meth:`plot`.
    figure_ : matplotlib Figure
        Their figure, after :meth:`plot`.

    See Also
    --------
    DieboldMarianoDisplay.from_predictions : Make the display from predictions.

    References
    ----------
    Gu, Kelly and Xiu (2020), Table 3, here with both halves of the matrix.

    Examples
    --------
    >>> from skdrfm.metrics import DieboldMarianoDisplay
    >>> predictions = {"zero": [0.0, 0.0, 0.0, 0.0], "half": [0.005, 0.01, 0.0, 0.02]}
    >>> display = DieboldMarianoDisplay.from_predictions(
    ...     [0.01, 0.02, -0.01, 0.03], predictions, dates=[1, 2, 3, 4]
    ... )
    >>> display.to_frame().round(2)
                 statistic  p_value  adjusted_p_value
    row  column
    zero half         2.08     0.13              0.13
    """

    ax_: Any
    figure_: Any

    def __init__(self, result: DieboldMarianoResult, *, level: float = 0.05) -> None:
        self.result = result
        self.level = level

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        predictions: "Mapping[Any, Any] | pd.DataFrame",
        *,
        dates: Any = None,
        loss: str = "squared",
        horizon: int = 1,
        n_lags: int | None = None,
        level: float = 0.05,
    ) -> "DieboldMarianoDisplay":
        """Compare the forecasts of several models and make the display of the result.

        Parameters
        ----------
        y_true, predictions, dates, loss, horizon, n_lags
            As in :func:`skdrfm.metrics.diebold_mariano`.
        level : float, default=0.05
            Adjusted p-value below which a statistic is marked.

        Returns
        -------
        DieboldMarianoDisplay
            The display, not drawn yet.

        Raises
        ------
        PanelError
            As in :func:`skdrfm.metrics.diebold_mariano`.
        NonFiniteError
            If a value is NaN or infinite.
        """
        result = diebold_mariano(y_true, predictions, dates=dates, loss=loss, horizon=horizon, n_lags=n_lags)
        return cls(result, level=level)

    def plot(self, ax: Any = None) -> "DieboldMarianoDisplay":
        """Draw one cell for each pair of models; cells of a model with itself, or with its equal, are grey.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure that grows with the models.

        Returns
        -------
        DieboldMarianoDisplay
            The display itself, with ``ax_`` and ``figure_`` set.

        Raises
        ------
        PanelError
            If `level` is not between 0 and 1.
        """
        if not 0 < self.level < 1:
            raise PanelError(f"'level' must be between 0 and 1. Got {self.level!r}. Pass for example 0.05.")
        statistic = self.result.statistic
        names = [str(name) for name in statistic.columns]
        values = statistic.to_numpy(dtype=np.float64)
        # A comparison with NaN is false: a pair without a test is not marked.
        marked = self.result.adjusted_p_values.to_numpy(dtype=np.float64) < self.level
        longest = max(map(len, names))
        ax = new_axes(max(3.2, 1.9 + 0.4 * len(names) + 0.06 * longest)) if ax is None else ax
        texts = [[_text(*cell) for cell in zip(*row, strict=True)] for row in zip(values, marked, strict=True)]
        heat_cells(ax, values, texts, largest=float(np.nanmax(np.abs(values), initial=_FULL_COLOUR)), bold=marked)
        # Names side by side need about a tenth of an inch for each letter.
        slanted = longest * len(names) > 60
        ax.set_xticks(
            range(len(names)),
            names,
            rotation=35 if slanted else 0,
            ha="right" if slanted else "center",
            rotation_mode="anchor" if slanted else None,
        )
        ax.set_yticks(range(len(names)), names)
        ax.set_title(
            f"Diebold-Mariano statistic, {self.result.loss} loss, {count_of_dates(self.result.n_dates)}\n"
            f"(positive: the column is better; *: adjusted p < {100 * self.level:g} %)"
        )
        ax.set(xlabel="Model", ylabel="Compared with")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers of each pair.

        Returns
        -------
        DataFrame of shape (n_models * (n_models - 1) / 2, 3)
            Columns ``statistic``, ``p_value`` and ``adjusted_p_value``, indexed by ``row`` and ``column``.
        """
        return self.result.to_frame()


def _text(value: float, marked: bool) -> str:
    if np.isnan(value):
        return ""
    return number(value, 2) + ("*" if marked else "")
