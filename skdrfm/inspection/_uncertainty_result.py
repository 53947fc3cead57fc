"""What was found about contributions over dates and seeds."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class ContributionStatistics:
    """Contributions to the forecast of a portfolio, over dates and seeds.

    Numbers cannot be overwritten. Contributions are in units of the prediction (decimal return per period:
    0.01 = 1 %).

    Parameters
    ----------
    table : DataFrame of shape (n_groups, 8)
        One row for each group, descriptor, lag or pair of them.

        - ``mean`` over dates and seeds of the contribution to the portfolio's forecast.
        - ``mean_size``: mean over rows, dates and seeds of the absolute contribution to the forecast of a single name,
          every name of a date with the same weight.
        - ``standard_error`` and ``t`` of the mean over dates, by Newey and West (1987), of the mean over seeds.
        - ``spread_over_dates``: standard deviation over dates of the mean over seeds.
        - ``spread_over_seeds``: standard deviation over seeds of the mean over dates. NaN with one seed.
        - ``sign_stability_dates``: share of dates on which the mean over seeds has the sign of the mean.
        - ``sign_stability_seeds``: share of seeds whose mean over dates has the sign of the mean. NaN with one seed.

        Standard deviations have n - 1 in the denominator. Shares are NaN where the mean is 0 and so has no sign.
    by_seed_and_date : DataFrame of shape (n_seeds * n_dates, n_groups)
        Contribution to the portfolio's forecast for each seed at each date, indexed by (seed, date).
    weights : {"long_short", "long", "equal", "given"}
        Which portfolio it is.
    n_lags : int
        Lags of the Newey-West standard error.
    n_dates_left_out : int
        Dates without a portfolio, which are in none of the figures.

    See Also
    --------
    contribution_statistics : Compute them.
    """

    table: pd.DataFrame
    by_seed_and_date: pd.DataFrame
    weights: str
    n_lags: int
    n_dates_left_out: int

    @property
    def n_seeds(self) -> int:
        """Number of explanations of the same rows."""
        return self.by_seed_and_date.index.get_level_values("seed").nunique()

    @property
    def n_dates(self) -> int:
        """Number of dates in the figures."""
        return self.by_seed_and_date.index.get_level_values("date").nunique()

    def by_date(self) -> pd.DataFrame:
        """Contribution at each date, the mean over seeds.

        Returns
        -------
        DataFrame of shape (n_dates, n_groups)
            By ascending date.
        """
        return self.by_seed_and_date.groupby(level="date").mean()

    def spread_by_date(self) -> pd.DataFrame:
        """Take the standard deviation over seeds of the contribution at each date.

        Returns
        -------
        DataFrame of shape (n_dates, n_groups)
            With n_seeds - 1 in the denominator; NaN with one seed.
        """
        return self.by_seed_and_date.groupby(level="date").std(ddof=1)

    def by_seed(self) -> pd.DataFrame:
        """Contribution of each seed, the mean over dates.

        Returns
        -------
        DataFrame of shape (n_seeds, n_groups)
            In the order of the seeds.
        """
        return self.by_seed_and_date.groupby(level="seed", sort=False).mean()

    def to_frame(self) -> pd.DataFrame:
        """Return the figures, as a copy.

        Returns
        -------
        DataFrame of shape (n_groups, 8)
            The attribute table.
        """
        return self.table.copy()

    def __repr__(self) -> str:
        return (
            f"ContributionStatistics({len(self.table)} groups, {self.n_seeds} seeds, {self.n_dates} dates, "
            f"weights={self.weights!r}, n_lags={self.n_lags})"
        )
