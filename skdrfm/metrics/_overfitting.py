"""Whether the best of many trials stays good on dates that did not choose it."""

from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, FloatArray, IntArray
from skdrfm.exceptions import PanelError
from skdrfm.metrics._frozen import frozen_array
from skdrfm.metrics._validation import numbers_of, validated
from skdrfm.utils._param_validation import Interval, StrOptions
from skdrfm.utils.validation import check_finite, describe_first

# Figures that are compared at once: 256 KB for each array of a chunk, which stays in the cache of a core.
_CHUNK_SIZE = 2**15
# 184,756 combinations; their number grows by a factor of 4 with each two blocks more.
_MOST_BLOCKS = 20


@dataclass(frozen=True, eq=False, repr=False)
class BacktestOverfitting:
    """How the trial that is best in one half of the blocks does in the other half.

    Arrays are read-only and have one element for each choice of half of the blocks, in lexicographic order of the
    numbers of the blocks that choose.

    Parameters
    ----------
    probability : float
        Share of combinations in which the chosen trial is no better than the median trial on the other half.
    logits : ndarray of shape (n_combinations,)
        ``log(w / (1 - w))`` with w = rank / (n_trials + 1), the rank of the chosen trial on the other half, 1 for the
        worst. At most 0 where it is no better than the median.
    chosen : ndarray of shape (n_combinations,)
        Column of the chosen trial.
    in_sample, out_of_sample : ndarray of shape (n_combinations,)
        Figure of the chosen trial on the half that chose it and on the other one, per period.
    n_blocks : int
        Blocks of dates.
    statistic : {"sharpe_ratio", "mean"}
        The figure.
    """

    probability: float
    logits: FloatArray
    chosen: AnyArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    n_blocks: int
    statistic: str

    def __post_init__(self) -> None:
        for name in ("logits", "chosen", "in_sample", "out_of_sample"):
            object.__setattr__(self, name, frozen_array(getattr(self, name)))

    @property
    def n_combinations(self) -> int:
        """Number of choices of half of the blocks."""
        return len(self.logits)

    def to_frame(self) -> pd.DataFrame:
        """One row for each combination.

        Returns
        -------
        DataFrame of shape (n_combinations, 4)
            Columns ``chosen``, ``in_sample``, ``out_of_sample`` and ``logit``.
        """
        columns = {
            "chosen": self.chosen,
            "in_sample": self.in_sample,
            "out_of_sample": self.out_of_sample,
            "logit": self.logits,
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_combinations, name="combination"))

    def __repr__(self) -> str:
        return (
            f"BacktestOverfitting(probability={self.probability:.4g}, n_combinations={self.n_combinations}, "
            f"n_blocks={self.n_blocks}, statistic={self.statistic!r})"
        )


