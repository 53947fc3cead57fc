"""What a report is about, and what its sections have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import PanelError
from skdrfm.inspection import ExplainerComparison, LeakageReport
from skdrfm.metrics import forecast_summary, sharpe_ratio
from skdrfm.portfolio import BacktestResult
from skdrfm.portfolio._earning_dates import period_end_timestamps
from skdrfm.report._content import Section
from skdrfm.report._sections_quiet import without_coverage_warnings
from skdrfm.study import StudyResult

_PERIODS: dict[float, str] = {1: "year", 4: "quarter", 12: "month", 52: "week", 252: "trading day", 365: "day"}
START = "Each date begins a holding period: its return is earned over the {period} after it."


@dataclass(frozen=True, eq=False)
class Absent:
    """Something that a report could say and does not.

    Parameters
    ----------
    what : str
        Its name, as the subject of a sentence.
    because : str
        The reason, as the end of "because ...".
    """

    what: str
    because: str


@dataclass(frozen=True, eq=False)
class Part:
    """A section, if there is one, and what is absent from it.

    Parameters
    ----------
    section : Section or None
        None if nothing of it can be said.
    absent : tuple of Absent
        What is left out, and why.
    """

    section: Section | None
    absent: tuple[Absent, ...] = ()


@dataclass(frozen=True, eq=False)
class Subject:
    """Results in the one form that all sections read.

    Parameters
    ----------
    backtests : mapping of str to BacktestResult
        At least one, all with the same number of periods in a year.
    study : StudyResult or None
        The study that they belong to.
    source : str or None
        What the data are, in words.
    simulated : bool
        Whether the data are simulated.
    n_trials : float or None
        Number of strategies that were tried, in this report or not.
    trial_sharpe_ratios : tuple of float
        Sharpe ratios per year of strategies that were tried and are not in this report.
    comparison : ExplainerComparison or None
        Explanations of the same rows by several methods.
    audit : LeakageReport or None
        What was searched for leaks, and found.
    """

    backtests: Mapping[str, BacktestResult]
    study: StudyResult | None = None
    source: str | None = None
    simulated: bool = False
    n_trials: float | None = None
    trial_sharpe_ratios: tuple[float, ...] = ()
    comparison: ExplainerComparison | None = None
    audit: LeakageReport | None = None

    @property
    def names(self) -> list[str]:
        """Names of the models or strategies."""
        return list(self.backtests)

    @property
    def periods_per_year(self) -> float:
        """Periods in a year, of all backtests."""
        return next(iter(self.backtests.values())).periods_per_year

    @property
    def period(self) -> str:
        """A period in words, such as "month"."""
        return _PERIODS.get(self.periods_per_year, "period")

    @cached_property
    def summaries(self) -> pd.DataFrame:
        """`BacktestResult.summary` of each model, shape (n_models, n_figures)."""
        return by_model({name: result.summary() for name, result in self.backtests.items()})

    @cached_property
    def forecasts(self) -> pd.DataFrame | None:
        """`forecast_summary` of each model of a study, shape (n_models, n_figures)."""
        if self.study is None:
            return None
        rows = {}
        # The dates without a coefficient are a figure of the table, which no warning needs to count again.
        with without_coverage_warnings():
            for name, result in self.study.results.items():
                rows[str(name)] = forecast_summary(
                    self.study.realised, result.predictions, periods_per_year=self.periods_per_year
                )
        return by_model(rows)

    @cached_property
    def common_returns(self) -> pd.DataFrame:
        """Long/short returns after costs on the dates on which every model has a portfolio."""
        return pd.DataFrame({name: result.long_short for name, result in self.backtests.items()}).sort_index().dropna()

    @cached_property
    def trials(self) -> list[float]:
        """Sharpe ratios per year over the common dates of the models, and those of other trials."""
        returns = self.common_returns
        own = [
            sharpe_ratio(returns[name], periods_per_year=self.periods_per_year) if len(returns) > 1 else np.nan
            for name in self.names
        ]
        return [figure for figure in (*own, *self.trial_sharpe_ratios) if np.isfinite(figure)]


def by_model(rows: Mapping[str, Any]) -> pd.DataFrame:
    """Put one row of figures for each model into a table."""
    return pd.DataFrame.from_dict({name: dict(row) for name, row in rows.items()}, orient="index").rename_axis("Model")


def chart_dates(dates: pd.Index) -> pd.Index:
    """Read dates as timestamps, a month as its last day; labels that are no dates stay as they are."""
    try:
        return period_end_timestamps(dates).rename(None)
    except PanelError:
        return dates.rename(None)


def over_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the dates of a frame into the form in which they are drawn, names of columns as text."""
    return frame.set_axis(chart_dates(frame.index), axis=0).set_axis([str(name) for name in frame.columns], axis=1)


def as_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Lay a frame of dates out for a heatmap: its columns as rows, months as the labels of columns."""
    dates = chart_dates(frame.index)
    labels = dates.strftime("%Y-%m") if isinstance(dates, pd.DatetimeIndex) else dates.astype(str)
    if not labels.is_unique:
        labels = dates.astype(str)
    return frame.set_axis(pd.Index(labels), axis=0).set_axis([str(name) for name in frame.columns], axis=1).T


def why_missing(frame: pd.DataFrame, reasons: Mapping[str, str]) -> str:
    """Say why figures of a table do not exist, column by column; empty if none is missing."""
    missing = [name for name in frame.columns if name in reasons and frame[name].isna().any()]
    return f"n/a: {'; '.join(f'{name} {reasons[name]}' for name in missing)}." if missing else ""


def sentences(*parts: str) -> str:
    """Join sentences, the empty ones left out."""
    return " ".join(part for part in parts if part)


def listed(names: Sequence[object]) -> str:
    """Join names by commas and "and"."""
    texts = [str(name) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
