"""Shape and tail of the returns of one series.

Losses are positive here: a value at risk of 0.05 says that 5 % of the capital is lost. All figures are per period and
none is annualised, because a tail does not grow with the root of time.
"""

import math
import warnings
from numbers import Real
from statistics import NormalDist
from typing import Any

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.exceptions import SkdrfmWarning
from skdrfm.metrics._validation import as_return_series, validated
from skdrfm.utils._param_validation import Interval, StrOptions

# Below one half a level would name the share of bad periods (0.05) instead of the good ones (0.95): a slip, not a wish.
_TAIL = {
    "level": [Interval(Real, 0.5, 1, closed="left")],
    "method": [StrOptions({"historical", "gaussian", "cornish_fisher"})],
}
_NORMAL = NormalDist()


def hit_rate(returns: Any) -> float:
    """Share of periods with a return above 0.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %).

    Returns
    -------
    float
        Share in [0, 1]. A return of exactly 0 is no hit, and it counts as a period.

    Raises
    ------
    PanelError
        If there is no return.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import hit_rate
    >>> hit_rate([0.02, -0.01, 0.0, 0.01])
    0.5
    """
    return float(np.mean(as_return_series(returns) > 0))


@validated({"bias_corrected": ["boolean"]})
def skewness(returns: Any, *, bias_corrected: bool = True) -> float:
    """Skewness: below 0 the large surprises are losses.

    With the moments ``m_k = mean((r - mean(r))^k)`` the population skewness is ``g1 = m_3 / m_2^(3/2)``; corrected for
    bias it is ``G1 = g1 sqrt(T (T - 1)) / (T - 2)`` (Joanes and Gill 1998), the one of pandas and of spreadsheets.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 3 of them, or 2 without correction.
    bias_corrected : bool, default=True
        True gives G1; False gives g1, which enters formulas such as the error of a Sharpe ratio.

    Returns
    -------
    float
        Skewness without unit, 0 for symmetric returns. NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are too few returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import skewness
    >>> round(skewness([0.01, 0.02, 0.03, -0.10]), 4)
    -1.8917
    >>> round(skewness([0.01, 0.02, 0.03, -0.10], bias_corrected=False), 4)
    -1.0921
    """
    values = as_return_series(returns, at_least=3 if bias_corrected else 2)
    n_periods = len(values)
    g1, _ = standardised_moments(values)
    return g1 * math.sqrt(n_periods * (n_periods - 1)) / (n_periods - 2) if bias_corrected else g1


@validated({"excess": ["boolean"], "bias_corrected": ["boolean"]})
def kurtosis(returns: Any, *, excess: bool = True, bias_corrected: bool = True) -> float:
    """Kurtosis: above the normal value large surprises are frequent.

    With the moments ``m_k = mean((r - mean(r))^k)`` the population excess kurtosis is ``g2 = m_4 / m_2^2 - 3``;
    corrected for bias it is ``G2 = ((T + 1) g2 + 6) (T - 1) / ((T - 2) (T - 3))`` (Joanes and Gill 1998), the one of
    pandas and of spreadsheets.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 4 of them, or 2 without correction.
    excess : bool, default=True
        True gives 0 for normal returns; False adds 3 (raw kurtosis), as formulas for the error of a Sharpe ratio ask.
    bias_corrected : bool, default=True
        True gives G2; False gives g2.

    Returns
    -------
    float
        Kurtosis without unit. NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are too few returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import kurtosis
    >>> round(kurtosis([0.01, 0.02, 0.03, -0.10]), 4)
    3.6421
    >>> round(kurtosis([0.01, 0.02, 0.03, -0.10], excess=False, bias_corrected=False), 4)
    2.2856
    """
    values = as_return_series(returns, at_least=4 if bias_corrected else 2)
    n_periods = len(values)
    figure = standardised_moments(values)[1] - 3
    if bias_corrected:
        figure = ((n_periods + 1) * figure + 6) * (n_periods - 1) / ((n_periods - 2) * (n_periods - 3))
    return figure if excess else figure + 3