@validated(
    {
        "n_blocks": [Interval(Integral, 2, _MOST_BLOCKS, closed="both")],
        "statistic": [StrOptions({"sharpe_ratio", "mean"})],
    }
)
def probability_of_backtest_overfitting(
    returns: Any, *, n_blocks: int = 16, statistic: str = "sharpe_ratio"
) -> BacktestOverfitting:
    """Probability that the best of many trials is no better than the median one on other dates.

    Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu 2017): the dates are cut into
    S blocks; each choice of S/2 blocks names its best trial, which is then ranked among all trials on the other S/2
    blocks. Equal figures share their average rank; the first of equally good trials is chosen.

    Parameters
    ----------
    returns : DataFrame or ndarray of shape (n_dates, n_trials)
        Decimal return per period (0.01 = 1 %) of every strategy that was tried, in the order of time; at least 2
        trials and 2 dates for each block.
    n_blocks : int, default=16
        S, even and at most 20. If the dates cannot be divided evenly the first blocks are one date longer, so that no
        date is left out; the source cuts equal blocks.
    statistic : {"sharpe_ratio", "mean"}, default="sharpe_ratio"
        The figure that chooses and ranks, per period; annual figures would give the same ranks.

    Returns
    -------
    BacktestOverfitting
        ``probability`` near 0: the choice holds on other dates. About 0.5: choosing is no better than drawing a trial
        by lot.

    Raises
    ------
    PanelError
        If ``returns`` is no table of numbers with enough dates and trials, ``n_blocks`` is odd, or the Sharpe ratio
        of a trial does not exist on some half because all its returns are equal there.
    NonFiniteError
        If a return is NaN or infinite.

    Notes
    -----
    Blocks keep the dependence within them; two that touch are treated as independent, so blocks must be long
    compared with the time over which returns depend on each other.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.metrics import probability_of_backtest_overfitting
    >>> returns = np.random.default_rng(0).normal(0.0, 0.04, (120, 20))
    >>> returns[:, 3] += 0.03
    >>> result = probability_of_backtest_overfitting(returns, n_blocks=8)
    >>> result.probability, result.n_combinations
    (0.0, 70)
    """
    values, labels = _as_table(returns, n_blocks)
    moments = _BlockMoments.of(values, n_blocks)
    if statistic == "sharpe_ratio":
        moments.check_variation(labels)
    halves = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    # In lexicographic order the blocks that a half lacks are the half at the same place from the end: the first
    # combinations and the last ones choose and judge by the same figures, the other way round.
    first, last = np.split(halves, 2)
    chunk = max(1, _CHUNK_SIZE // values.shape[1])
    forth, back = [], []
    for begin in range(0, len(first), chunk):
        part = slice(begin, begin + chunk)
        figures, others = moments.figures(first[part], statistic), moments.figures(last[::-1][part], statistic)
        forth.append(_judged(figures, others))
        back.append(_judged(others, figures))
    logits, best, in_sample, out_of_sample = np.hstack([*forth, np.hstack(back)[:, ::-1]])
    return BacktestOverfitting(
        probability=float(np.mean(logits <= 0)),
        logits=logits,
        chosen=labels.to_numpy()[best.astype(np.intp)],
        in_sample=in_sample,
        out_of_sample=out_of_sample,
        n_blocks=int(n_blocks),
        statistic=statistic,
    )


def _judged(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Logit, column and both figures of the best trial of each row of inside, shape (4, n_combinations)."""
    best = inside.argmax(axis=1)
    rows = np.arange(len(best))
    reached = outside[rows, best][:, None]
    rank = (outside < reached).sum(axis=1) + ((outside == reached).sum(axis=1) + 1) / 2
    return np.stack([np.log(rank / (inside.shape[1] + 1 - rank)), best, inside[rows, best], reached[:, 0]])


@dataclass(frozen=True, eq=False)
class _BlockMoments:
    """Sums of each block, from which the figures of any union of blocks follow.

    ``means`` are taken from the mean of all dates and ``squares`` from the mean of their block, so that little is lost
    in differences; ``sums`` are those of the returns as they are, so that equal ones stay equal. ``level`` is the one
    value of a block without variation, NaN in others. All arrays but ``counts`` have shape (n_blocks, n_trials).
    """

    counts: FloatArray
    sums: FloatArray
    means: FloatArray
    squares: FloatArray
    level: FloatArray

    @classmethod
    def of(cls, values: FloatArray, n_blocks: int) -> "_BlockMoments":
        blocks = np.array_split(values - values.mean(axis=0), n_blocks)
        means = np.stack([block.mean(axis=0) for block in blocks])
        return cls(
            counts=np.array([float(len(block)) for block in blocks]),
            sums=np.stack([block.sum(axis=0) for block in np.array_split(values, n_blocks)]),
            means=means,
            squares=np.stack([((block - mean) ** 2).sum(axis=0) for block, mean in zip(blocks, means, strict=True)]),
            level=np.stack([np.where(block.min(axis=0) == block.max(axis=0), block[0], np.nan) for block in blocks]),
        )

    def check_variation(self, labels: pd.Index) -> None:
        """Refuse trials that have one and the same return on all dates of some half of the blocks."""
        half = len(self.counts) // 2
        # A half without variation has half of the blocks at one level: the sorted levels are equal over that stretch.
        levels = np.sort(self.level, axis=0)
        flat = np.flatnonzero((levels[: half + 1] == levels[half - 1 :]).any(axis=0))
        if len(flat):
            raise PanelError(
                "Each trial must have different returns within every half of the blocks, or its Sharpe ratio does not "
                f"exist there. Got equal ones for {len(flat)} of {len(labels)} trials: "
                f"{describe_first(labels[flat].tolist())}. Leave them out, use fewer blocks or statistic='mean'."
            )

    def figures(self, chosen: IntArray, statistic: str) -> FloatArray:
        """Figure of each trial over the blocks of each row of chosen, shape (n_combinations, n_trials)."""
        count = self.counts[chosen].sum(axis=1, keepdims=True)
        mean: FloatArray = _sums_over(chosen, self.sums) / count
        if statistic == "mean":
            return mean
        deviation = _sums_over(chosen, self.counts[:, None] * self.means) / count
        between = _sums_over(chosen, self.counts[:, None] * self.means**2) - count * deviation**2
        variance = (_sums_over(chosen, self.squares) + np.maximum(between, 0)) / (count - 1)
        figures: FloatArray = mean / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
        return figures


def _sums_over(chosen: IntArray, by_block: FloatArray) -> FloatArray:
    """Sum over the chosen blocks, block by block: a matrix product may round equal columns differently."""
    sums: FloatArray = by_block[chosen[:, 0]]
    for block in chosen.T[1:]:
        sums += by_block[block]
    return sums


def _as_table(returns: Any, n_blocks: int) -> tuple[FloatArray, pd.Index]:
    if n_blocks % 2:
        raise PanelError(f"'n_blocks' must be even, to be cut into halves. Got {n_blocks}. Use {n_blocks + 1}.")
    values = numbers_of(returns, name="returns")
    if values.ndim != 2 or values.shape[1] < 2 or len(values) < 2 * n_blocks:
        raise PanelError(
            f"returns must have one column for each of at least 2 trials, and {2 * n_blocks} dates for {n_blocks} "
            f"blocks. Got shape {values.shape}. Pass the returns of all trials, or use fewer blocks."
        )
    labels = returns.columns if isinstance(returns, pd.DataFrame) else pd.RangeIndex(values.shape[1])
    check_finite(values, what="returns", columns=list(labels))
    return values, labels
