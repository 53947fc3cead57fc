"""What was found by removing descriptors and retraining."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics import newey_west_t

LEVELS = ["way", "n_removed", "draw"]
WAYS = ("none", "most", "random", "least")
FIGURES = ("r2_oos", "rank_ic", "rank_ic_t", "long_short", "long_short_t")
# Draws that remove the same descriptors have equal means up to rounding.
_ROUNDING = 1e-12
_SPREADS = ("r2_oos", "rank_ic", "long_short")


@dataclass(frozen=True, eq=False, repr=False)
class RemovalCheck:
    """Out-of-sample figures of a model, and of the same model retrained without some of its inputs.

    Numbers cannot be overwritten. The way of a removal is ``"none"`` (the whole model), ``"most"`` and ``"least"``
    (the most and the least relevant units of each window) or ``"random"``.

    Parameters
    ----------
    draws : DataFrame of shape (n_variants, 5)
        Figures of each variant, indexed by (way, n_removed, draw): ``r2_oos`` over all rows, ``rank_ic`` (mean over
        dates), ``long_short`` (mean return per period after costs, decimal), and the Newey-West t of both means.
    rank_ic : DataFrame of shape (n_dates, n_variants)
        Rank IC of each date, with columns (way, n_removed, draw).
    long_short : DataFrame of shape (n_dates, n_variants)
        Long/short return of each date after costs, decimal, with the same columns.
    importance : DataFrame of shape (n_dates, n_units)
        By date of prediction what the model of its window gave to each unit on its training rows: the mean absolute
        contribution, or what the ranking returned.
    n_lags : int or None
        Lags of the Newey-West standard errors; None: ``floor(4 (T/100)^(2/9))``.
    n_rows_left_out : int
        Predicted rows without a forward return, which are in none of the figures.

    See Also
    --------
    removal_check : Make the check.
    """

    draws: pd.DataFrame
    rank_ic: pd.DataFrame
    long_short: pd.DataFrame
    importance: pd.DataFrame
    n_lags: int | None
    n_rows_left_out: int

    def to_frame(self) -> pd.DataFrame:
        """Figures of each way and number, of random removals the mean over the draws.

        Returns
        -------
        DataFrame of shape (n_ways, 8)
            The figures, and ``r2_oos_spread``, ``rank_ic_spread`` and ``long_short_spread``: the standard deviation
            over the draws with n - 1 in the denominator, NaN where there is one. Indexed by (way, n_removed), the
            ways in the order "none", "most", "random", "least".
        """
        by = self.draws.groupby(level=LEVELS[:2])
        spreads = by[list(_SPREADS)].std(ddof=1).add_suffix("_spread")
        frame = pd.concat([by.mean(), spreads], axis=1)
        return frame.reindex(list(WAYS), level="way")

    def against_random(self) -> pd.DataFrame:
        """Compare the removal of the most, and of the least, relevant units with random removal of as many.

        Returns
        -------
        DataFrame of shape (2 * n_numbers, 6)
            Indexed by (way, n_removed). ``r2_oos``, ``rank_ic`` and ``long_short`` are the figure less its mean over
            the random draws; ``rank_ic_t`` and ``long_short_t`` are the Newey-West t of the differences by date,
            which leave out what all variants share; ``draws_above`` is the share of draws with a higher mean rank IC,
            an equal one counting half. A ranking that finds what the model lives on has negative differences for
            "most", and draws_above near 1;
            for "least" they are positive.
        """
        random = self.draws.xs("random", level="way")
        found: dict[tuple[str, int], list[float]] = {}
        for way in ("most", "least"):
            for k in map(int, random.index.get_level_values("n_removed").unique()):
                own, others = self.draws.xs((way, k, 0)), random.xs(k, level="n_removed")
                gap = (own - others.mean()).to_dict()
                t = [self._t_against_random(table, way, k) for table in (self.rank_ic, self.long_short)]
                distance = others["rank_ic"] - own["rank_ic"]
                equal = distance.abs() <= _ROUNDING
                above = float(((distance > _ROUNDING) + 0.5 * equal).mean())
                found[way, k] = [gap["r2_oos"], gap["rank_ic"], t[0], gap["long_short"], t[1], above]
        index = pd.MultiIndex.from_tuples(found, names=LEVELS[:2])
        return pd.DataFrame(list(found.values()), index=index, columns=[*FIGURES, "draws_above"])

    def _t_against_random(self, table: pd.DataFrame, way: str, k: int) -> float:
        draws: pd.DataFrame = table.xs(("random", k), axis=1, level=["way", "n_removed"])  # type: ignore[assignment]
        # A date without a figure for some draw has no difference.
        return t_of_known_dates(table[way, k, 0] - draws.mean(axis=1, skipna=False), self.n_lags)

    def __repr__(self) -> str:
        numbers = [int(k) for k in self.draws.index.get_level_values("n_removed").unique() if k]
        return f"RemovalCheck(n_removed={numbers}, {self.importance.shape[1]} units, {len(self.rank_ic)} dates)"


def t_of_known_dates(series: "pd.Series[Any]", n_lags: int | None) -> float:
    """Newey-West t of the mean of the dates that have a figure; NaN for fewer than 2."""
    known = series.dropna().to_numpy(dtype=np.float64)
    return newey_west_t(known, n_lags=n_lags) if len(known) > 1 else float("nan")
