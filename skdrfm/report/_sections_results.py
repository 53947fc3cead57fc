"""What was tested, and the main figures."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from skdrfm.inspection._audit_panel import AuditPanel
from skdrfm.inspection._audit_report import NotApplicableError
from skdrfm.inspection._audit_units import find_survivorship
from skdrfm.panel import assets_of, dates_of
from skdrfm.panel._plot import short_date
from skdrfm.report._content import Section, Table, Text
from skdrfm.report._sections_audit import audit_errors
from skdrfm.report._sections_subject import Part, Subject, listed, sentences, why_missing
from skdrfm.report._tables import COLUMNS, PUBLISHED_LABEL, earned_months, suspicious_figures
from skdrfm.study import PUBLISHED, StudyResult
from skdrfm.utils._words import plural

_REASONS = {
    "Volatility [%]": "needs at least two dates with a portfolio",
    "Sharpe ratio": "needs at least two dates with a portfolio whose returns differ",
    "Rank IC": "needs a date with at least three assets whose forecasts, and returns, differ",
}


def summary_texts(subject: Subject) -> tuple[Text, ...]:
    """Say what was tested, on what and when, and what to beware of."""
    study = subject.study
    texts = [Text(_study_lede(study) if study is not None else _backtest_lede(subject))]
    if subject.source:
        texts.append(Text(f"Data: {subject.source.rstrip('.')}."))
    return tuple(texts + [Text(text, kind="caution") for text in _cautions(subject)])


def results_part(subject: Subject) -> Part:
    """Show the main figures in the layout of the paper's Table 4."""
    if subject.study is None:
        blocks = [_main_table_of_backtests(subject), _facts_of_backtests(subject)]
    else:
        blocks = [_main_table(subject.study), _published_table(), _facts_of_study(subject.study)]
    return Part(Section("Results", "results", tuple(blocks)))


def _study_lede(study: StudyResult) -> str:
    options, n_models = study.manifest["options"], len(study.table)
    first, last = earned_months(study)
    every = f", and fitted anew every {options['refit_every']} months" if options["refit_every"] > 1 else ""
    return (
        f"{plural(n_models, 'model')} forecast{'s' if n_models == 1 else ''} the next month's return of each asset. "
        f"Every forecast of a return earned from {first} to {last} comes from a model that was trained only on the "
        f"{options['train_size']} months before it{every}. Each month's forecasts are sorted into "
        f"{options['n_quantiles']} portfolios; the one with the highest forecasts is bought, the one with the lowest "
        "is sold short. A back-test is no promise of future returns."
    )


def _backtest_lede(subject: Subject) -> str:
    dates = pd.Index([]).append([result.long_short.index for result in subject.backtests.values()])
    count = len(subject.names)
    return (
        f"{'One strategy' if count == 1 else f'{count:,} strategies'}, followed over "
        f"{plural(dates.nunique(), 'date')} from {short_date(dates.min())} to {short_date(dates.max())}. Dates are "
        f"those from which positions are held; a return is earned over the {subject.period} after its date. A "
        "back-test is no promise of future returns."
    )


def _cautions(subject: Subject) -> list[str]:
    cautions = []
    if subject.simulated:
        cautions.append(
            "Simulated data. These assets are made up, and what there is to find was planted, far stronger than "
            "anything that real markets offer. The figures show that the machinery works; they promise nothing about "
            "real assets."
        )
    elif subject.study is not None:
        suspicious = suspicious_figures(subject.study.table)
        if suspicious:
            cautions.append(
                "Too good to be true? Monthly returns of real stocks can hardly be forecast this well. Believe in a "
                "leak of the future into the descriptors or returns until the opposite is shown. "
                f"{'; '.join(suspicious)}."
            )
        cautions += _survivorship(subject.study)
    n_errors = audit_errors(subject)
    if n_errors:
        cautions.append(
            f"The leak audit found {plural(n_errors, 'error')}, so that the figures of this report are not out of "
            "sample, or not in the unit they seem to be. See the leak audit for what to do."
        )
    return cautions


def _survivorship(study: StudyResult) -> list[str]:
    panel = AuditPanel.of(study.realised.to_frame("return"), study.realised)
    try:
        findings = list(find_survivorship(panel))
    except NotApplicableError:
        return []
    return [
        f"Survivors only? {finding.title} {finding.evidence} Returns of survivors are too good, because those who "
        "failed are missing."
        for finding in findings
    ]


def _main_table(study: StudyResult) -> Table:
    table = study.table
    first, last = earned_months(study)
    marked = "; the best figure of each column is marked" if len(table) > 1 else ""
    return Table(
        caption=f"Figures of this study: long/short portfolio after costs, {first} to {last}{marked}",
        frame=_labelled(table),
        formats=_formats(table),
        best=_best(table),
        readings={COLUMNS[name].label: COLUMNS[name].reading for name in table.columns},
        note=why_missing(table, _REASONS),
    )


