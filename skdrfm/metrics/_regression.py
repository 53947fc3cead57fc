"""What is left of a return after the returns of known factors."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._frozen import frozen_series
from skdrfm.metrics._inference import LAG_CONSTRAINTS, checked_lags
from skdrfm.metrics._validation import as_return_series, numbers_of, validated
from skdrfm.utils._optional import import_optional
from skdrfm.utils._param_validation import Interval
from skdrfm.utils.validation import check_finite, describe_first

# Residuals below this share of the largest return are rounding and carry no standard error.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False, repr=False)
class AlphaBeta:
    """Regression of a return on the returns of factors.

    Numbers cannot be overwritten.

    Parameters
    ----------
    alpha : float
        Decimal return per period that the factors do not explain.
    alpha_annualised : float
        P times alpha, not compounded.
    betas : Series of shape (n_factors,)
        Slope on each factor.
    standard_errors, t_values, p_values : Series of shape (n_factors + 1,)
        Of ``"alpha"``, per period, and of each beta; p-values are two-sided.
    r_squared : float
        Share of the variance that the factors explain; NaN if all returns are equal.
    n_dates : int
        Dates of the regression.
    n_lags : int
        Lags of the Newey-West standard errors.
    """

    alpha: float
    alpha_annualised: float
    betas: "pd.Series[Any]"
    standard_errors: "pd.Series[Any]"
    t_values: "pd.Series[Any]"
    p_values: "pd.Series[Any]"
    r_squared: float
    n_dates: int
    n_lags: int

    def to_frame(self) -> pd.DataFrame:
        """One row for alpha and for each beta.

        Returns
        -------
        DataFrame of shape (n_factors + 1, 4)
            Columns ``coefficient`` (alpha per period), ``standard_error``, ``t_value`` and ``p_value``.
        """
        columns = {
            "coefficient": np.append(self.alpha, self.betas.to_numpy()),
            "standard_error": self.standard_errors.to_numpy(),
            "t_value": self.t_values.to_numpy(),
            "p_value": self.p_values.to_numpy(),
        }
        return pd.DataFrame(columns, index=self.t_values.index)

    def __repr__(self) -> str:
        betas = ", ".join(f"{name}: {beta:.4g}" for name, beta in self.betas.items())
        return (
            f"AlphaBeta(alpha_annualised={self.alpha_annualised:.4g}, t={self.t_values.iloc[0]:.4g}, "
            f"betas={{{betas}}}, r_squared={self.r_squared:.4g}, n_dates={self.n_dates}, n_lags={self.n_lags})"
        )


@validated({"periods_per_year": [Interval(Real, 0, None, closed="neither")], **LAG_CONSTRAINTS})
def alpha_beta(
    returns: "pd.Series[Any]",
    factors: "pd.DataFrame | pd.Series[Any]",
    *,
    periods_per_year: float,
    n_lags: int | None = None,
) -> AlphaBeta:
    """Alpha and betas of a return against benchmark factors.

    Ordinary least squares of ``r_t = alpha + sum_k beta_k f_kt + e_t`` with the standard errors of Newey and West
    (1987), Bartlett weights and no correction for small samples; p-values from Student's t of T - K - 1 degrees of
    freedom. Needs statsmodels.

    Parameters
    ----------
    returns : Series of shape (n_dates,), indexed by date
        Decimal return per period (0.01 = 1 %); excess returns, or returns of a portfolio that costs nothing to hold.
        Dates increase; at least K + 2 of them.
    factors : DataFrame of shape (n_factor_dates, n_factors) or Series, indexed by date
        Decimal excess returns of the factors in columns. Every date of returns must be there; others are not used.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.
    n_lags : int, default=None
        Lags of the standard errors, below the number of dates. None means ``floor(4 (T/100)^(2/9))``.

    Returns
    -------
    AlphaBeta
        Coefficients with their standard errors, t and p-values. An alpha with t beyond 2 is not explained by the
        factors. Standard errors, t and p-values are NaN where the factors explain all returns up to rounding.

    Raises
    ------
    PanelError
        If dates are missing, repeat or do not increase, there are too few, or a factor is constant, a combination of
        others or named ``"alpha"``.
    NonFiniteError
        If a number that is used is NaN or infinite.
    MissingDependencyError
        If statsmodels is not installed.

    Notes
    -----
    A date must mean the same period on both sides. Portfolio returns of this package stand at the date t of the
    prediction and are earned over (t, t+1]; data libraries store the factor return of that period at t+1. Shift them
    first: ``factors.shift(-1)``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.metrics import alpha_beta
    >>> market = pd.Series([0.02, -0.01, 0.03, 0.00, 0.01], index=range(5), name="market")
    >>> returns = pd.Series([0.021, 0.004, 0.025, 0.012, 0.013], index=range(5))
    >>> alpha_beta(returns, market, periods_per_year=12, n_lags=0).to_frame().round(3)
            coefficient  standard_error  t_value  p_value
    alpha          0.01           0.001   12.118    0.001
    market         0.51           0.028   18.099    0.000
    """
    api = import_optional("statsmodels.api", extra="statistics", purpose="regress returns on factors")
    target, explaining, names = _joined(returns, factors)
    n_dates = len(target)
    lags = int(checked_lags(n_lags, n_dates))
    # Factors enter in units of their largest value: statsmodels takes small singular values for none.
    unit = np.append(1.0, np.abs(explaining).max(axis=0))
    design = np.column_stack([np.ones(n_dates), explaining]) / unit
    fit = api.OLS(target, design).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}, use_t=True)
    terms = pd.Index(["alpha", *names], tupleize_cols=False)
    exact = np.abs(fit.resid).max() <= _ROUNDING * np.abs(target).max()
    errors, t_values, p_values = (
        np.full((3, len(terms)), np.nan) if exact else (fit.bse / unit, fit.tvalues, fit.pvalues)
    )
    alpha = float(fit.params[0])
    betas = fit.params[1:] / unit[1:]
    return AlphaBeta(
        alpha=alpha,
        alpha_annualised=float(periods_per_year * alpha),
        betas=frozen_series(betas, terms[1:], name="beta"),
        standard_errors=frozen_series(errors, terms, name="standard_error"),
        t_values=frozen_series(t_values, terms, name="t_value"),
        p_values=frozen_series(p_values, terms, name="p_value"),
        r_squared=float("nan") if target.min() == target.max() else float(fit.rsquared),
        n_dates=n_dates,
        n_lags=lags,
    )


def _joined(returns: Any, factors: Any) -> tuple[FloatArray, FloatArray, list[Any]]:
    """Bring returns and factors of the same dates together, with the names of the factors."""
    if not isinstance(returns, pd.Series) or not isinstance(factors, pd.DataFrame | pd.Series):
        raise PanelError(
            "returns must be a Series and factors a DataFrame or a Series, both indexed by date. "
            f"Got {type(returns).__name__} and {type(factors).__name__}. Give them their dates: "
            "pd.Series(returns, index=dates)."
        )
    table = (
        factors.to_frame("factor" if factors.name is None else factors.name)
        if isinstance(factors, pd.Series)
        else factors
    )
    target = as_return_series(returns)
    if not (returns.index.is_monotonic_increasing and returns.index.is_unique and table.index.is_unique):
        raise PanelError(
            "The dates of returns must increase and no date may repeat, in factors neither. "
            "Sort them with sort_index() and drop repeated dates."
        )
    rows = table.index.get_indexer(returns.index)
    absent = returns.index[rows < 0]
    if len(absent):
        hint = " Check that both use the same type of dates." if len(absent) == len(returns) else ""
        raise PanelError(
            f"factors must have a row for each date of returns. Got none for {len(absent)} of {len(returns)} dates: "
            f"{describe_first(absent.tolist())}.{hint} Leave these dates out on purpose: "
            "returns[returns.index.isin(factors.index)]."
        )
    names = list(table.columns)
    if len(target) < len(names) + 2:
        raise PanelError(
            f"{len(names)} factors need at least {len(names) + 2} dates. Got {len(target)}. "
            "Pass a longer series or fewer factors."
        )
    explaining = numbers_of(table, name="factors")[rows]
    check_finite(explaining, what="factors", columns=names)
    _check_independent(explaining, names)
    return target, explaining, names


def _check_independent(factors: FloatArray, names: list[Any]) -> None:
    """Refuse factors whose slopes cannot be told apart, from each other or from alpha."""
    if not names or "alpha" in names or len(set(names)) < len(names):
        raise PanelError(
            f"factors must have at least one column, different names and none called 'alpha'. Got {names}. Rename them."
        )
    deviations = factors - factors.mean(axis=0)
    scale = np.abs(factors).max(axis=0)
    standardised = deviations / np.where(scale > 0, scale, 1.0)
    if np.linalg.matrix_rank(standardised, tol=1e-10 * np.sqrt(len(factors))) < len(names):
        raise PanelError(
            f"factors must vary and none may be a combination of the others. Got {names}, whose slopes cannot be "
            "told apart. Leave one out."
        )
