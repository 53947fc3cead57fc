"""Whether figures could be luck: of a short history, of many trials, of one pair of models."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.exceptions import SkdrfmError
from skdrfm.metrics import (
    deflated_sharpe_ratio,
    diebold_mariano,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
)
from skdrfm.panel import dates_of
from skdrfm.report._content import Block, Section, Table, Text
from skdrfm.report._sections_subject import Absent, Part, Subject, by_model, sentences, why_missing
from skdrfm.study import StudyResult
from skdrfm.utils._words import plural

# Halves of 8 blocks give 70 choices, and 2 dates a Sharpe ratio: with less the probability says nothing.
_LEAST_DATES_OF_PBO, _MOST_BLOCKS = 16, 16
# The usual bar of a test.
_LEVEL = 0.05


def significance_part(subject: Subject) -> Part:
    """T statistics, Sharpe ratios against luck, tests of equal forecasts, probability of overfitting."""
    blocks: list[Block] = [_by_model(subject)]
    absent = []
    overfitting = _overfitting(subject)
    if isinstance(overfitting, Absent):
        absent.append(overfitting)
    else:
        blocks.append(overfitting)
    tests = _diebold_mariano(subject.study)
    if isinstance(tests, Absent):
        absent.append(tests)
    else:
        blocks += tests
    return Part(Section("Significance", "significance", tuple(blocks)), tuple(absent))


def _by_model(subject: Subject) -> Table:
    per_year, forecasts = subject.periods_per_year, subject.forecasts
    rows: dict[str, dict[str, Any]] = {}
    for name, result in subject.backtests.items():
        summary, returns = subject.summaries.loc[name], result.long_short.dropna()
        row: dict[str, Any] = {"Dates": float(len(returns)), "t of return": summary["Newey-West t"]}
        if forecasts is not None:
            row["t of rank IC"] = forecasts.loc[name, "Newey-West t of rank IC"]
        enough = len(returns) > 1
        row |= {
            "Sharpe ratio": summary["Sharpe ratio"],
            "Standard error": summary["Sharpe standard error"],
            "Probabilistic": probabilistic_sharpe_ratio(returns, periods_per_year=per_year) if enough else np.nan,
            "Deflated": _deflated(subject, name),
        }
        rows[name] = row
    table = by_model(rows)
    two = "needs two dates with a portfolio whose returns differ"
    reasons = {
        "t of return": two,
        "t of rank IC": "needs two dates with a rank IC, and rank ICs that differ",
        "Sharpe ratio": two,
        "Standard error": two,
        "Probabilistic": two,
        "Deflated": f"needs the Sharpe ratios of at least two trials over common dates, and returns that differ (got "
        f"{plural(len(subject.trials), 'trial')} over {plural(len(subject.common_returns), 'common date')})",
    }
    return Table(
        caption="Could it be luck? T statistics, and Sharpe ratios per year against luck, after costs",
        frame=table,
        formats={"Dates": ",.0f", "t of return": ".2f", "t of rank IC": ".2f", "Sharpe ratio": ".2f"}
        | {"Standard error": ".2f", "Probabilistic": ".3f", "Deflated": ".3f"},
        readings=_readings(subject),
        note=sentences(why_missing(table, reasons), _trials(subject)),
    )


def _readings(subject: Subject) -> dict[str, str]:
    readings = {
        "t of return": "Newey-West t of the mean return; beyond 2 in size a mean of 0 is unlikely.",
        "t of rank IC": "Newey-West t of the mean rank IC; beyond 2 in size a mean of 0 is unlikely.",
        "Standard error": "Of the Sharpe ratio, for normal returns that are independent over time.",
        "Probabilistic": "Probability that the true Sharpe ratio is above 0; 0.95 is the usual bar.",
        "Deflated": "Probability that the true Sharpe ratio is above what luck would give the best of all trials; 0.95 "
        "is the usual bar. It is meant for the one that you would choose.",
    }
    return {name: text for name, text in readings.items() if subject.study is not None or name != "t of rank IC"}


def _trials(subject: Subject) -> str:
    if not _can_deflate(subject):
        return ""
    others = len(subject.trial_sharpe_ratios)
    also = f" and {plural(others, 'other')}" if others else ""
    return (
        f"The deflated Sharpe ratio counts {_n_trials(subject):g} trials; the variance of their Sharpe ratios is taken "
        f"from {len(subject.trials) - others} of this report{also}, over {len(subject.common_returns):,} common dates. "
        "Trials that nobody counted make it too good."
    )


def _can_deflate(subject: Subject) -> bool:
    return len(subject.trials) > 1 and len(subject.common_returns) > 1


def _n_trials(subject: Subject) -> float:
    return float(len(subject.trials) if subject.n_trials is None else subject.n_trials)


def _deflated(subject: Subject, name: str) -> float:
    if not _can_deflate(subject):
        return np.nan
    return deflated_sharpe_ratio(
        subject.common_returns[name],
        trial_sharpe_ratios=subject.trials,
        n_trials=_n_trials(subject),
        periods_per_year=subject.periods_per_year,
    )


def _overfitting(subject: Subject) -> Table | Absent:
    what, returns = "the probability of backtest overfitting", subject.common_returns
    if len(subject.names) < 2:
        return Absent(what, "it needs at least two models to choose from")
    if len(returns) < _LEAST_DATES_OF_PBO:
        return Absent(what, f"it needs {_LEAST_DATES_OF_PBO} dates that all models share (got {len(returns)})")
    n_blocks = min(_MOST_BLOCKS, len(returns) // 4 * 2)
    try:
        found = probability_of_backtest_overfitting(returns, n_blocks=n_blocks)
    except SkdrfmError as error:
        return Absent(what, f"it could not be computed ({str(error).split('. ')[0].rstrip('.')})")
    row = {
        "Probability": found.probability,
        "Models": len(subject.names),
        "Dates": len(returns),
        "Blocks": found.n_blocks,
        "Choices of half of the blocks": found.n_combinations,
    }
    return Table(
        caption="Probability of backtest overfitting: the model with the best Sharpe ratio on half of the dates is no "
        "better than the median model on the other half",
        frame=pd.DataFrame(row, index=pd.Index(["Best by Sharpe ratio"], name="Choice")),
        formats={"Probability": ".1%", "Models": ",d", "Dates": ",d", "Blocks": ",d"}
        | {"Choices of half of the blocks": ",d"},
        readings={
            "Probability": "Near 0 % the choice holds on other dates; near 50 % it is no better than drawing by lot."
        },
    )


def _diebold_mariano(study: StudyResult | None) -> list[Block] | Absent:
    what = "the Diebold-Mariano tests"
    if study is None:
        return Absent(what, "backtests hold no forecasts to compare")
    if len(study.results) < 2:
        return Absent(what, "they need at least two models")
    if dates_of(study.realised).nunique() < 2:
        return Absent(what, "they need at least two test months")
    predictions = {str(name): result.predictions for name, result in study.results.items()}
    found = diebold_mariano(study.realised, predictions)
    pairs = found.to_frame()["adjusted_p_value"]
    differ = int((pairs < _LEVEL).sum())
    note = (
        "n/a: two models whose losses differ by the same number on all dates cannot be tested."
        if pairs.isna().any()
        else ""
    )
    verdict = (
        f"{differ} of {plural(len(pairs), 'pair')} of models differ in squared error at the level of {_LEVEL:g}, after "
        f"correction for the number of pairs (Diebold-Mariano test on {found.n_dates:,} months)."
    )
    reading = "Below 0.05 the two forecasts differ."
    return [
        Text(verdict),
        _matrix(
            f"Diebold-Mariano statistics ({found.n_lags} lags, squared error): positive where the model of the column "
            "has the smaller error",
            found.statistic,
            ".2f",
            note=sentences("Beyond 2 in size the difference is unlikely to be luck, for one pair alone.", note),
        ),
        _matrix("P-values of these tests, two-sided, each alone", found.p_values, ".2g", note=reading),
        _matrix(
            "P-values times the number of pairs (Bonferroni), at most 1",
            found.adjusted_p_values,
            ".2g",
            note=f"{reading[:-1]}, even though the pair was picked from all pairs.",
        ),
    ]


def _matrix(caption: str, frame: pd.DataFrame, spec: str, *, note: str) -> Table:
    cells = {name: ["" if row == name else value for row, value in column.items()] for name, column in frame.items()}
    table = pd.DataFrame(cells, index=frame.index, dtype=object).rename_axis("Model")
    return Table(caption, table, formats=dict.fromkeys(frame.columns, spec), note=note)
