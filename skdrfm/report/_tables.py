"""Numbers of a study as tables: for files, for the page and for the terminal."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.panel import dates_of
from skdrfm.panel._index import calendar_ordinals
from skdrfm.report._content import format_figure
from skdrfm.study import StudyResult

PUBLISHED_LABEL = (
    "Published by Nakagawa et al. (2019) for TOPIX 500 stocks, April 2007 to March 2015: they hold for the paper's own "
    "market only and were not computed here"
)
# Figures that no monthly forecast of real stocks reaches without knowing the future.
HIGHEST_R2, HIGHEST_RANK_IC = 2.0, 0.15


@dataclass(frozen=True)
class Column:
    """How a figure of the table is shown and read.

    Parameters
    ----------
    label : str
        Heading on the page.
    decimals : int
        Decimals shown.
    best : {"max", "min"}
        Which end is better.
    reading : str
        One sentence that says how to read it.
    """

    label: str
    decimals: int
    best: Literal["max", "min"]
    reading: str


COLUMNS = {
    "Return [%]": Column(
        "Return [%]",
        2,
        "max",
        "Mean monthly return of the long/short portfolio times 12; the portfolio finances itself, so 0 is what no "
        "skill earns before costs.",
    ),
    "Volatility [%]": Column(
        "Volatility [%]",
        2,
        "min",
        "Standard deviation of the monthly long/short returns times the square root of 12; lower is calmer.",
    ),
    "Sharpe ratio": Column(
        "Sharpe ratio",
        2,
        "max",
        "Return divided by volatility; its standard error is about 1 divided by the square root of the years tested, "
        "so a few years cannot tell 0.3 from 0.8.",
    ),
    "MAE": Column(
        "MAE",
        5,
        "min",
        "Mean absolute error of the forecasts, averaged over months, in decimal return (0.07 = 7 %); models differ in "
        "the third or fourth decimal because most of a month's return cannot be forecast.",
    ),
    "RMSE": Column(
        "RMSE",
        5,
        "min",
        "Root mean squared error, averaged over months, in decimal return; weighs large misses more than MAE.",
    ),
    "Rank IC": Column(
        "Rank IC",
        4,
        "max",
        "Mean monthly rank correlation of forecast and return; 0 is no skill, 0.03 to 0.05 is useful for monthly data, "
        "and a mean beyond 0.15 in size on real data suggests a leak.",
    ),
    "R2_oos [%]": Column(
        "R² oos [%]",
        2,
        "max",
        "Share of squared returns that the forecasts explain out of sample, against a forecast of 0; 0.3 to 1 % a "
        "month is good, below 0 is worse than no forecast, and above 2 % on real data suggests a leak.",
    ),
}

_ROWS = {
    "given": "given",
    "dropped_without_full_history": "dropped: history shorter than the lags",
    "dropped_outside_universe": "dropped: outside the universe",
    "dropped_without_forward_return": "dropped: next month's return unknown",
    "outside_test_and_training": "left out: outside the test months and their training windows",
    "walked": "walked (trained on or predicted)",
    "predicted": "predicted out of sample",
}


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Round each figure as it should be read.

    Parameters
    ----------
    table : DataFrame of shape (n_models, n_columns)
        Figures in the layout of `StudyResult.table` or of part of it.

    Returns
    -------
    DataFrame of str
        ``"n/a"`` where there is no figure.
    """
    return pd.DataFrame(
        {
            name: [format_figure(value, f".{COLUMNS[name].decimals}f") for value in table[name]]
            for name in table.columns
        },
        index=table.index,
    )


def suspicious_figures(table: pd.DataFrame) -> list[str]:
    """Sentences on figures that are too good for real monthly returns.

    Parameters
    ----------
    table : DataFrame of shape (n_models, n_columns)
        Figures in the layout of `StudyResult.table`.

    Returns
    -------
    list of str
        Empty if nothing is suspicious.
    """
    found = []
    for name, row in table.iterrows():
        if row["R2_oos [%]"] > HIGHEST_R2:
            found.append(f"{name}: R² out of sample {row['R2_oos [%]']:.2f} % (more than {HIGHEST_R2:.0f} %)")
        if abs(row["Rank IC"]) > HIGHEST_RANK_IC:
            found.append(f"{name}: mean rank IC {row['Rank IC']:.3f} (more than {HIGHEST_RANK_IC} in size)")
    return found


def row_counts(study: StudyResult) -> list[tuple[str, int]]:
    """Say what became of the rows of the panel, in words and numbers.

    Parameters
    ----------
    study : StudyResult
        The finished study.

    Returns
    -------
    list of (str, int)
        Label and number of rows; reasons that dropped nothing are listed too.
    """
    rows = dict(study.manifest["rows"])
    dropped = sum(count for key, count in rows.items() if key.startswith("dropped"))
    rows["outside_test_and_training"] = rows["given"] - dropped - rows["walked"]
    return [(label, int(rows[key])) for key, label in _ROWS.items() if key in rows]


def earned_months(study: StudyResult) -> tuple[str, str]:
    """First and last month in which the predicted returns are earned.

    Parameters
    ----------
    study : StudyResult
        The finished study.

    Returns
    -------
    tuple of two str
        Such as ("2009-01", "2016-12"); dates of prediction where they are no calendar dates.
    """
    dates = dates_of(study.realised)
    try:
        # A return that is stored at the end of one month is earned in the next.
        months = calendar_ordinals(dates, "M") + 1
    except PanelError:
        return str(dates.min()), str(dates.max())
    first, last = (str(pd.Period(ordinal=int(month), freq="M")) for month in (months.min(), months.max()))
    return first, last
