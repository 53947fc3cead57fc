"""What a walk found out: predictions, windows and explanations, put together from the arrays of the windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray
from skdrfm.explanation import Explanation
from skdrfm.lrp import LayerCoverage
from skdrfm.model_selection._windows import EXPLANATION_LABELS

INTERCEPT = "intercept"


@dataclass(frozen=True)
class WalkForwardResult:
    """Out-of-sample predictions of one model.

    Parameters
    ----------
    predictions : Series of shape (n_predictions,), indexed by (date, asset)
        Forecast of the forward return stored at each date, in units of y. Every test row occurs once. With several
        seeds the mean over the members of the ensemble.
    windows : DataFrame of shape (n_windows, 10)
        First and last dates, numbers of dates and rows of the training and test windows, ``fitted_in``, the number of
        the window whose fit made the predictions (the training columns are those of that fit), and ``fit_seconds``.
        Windows that were fitted side by side share their seconds equally; where no fit was made they are 0.
    explanation : Explanation or None
        Explanations of the predictions, in their order, if they were asked for in full.
    contributions : DataFrame of shape (n_predictions, n_groups + 1) or None
        If explanations were asked for by group: the contribution of each group of descriptors, and the column
        ``intercept``, in units of y. A row adds up to the prediction; for a model with ``linearized=True`` the groups
        alone do, since its predictions leave the intercept out.
    spread : Series of shape (n_predictions,) or None
        With several seeds the standard deviation over the members, with n_seeds - 1 in the denominator, in units of
        y. It shows what the random start of training adds to a forecast, and not how far the forecast is off.
    seed_predictions : DataFrame of shape (n_predictions, n_seeds) or None
        With several seeds the predictions of each member; column 0 has the random state of the model itself.
    """

    predictions: "pd.Series[float]"
    windows: pd.DataFrame
    explanation: Explanation | None = None
    contributions: pd.DataFrame | None = None
    spread: "pd.Series[float] | None" = None
    seed_predictions: pd.DataFrame | None = None

    def to_frame(self) -> pd.DataFrame:
        """Predictions as a table.

        Returns
        -------
        DataFrame of shape (n_predictions, 1) or (n_predictions, 2)
            Column ``prediction``, and with several seeds ``spread``, indexed by (date, asset).
        """
        frame = self.predictions.to_frame()
        return frame if self.spread is None else frame.assign(spread=self.spread)


def assemble(
    position: int,
    parts: Sequence[Mapping[str, AnyArray]],
    index: pd.Index,
    windows: pd.DataFrame,
    groups: Mapping[str, Sequence[str]] | None,
) -> WalkForwardResult:
    """Put the windows of one model together, in the order of the windows.

    Parameters
    ----------
    position : int
        Place of the model in its group of models that share a fit.
    parts : sequence of (mapping of str to ndarray)
        Arrays of each window, as made by `run_block`.
    index : Index of length n_samples
        Index of the panel.
    windows : DataFrame of shape (n_windows, 9)
        Windows and ``fitted_in``.
    groups : mapping of str to sequence of str or None
        Groups of the contributions.

    Returns
    -------
    WalkForwardResult
        Its arrays are read-only.
    """
    prefix = f"{position}/"

    def joined(name: str) -> AnyArray:
        array: AnyArray = np.concatenate([part[name] for part in parts])
        array.setflags(write=False)
        return array

    predicted = index[joined("test_rows")]
    found: dict[str, Any] = {}
    if f"{prefix}explanation/loadings" in parts[0]:
        found["explanation"] = Explanation.concatenate(
            [_explanation(part, f"{prefix}explanation/", index) for part in parts]
        )
    if f"{prefix}contributions" in parts[0]:
        columns = pd.Index([*(groups or ()), INTERCEPT], name="group")
        found["contributions"] = pd.DataFrame(
            joined(f"{prefix}contributions"), index=predicted, columns=columns, copy=False
        )
    if f"{prefix}seed_predictions" in parts[0]:
        by_seed = joined(f"{prefix}seed_predictions")
        spread = by_seed.std(axis=1, ddof=1)
        spread.setflags(write=False)
        columns = pd.RangeIndex(by_seed.shape[1], name="seed")
        found["spread"] = pd.Series(spread, index=predicted, name="spread", copy=False)
        found["seed_predictions"] = pd.DataFrame(by_seed, index=predicted, columns=columns, copy=False)
    return WalkForwardResult(
        predictions=pd.Series(joined(f"{prefix}predictions"), index=predicted, name="prediction", copy=False),
        windows=windows.assign(fit_seconds=[float(part["fit_seconds"]) for part in parts]),
        **found,
    )


def _explanation(part: Mapping[str, AnyArray], prefix: str, index: pd.Index) -> Explanation:
    """Rebuild the explanation of a window from its arrays."""
    found: dict[str, Any] = {
        name.removeprefix(prefix): array for name, array in part.items() if name.startswith(prefix)
    }
    labels = {name: found.pop(name) for name in EXPLANATION_LABELS}
    return Explanation(
        **found,
        index=index[part["test_rows"]],
        descriptor_names=tuple(str(name) for name in labels["descriptor_names"]),
        lags=tuple(int(lag) for lag in labels["lags"]),
        method=str(labels["method"]),
        coverage=tuple(LayerCoverage(*map(str, row)) for row in labels["coverage"]),
    )