@validated(_TAIL)
def value_at_risk(returns: Any, *, level: float = 0.95, method: str = "historical") -> float:
    """Loss that is not exceeded in a share ``level`` of the periods; positive is a loss.

    ``-q`` with q the quantile of the returns at ``1 - level``:

    - ``"historical"``: the observed return of rank ``ceil((1 - level) T)`` from the lowest, which is the method
      ``"inverted_cdf"`` of :func:`numpy.quantile`. Nothing is interpolated, so that the figure is a loss that
      occurred and stands on the same sample distribution as the historical :func:`conditional_value_at_risk`.
    - ``"gaussian"``: ``q = mu + sigma z`` with the mean, the standard deviation (ddof 1) and the normal quantile z.
    - ``"cornish_fisher"``: ``q = mu + sigma w(z)`` with ``w(z) = z + (z^2 - 1) S / 6 + (z^3 - 3 z) K / 24 -
      (2 z^3 - 5 z) S^2 / 36``, S and K the population skewness and excess kurtosis (Cornish and Fisher 1937; Maillard
      2012). It is a quantile function only where w increases. Where it falls somewhere between the outermost hundredth
      of the tail and the median, the figure is NaN and a warning gives the moments. Farther out it may fall, as it
      does for each sample with thinner tails than normal: too little probability is left there to matter.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %); at least 2 of them for the last two methods.
    level : float, default=0.95
        Share of periods that are no worse, in [0.5, 1).
    method : {"historical", "gaussian", "cornish_fisher"}, default="historical"
        How the tail is estimated.

    Returns
    -------
    float
        Decimal loss per period, not annualised: 0.05 is a loss of 5 %, a negative value a gain even then.

    Raises
    ------
    PanelError
        If there are too few returns.
    NonFiniteError
        If a return is NaN or infinite.

    Warns
    -----
    SkdrfmWarning
        If the Cornish-Fisher expansion is no quantile function for these returns.

    Examples
    --------
    >>> from skdrfm.metrics import value_at_risk
    >>> returns = [-0.05, -0.03, -0.01, 0.0, 0.01, 0.02, 0.02, 0.03, 0.04, 0.06]
    >>> value_at_risk(returns, level=0.8)
    0.03
    >>> round(value_at_risk(returns, level=0.8, method="gaussian"), 4)
    0.0186
    """
    return _tail_losses(returns, level, method, name="value_at_risk")[0]


@validated(_TAIL)
def conditional_value_at_risk(returns: Any, *, level: float = 0.95, method: str = "historical") -> float:
    """Mean loss over the worst ``1 - level`` of the probability (expected shortfall); positive is a loss.

    Never below :func:`value_at_risk` of the same level and method:

    - ``"historical"``: exact for the sample, ``VaR + sum_t max(-r_t - VaR, 0) / k`` with ``k = (1 - level) T``
      (Rockafellar and Uryasev 2002). Where k is a whole number this is the mean of the k largest losses; otherwise the
      next one enters with the part that is missing.
    - ``"gaussian"``: ``-mu + sigma phi(z) / (1 - level)`` with the normal density phi.
    - ``"cornish_fisher"``: the exact mean of the expansion over the tail, ``-mu + sigma phi(z) / (1 - level) (1 +
      z S / 6 + (z^2 - 1) K / 24 - (2 z^2 - 1) S^2 / 36)``; NaN with a warning where :func:`value_at_risk` is NaN.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %); at least 2 of them for the last two methods.
    level : float, default=0.95
        Share of probability that is left out, in [0.5, 1).
    method : {"historical", "gaussian", "cornish_fisher"}, default="historical"
        How the tail is estimated.

    Returns
    -------
    float
        Decimal loss per period, not annualised.

    Raises
    ------
    PanelError
        If there are too few returns.
    NonFiniteError
        If a return is NaN or infinite.

    Warns
    -----
    SkdrfmWarning
        If the Cornish-Fisher expansion is no quantile function for these returns.

    Examples
    --------
    >>> from skdrfm.metrics import conditional_value_at_risk
    >>> returns = [-0.05, -0.03, -0.01, 0.0, 0.01, 0.02, 0.02, 0.03, 0.04, 0.06]
    >>> round(conditional_value_at_risk(returns, level=0.8), 4)
    0.04
    >>> round(conditional_value_at_risk(returns, level=0.85), 4)  # (0.05 + 0.03 / 2) / 1.5
    0.0433
    """
    return _tail_losses(returns, level, method, name="conditional_value_at_risk")[1]


