"""Whether a Sharpe ratio could be luck: of a short history, or of many trials."""

from dataclasses import dataclass
from numbers import Real
from statistics import NormalDist
from typing import Any

import numpy as np

from skdrfm.exceptions import PanelError
from skdrfm.metrics._performance import PERIODS_CONSTRAINT
from skdrfm.metrics._risk import sharpe_variance, standardised_moments
from skdrfm.metrics._validation import as_return_series, as_values, validated
from skdrfm.utils._param_validation import Interval

_NORMAL = NormalDist()
_BENCHMARK = {"benchmark": [Interval(Real, None, None, closed="neither")]}


@dataclass(frozen=True)
class SharpeMoments:
    """What the distribution of an estimated Sharpe ratio depends on.

    Parameters
    ----------
    sharpe : float
        Sharpe ratio per period, ``mean(r) / std(r)`` with ddof 1.
    skewness, kurtosis : float
        Third and fourth standardised moments of the sample, without correction; the kurtosis is raw, 3 for normal
        returns.
    n_periods : int
        T.
    """

    sharpe: float
    skewness: float
    kurtosis: float
    n_periods: int

    @property
    def spread(self) -> float:
        """``sqrt(1 - g3 SR + (g4 - 1)/4 SR^2)``: standard error of the Sharpe ratio times ``sqrt(T - 1)``."""
        # Scores are divided by it, and for returns of two values alone it may be 0.
        variance = max(sharpe_variance(self.sharpe, self.skewness, self.kurtosis), np.finfo(np.float64).tiny)
        return float(np.sqrt(variance))

    def probability_above(self, benchmark: float) -> float:
        """Probability that the true Sharpe ratio per period is above a benchmark per period."""
        score = (self.sharpe - benchmark) * np.sqrt(self.n_periods - 1) / self.spread
        return _NORMAL.cdf(score)

    def periods_needed(self, benchmark: float, level: float) -> float:
        """Periods from which on the probability reaches the level; infinite if it never does."""
        if self.sharpe <= benchmark:
            return float("inf")
        return float(1 + (self.spread * _NORMAL.inv_cdf(level) / (self.sharpe - benchmark)) ** 2)


@validated({**_BENCHMARK, **PERIODS_CONSTRAINT})
def probabilistic_sharpe_ratio(returns: Any, *, benchmark: float = 0.0, periods_per_year: float) -> float:
    """Probability that the true Sharpe ratio is above a benchmark.

    ``Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2))`` with Sharpe ratios per period, the skewness g3
    and the raw kurtosis g4 of the sample (Bailey and Lopez de Prado 2012, section on the probabilistic Sharpe
    ratio). Returns are taken as independent over time.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2; excess returns, or returns of a portfolio that costs
        nothing to hold.
    benchmark : float, default=0.0
        Sharpe ratio per year to compare with.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        In [0, 1]; 0.95 and above is the usual bar for skill. NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import probabilistic_sharpe_ratio
    >>> returns = [0.01, 0.03, -0.02, 0.04, 0.02, 0.01]
    >>> round(probabilistic_sharpe_ratio(returns, periods_per_year=12), 4)
    0.8977
    >>> round(probabilistic_sharpe_ratio(returns, benchmark=1.0, periods_per_year=12), 4)
    0.7771
    """
    moments = _moments(returns)
    if moments is None:
        return float("nan")
    return moments.probability_above(benchmark / np.sqrt(periods_per_year))


