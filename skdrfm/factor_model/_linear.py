"""The linear factor model of the paper's comparison."""

from numbers import Integral
from typing import Any, ClassVar, Self

from sklearn.linear_model import LinearRegression

from skdrfm._typing import FloatArray
from skdrfm.explanation import Explanation, linear_explanation
from skdrfm.factor_model._base import BaseFactorRegressor, index_of
from skdrfm.utils._param_validation import Interval, fit_context


class LinearFactorRegressor(BaseFactorRegressor):
    """Ordinary least squares on lagged descriptors, explained in the same terms as the networks.

    Parameters
    ----------
    n_timesteps : int, default=None
        Number of lags in a row of two-dimensional X. None: what the column names ``"{descriptor}__lag{k}"`` say,
        axis 1 of three-dimensional X, else 1. It shapes explanations only.
    fit_intercept : bool, default=True
        Whether to estimate an intercept.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features_in_,)
        Loadings, the same for every row.
    intercept_ : float
        Intercept in units of y.
    n_timesteps_ : int
        Number of lags.
    descriptor_names_ : tuple of str
        Descriptors in each lag.
    lags_ : tuple of int
        Lags, oldest first.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, equation 1 and Table 3.

    Examples
    --------
    >>> from skdrfm import make_factor_panel
    >>> from skdrfm.factor_model import LinearFactorRegressor
    >>> X, y = make_factor_panel(n_dates=30, n_assets=20, n_descriptors=3, random_state=0)
    >>> explanation = LinearFactorRegressor().fit(X, y).explain(X)
    >>> bool(abs(explanation.conservation_gap).max() < 1e-12)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_timesteps": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
    }

    coef_: FloatArray
    intercept_: float

    def __init__(self, n_timesteps: int | None = None, *, fit_intercept: bool = True) -> None:
        self.n_timesteps = n_timesteps
        self.fit_intercept = fit_intercept

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Estimate the loadings by (weighted) least squares.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_timesteps * n_features), or ndarray of shape \
(n_samples, n_timesteps, n_features)
            Lagged descriptors, oldest lag first, as made by `stack_lags`.
        y : array-like of shape (n_samples,)
            Forward returns, decimal.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        NonFiniteError
            If X or y holds NaN or infinity.
        PanelError
            If y is not aligned to X, or the columns are not laid out oldest lag first.
        """
        values, target, weight = self._fit_input(X, y, sample_weight, self.n_timesteps)
        fitted = LinearRegression(fit_intercept=self.fit_intercept).fit(values, target, weight)
        self.coef_ = fitted.coef_
        self.intercept_ = float(fitted.intercept_)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Predict forward returns.

        Parameters
        ----------
        X : DataFrame or ndarray, as in fit
            Lagged descriptors.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predictions in units of y.
        """
        predictions: FloatArray = self._predict_input(X) @ self.coef_ + self.intercept_
        return predictions

    def explain(self, X: Any) -> Explanation:
        """Explain each prediction: loadings are the coefficients, the intercept is the model's.

        Parameters
        ----------
        X : DataFrame or ndarray, as in fit
            Lagged descriptors of the predictions to explain.

        Returns
        -------
        Explanation
            Loadings, relevances and intercept of each row, in the order of X.
        """
        values = self._predict_input(X)
        data = self._as_sequences(values)
        return linear_explanation(
            coefficients=self.coef_.reshape(data.shape[1:]),
            intercept=self.intercept_,
            data=data,
            index=index_of(X),
            descriptor_names=self.descriptor_names_,
            lags=self.lags_,
        )
