"""The seven models that the paper compares."""

from typing import Any

from sklearn.ensemble import RandomForestRegressor
from sklearn.svm import SVR

from skdrfm.factor_model._deep import DeepFactorRegressor
from skdrfm.factor_model._linear import LinearFactorRegressor
from skdrfm.factor_model._recurrent import DeepRecurrentFactorRegressor


def paper_models(random_state: Any = None, *, select_hidden_units: bool = False) -> dict[str, Any]:
    """Make the seven models of Nakagawa et al. (2019), Table 4, in its order.

    LSTM and LSTM+LRP are the same network with two ways to predict, and so are DNN and DNN+LRP: with one integer
    random_state they train the same weights, and `run_study` trains them once.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Given to the networks and the random forest.
    select_hidden_units : bool, default=False
        Whether the DNN rows choose among 1 to 5 layers of 40 or 80 units on the validation part in every window,
        as the paper does (ten trainings), instead of two layers of 80.

    Returns
    -------
    dict of str to estimator
        Unfitted estimators by the names of the table: LSTM, LSTM+LRP, DNN, DNN+LRP, Linear, SVR, Random forest.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, Tables 3 and 4.

    Examples
    --------
    >>> from skdrfm import paper_models
    >>> list(paper_models())
    ['LSTM', 'LSTM+LRP', 'DNN', 'DNN+LRP', 'Linear', 'SVR', 'Random forest']
    """
    hidden_units: Any = "select" if select_hidden_units else (80, 80)
    return {
        "LSTM": DeepRecurrentFactorRegressor(random_state=random_state),
        "LSTM+LRP": DeepRecurrentFactorRegressor(linearized=True, random_state=random_state),
        "DNN": DeepFactorRegressor(hidden_units, random_state=random_state),
        "DNN+LRP": DeepFactorRegressor(hidden_units, linearized=True, random_state=random_state),
        "Linear": LinearFactorRegressor(),
        "SVR": SVR(),
        "Random forest": RandomForestRegressor(random_state=random_state),
    }
