"""The way to the plots of shap."""

import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from skdrfm.exceptions import PanelError
from skdrfm.panel._lags import column_names

if TYPE_CHECKING:
    from skdrfm.explanation._explanation import Explanation


def to_shap(explanation: "Explanation", by: str | None) -> Any:
    """Make a shap.Explanation of relevances, of single columns or summed `by` descriptor or lag."""
    n_samples, n_timesteps, n_features = explanation.loadings.shape
    if by is None:
        # The axes are those of the flat columns already: views, unless the inputs lie in memory in another order.
        values = explanation.values.reshape(n_samples, n_timesteps * n_features)
        data = explanation.data.reshape(n_samples, n_timesteps * n_features)
        names = column_names(explanation.descriptor_names, explanation.lags)
    elif by == "descriptor":
        values, data = explanation.values.sum(axis=1), explanation.data.mean(axis=1)
        names = list(explanation.descriptor_names)
    elif by == "lag":
        values, data = explanation.values.sum(axis=2), explanation.data.mean(axis=2)
        names = [f"lag{lag}" for lag in explanation.lags]
    else:
        raise PanelError(f"'by' must be None, 'descriptor' or 'lag'. Got {by!r}. For groups use by_group.")
    return _import_shap().Explanation(values=values, base_values=explanation.intercept, data=data, feature_names=names)


def _import_shap() -> ModuleType:
    """Import shap late: it takes seconds, and only its plots need it."""
    with warnings.catch_warnings():
        # While it is imported, shap calls functions that matplotlib will deprecate. That is nothing that callers can
        # mend, and where they have made warnings errors the import would fail.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap

    module: ModuleType = shap
    return module