def standardised_moments(values: FloatArray) -> tuple[float, float]:
    """Return population skewness and raw kurtosis, NaN if all values are equal."""
    if values.min() == values.max():
        return math.nan, math.nan  # the rounded mean of equal numbers may differ from them
    # In units of the largest deviation powers neither overflow nor vanish.
    e = values - values.mean()
    e = e / np.abs(e).max()
    m2 = np.mean(e**2)
    return float(np.mean(e**3) / m2**1.5), float(np.mean(e**4) / m2**2)


def sharpe_variance(sr: float, g3: float, g4: float) -> float:
    """``1 - g3 SR + (g4 - 1) / 4 SR^2``: variance of an estimated Sharpe ratio times the number of periods.

    Population moments obey ``g4 >= 1 + g3^2``, so that it is at least ``(1 - g3 SR / 2)^2`` but for rounding.
    """
    return max(1 - g3 * sr + (g4 - 1) / 4 * sr**2, 0.0)


def _tail_losses(returns: Any, level: float, method: str, *, name: str) -> tuple[float, float]:
    """Value at risk and conditional value at risk, the second as the first plus a sum of losses beyond it.

    In this form rounding cannot put the second below the first.
    """
    if method == "historical":
        return _historical_tail(as_return_series(returns), level)
    values = as_return_series(returns, at_least=2)
    if values.min() == values.max():
        return -float(values[0]), -float(values[0])
    s, k = 0.0, 0.0
    if method == "cornish_fisher":
        s, raw = standardised_moments(values)
        k = raw - 3
    z, lowest = _NORMAL.inv_cdf(1 - level), _NORMAL.inv_cdf((1 - level) / 100)
    if not _increases_between(lowest, 0.0, s, k):
        warnings.warn(
            f"The Cornish-Fisher expansion is no quantile function for these returns (skewness {s:.2f}, excess "
            f"kurtosis {k:.2f}): it falls between the lower tail and the median. {name} is NaN. "
            "Use method='historical' or 'gaussian'.",
            SkdrfmWarning,
            stacklevel=4,
        )
        return math.nan, math.nan
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    quantile = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
    # Hermite polynomials integrate to the one below times the density: this is the mean of w(Z) given Z <= z.
    tail_mean = -_NORMAL.pdf(z) / (1 - level) * (1 + z * s / 6 + (z**2 - 1) * k / 24 - (2 * z**2 - 1) * s**2 / 36)
    var = -(mean + deviation * quantile)
    return var, var + deviation * max(quantile - tail_mean, 0.0)


def _historical_tail(values: FloatArray, level: float) -> tuple[float, float]:
    k = (1 - level) * len(values)
    # 1 - 0.95 is a little more than 0.05: without this 20 periods would have a tail of more than one.
    if math.isclose(k, round(k), rel_tol=1e-9):
        k = round(k)
    rank = math.ceil(k)
    worst = np.partition(values, rank - 1)[:rank]
    return -float(worst[-1]), -float(worst[-1]) + float(np.sum(worst[-1] - worst)) / k


def _increases_between(low: float, high: float, s: float, k: float) -> bool:
    """Tell whether the Cornish-Fisher expansion never falls from low to high.

    Its slope is a parabola in z, so its lowest value is at an end or at the vertex.
    """
    a, b, c = k / 8 - s**2 / 6, s / 3, 1 - k / 8 + 5 * s**2 / 36
    places = [low, high]
    if a > 0 and low < -b / (2 * a) < high:
        places.append(-b / (2 * a))
    return all(a * z**2 + b * z + c >= 0 for z in places)