@validated({**PERIODS_CONSTRAINT, "n_trials": [Interval(Real, 2, None, closed="left"), None]})
def deflated_sharpe_ratio(
    returns: Any, *, trial_sharpe_ratios: Any, periods_per_year: float, n_trials: float | None = None
) -> float:
    """Probability that the Sharpe ratio of the strategy chosen from many is above what luck would give the best.

    The probabilistic Sharpe ratio with the benchmark
    ``SR0 = sqrt(V) ((1 - g) PhiInv(1 - 1/N) + g PhiInv(1 - 1/(N e)))``, where V is the variance (ddof 1) of the Sharpe
    ratios of the N trials and g = 0.5772 is the constant of Euler and Mascheroni (Bailey and Lopez de Prado 2014,
    equations 1 and 2). SR0 is close to the largest Sharpe ratio that N independent trials without skill are
    expected to show.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %) of the chosen strategy, at least 2.
    trial_sharpe_ratios : array-like of shape (n_trials,)
        Sharpe ratio per year of every strategy that was tried over the same dates, the chosen one among them; at
        least 2. Trials that are left out make the figure too good.
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.
    n_trials : float, default=None
        N, at least 2: the number of independent trials, where it is not the number of Sharpe ratios because trials
        resemble each other.

    Returns
    -------
    float
        In [0, 1]; 0.95 and above is the usual bar for skill. NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns or trials, or the Sharpe ratio of ``returns`` is above that of all trials by
        more than rounding (1 %): it is not among them, or they are not per year.
    NonFiniteError
        If a number is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import deflated_sharpe_ratio
    >>> returns = [0.01, 0.03, -0.02, 0.04, 0.02, 0.01]
    >>> round(deflated_sharpe_ratio(returns, trial_sharpe_ratios=[2.49, 0.2, -1.1], periods_per_year=12), 4)
    0.6858
    """
    trials = as_values(trial_sharpe_ratios, name="trial_sharpe_ratios")
    if len(trials) < 2:
        raise PanelError(
            f"trial_sharpe_ratios must hold at least 2 trials. Got {len(trials)}. Pass the Sharpe ratios of all "
            "strategies that were tried; for one strategy alone use probabilistic_sharpe_ratio."
        )
    moments = _moments(returns)
    if moments is None:
        return float("nan")
    chosen, best = moments.sharpe * np.sqrt(periods_per_year), trials.max()
    if chosen > best and not np.isclose(chosen, best, rtol=0.01, atol=0.01):
        raise PanelError(
            f"trial_sharpe_ratios must be per year and contain that of returns ({chosen:.4g}). Got {best:.4g} at most. "
            "Pass those of all trials, the chosen one too; multiply Sharpe ratios per period by "
            "sqrt(periods_per_year)."
        )
    count = len(trials) if n_trials is None else n_trials
    g = np.euler_gamma
    luck = (1 - g) * _NORMAL.inv_cdf(1 - 1 / count) + g * _NORMAL.inv_cdf(1 - 1 / (count * np.e))
    return moments.probability_above(trials.std(ddof=1) / np.sqrt(periods_per_year) * luck)


@validated({**_BENCHMARK, **PERIODS_CONSTRAINT, "level": [Interval(Real, 0.5, 1, closed="left")]})
def minimum_track_record_length(
    returns: Any, *, benchmark: float = 0.0, level: float = 0.95, periods_per_year: float
) -> float:
    """Periods after which a Sharpe ratio like this one is above a benchmark with a given probability.

    ``1 + (1 - g3 SR + (g4 - 1)/4 SR^2) (PhiInv(level) / (SR - SR*))^2`` with Sharpe ratios per period (Bailey and
    Lopez de Prado 2012, section on the track record length): the T at which the probabilistic Sharpe ratio reaches
    the level.

    Parameters
    ----------
    returns : Series or ndarray of shape (n_dates,)
        Decimal return per period (0.01 = 1 %), at least 2; excess returns, or returns of a portfolio that costs
        nothing to hold.
    benchmark : float, default=0.0
        Sharpe ratio per year to compare with.
    level : float, default=0.95
        Probability to reach, in [0.5, 1).
    periods_per_year : float
        P: 12 for months, 52 for weeks, 252 for trading days.

    Returns
    -------
    float
        In periods, not rounded: a record is long enough if it has at least as many. Infinite if the Sharpe ratio is
        not above the benchmark, NaN if all returns are equal.

    Raises
    ------
    PanelError
        If there are fewer than 2 returns.
    NonFiniteError
        If a return is NaN or infinite.

    Examples
    --------
    >>> from skdrfm.metrics import minimum_track_record_length
    >>> returns = [0.01, 0.03, -0.02, 0.04, 0.02, 0.01]
    >>> round(minimum_track_record_length(returns, periods_per_year=12), 2)
    9.41
    """
    moments = _moments(returns)
    if moments is None:
        return float("nan")
    return moments.periods_needed(benchmark / np.sqrt(periods_per_year), level)


def _moments(returns: Any) -> SharpeMoments | None:
    """Moments of a return series; None if all returns are equal, so that it has no Sharpe ratio."""
    values = as_return_series(returns, at_least=2)
    if values.min() == values.max():
        return None
    # In units of the largest return no power overflows or vanishes; the moments have no unit.
    values = values / np.abs(values).max()
    skew, raw_kurtosis = standardised_moments(values)
    return SharpeMoments(float(values.mean() / values.std(ddof=1)), skew, raw_kurtosis, len(values))