def _published_table() -> Table:
    return Table(
        caption="Published figures, for comparison (Table 4 of the paper)",
        frame=_labelled(PUBLISHED),
        formats=_formats(PUBLISHED),
        note=f"{PUBLISHED_LABEL}.",
    )


def _main_table_of_backtests(subject: Subject) -> Table:
    summaries, factor = subject.summaries, f"{subject.periods_per_year:g}"
    table = pd.DataFrame(
        {
            "Return [%]": 100 * summaries["Return"],
            "Volatility [%]": 100 * summaries["Volatility"],
            "Sharpe ratio": summaries["Sharpe ratio"],
        }
    )
    marked = "; the best figure of each column is marked" if len(table) > 1 else ""
    return Table(
        caption=f"Figures per year after costs{marked}",
        frame=_labelled(table),
        formats=_formats(table),
        best=_best(table),
        readings={
            "Return [%]": f"Mean return of a {subject.period} times {factor}.",
            "Volatility [%]": f"Standard deviation of the returns of a {subject.period} times the square root of "
            f"{factor}; lower is calmer.",
            "Sharpe ratio": COLUMNS["Sharpe ratio"].reading,
        },
        note=sentences(
            why_missing(table, _REASONS),
            "No interest is taken off: for a strategy that ties up capital, subtract what cash would have earned.",
        ),
    )


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis([str(name) for name in table.index], axis=0).rename_axis("Model").rename(columns=_LABELS)


_LABELS = {name: column.label for name, column in COLUMNS.items()}


def _formats(table: pd.DataFrame) -> dict[str, str]:
    return {COLUMNS[name].label: f".{COLUMNS[name].decimals}f" for name in table.columns}


def _best(table: pd.DataFrame) -> dict[str, Literal["max", "min"]]:
    return {COLUMNS[name].label: COLUMNS[name].best for name in table.columns}


def _facts_of_study(study: StudyResult) -> Table:
    options = study.manifest["options"]
    first, last = earned_months(study)
    facts = {
        "Returns earned in": f"{first} to {last}",
        "Test months": f"{dates_of(study.realised).nunique():,}",
        "Assets": f"{assets_of(study.realised).nunique():,}",
        "Forecasts of each model": f"{len(study.realised):,}",
        "Lags of the descriptors [months]": ", ".join(str(lag) for lag in options["lags"]),
        "Training window [months]": f"{options['train_size']}",
        "Months from one fit to the next": f"{options['refit_every']}",
        "Fits averaged in each forecast": _fits(options["n_seeds"]),
        "Portfolios by forecast": f"{options['n_quantiles']}",
        "Cost of each unit traded [%]": f"{100 * options['cost']:.3g}",
    }
    return Table("What was tested", pd.DataFrame({"Value": facts}).rename_axis("Setting"))


def _fits(n_seeds: Mapping[str, int]) -> str:
    several = {count: [name for name in n_seeds if n_seeds[name] == count] for count in set(n_seeds.values()) - {1}}
    parts = [f"{count} of {listed(names)}" for count, names in sorted(several.items())]
    return "; ".join([*parts, "1 of the others"] if parts and 1 in n_seeds.values() else parts) or "1"


def _facts_of_backtests(subject: Subject) -> Table:
    rows: dict[str, dict[str, Any]] = {}
    for name, result in subject.backtests.items():
        summary = subject.summaries.loc[name]
        rows[name] = {
            "First date": short_date(result.long_short.index[0]),
            "Last date": short_date(result.long_short.index[-1]),
            "Dates": summary["Dates"],
            "Without portfolio": summary["Dates without portfolio"],
            "Names, median": float(result.n_names.median()),
            "Delay [dates]": result.delay,
            "Dates between trades": result.rebalance_every,
            "Cost [%]": _rate(result.cost),
            "Borrow fee [% per year]": _rate(result.borrow_fee),
        }
    counts = ("Dates", "Without portfolio", "Names, median", "Delay [dates]", "Dates between trades")
    return Table(
        "What was tested",
        pd.DataFrame.from_dict(rows, orient="index").rename_axis("Model"),
        formats=dict.fromkeys(counts, ",.0f"),
        readings={
            "Names, median": "Assets with a forecast, or with a weight that was given, on the middle date.",
            "Delay [dates]": "Dates from the weights to their execution.",
            "Cost [%]": "Of each unit traded, one side.",
        },
    )


def _rate(rate: float) -> str:
    return "by asset" if np.isnan(rate) else f"{100 * rate:.3g}"
