"""How bad it got: tails, drawdowns with dates, and the shape of the returns."""

import pandas as pd

from skdrfm.metrics import drawdown_periods
from skdrfm.panel._plot import short_date
from skdrfm.report._content import Section, Table, Text
from skdrfm.report._sections_subject import START, Part, Subject, sentences, why_missing

_FIGURES = {
    "Volatility": ".2%",
    "VaR 95 %": ".2%",
    "CVaR 95 %": ".2%",
    "Max drawdown": ".2%",
    "Sortino ratio": ".2f",
    "Calmar ratio": ".2f",
    "Hit rate": ".1%",
    "Skewness": ".2f",
    "Kurtosis": ".2f",
}
_REASONS = {
    "Volatility": "needs two dates with a portfolio",
    "Sortino ratio": "needs two dates and a loss",
    "Calmar ratio": "needs a drawdown",
    "Skewness": "needs three dates and returns that differ",
    "Kurtosis": "needs four dates and returns that differ",
}
# With fewer dates less than one of them lies in the tail of 5 %.
_DATES_OF_TAIL = 20
_EPISODES_OF_ONE, _EPISODES_OF_MANY = 10, 3


def risk_part(subject: Subject) -> Part:
    """Risk of the long/short returns after costs."""
    return Part(Section("Risk", "risk", (_figures(subject), _drawdowns(subject))))


def _figures(subject: Subject) -> Table:
    table, period = subject.summaries[list(_FIGURES)], subject.period
    short = subject.summaries["Dates"] - subject.summaries["Dates without portfolio"] < _DATES_OF_TAIL
    return Table(
        caption=f"Risk after costs: VaR and CVaR per {period}, volatility, Sortino and Calmar ratios per year",
        frame=table,
        formats=_FIGURES,
        best={"CVaR 95 %": "min", "Max drawdown": "max"},
        readings={
            "VaR 95 %": f"Historical: the loss that was reached in the worst 5 % of the {period}s, positive is a loss.",
            "CVaR 95 %": f"Mean loss of the worst 5 % of the {period}s.",
            "Max drawdown": "Largest loss from an earlier peak of compounded wealth.",
            "Sortino ratio": "Return per unit of deviation below 0.",
            "Calmar ratio": "Compounded return per year divided by the size of the largest drawdown.",
            "Hit rate": f"Share of {period}s with a return above 0.",
            "Skewness": "Below 0 the large surprises are losses.",
            "Kurtosis": "As excess over normal: above 0 there are more large surprises.",
        },
        note=sentences(
            why_missing(table, _REASONS),
            f"With fewer than {_DATES_OF_TAIL} dates VaR and CVaR are the lowest return, its sign turned."
            if short.any()
            else "",
        ),
    )


def _drawdowns(subject: Subject) -> Table | Text:
    n_shown = _EPISODES_OF_ONE if len(subject.names) == 1 else _EPISODES_OF_MANY
    rows, labels = [], []
    for name, result in subject.backtests.items():
        for episode in drawdown_periods(result.long_short.fillna(0.0)).head(n_shown).to_dict("records"):
            labels.append(name)
            rows.append(
                {
                    "Depth": episode["depth"],
                    "Peak": _date(episode["start"], "the start"),
                    "Trough": _date(episode["trough"], ""),
                    "Recovery": _date(episode["recovery"], "not yet"),
                    "Length": episode["n_periods"],
                }
            )
    if not rows:
        return Text("Wealth after costs never fell below an earlier peak.")
    never = [name for name in subject.names if name not in labels]
    return Table(
        caption=f"The deepest drawdowns after costs, at most {n_shown} of each; length in {subject.period}s",
        frame=pd.DataFrame(rows, index=pd.Index(labels, name="Model", dtype=object)),
        formats={"Depth": ".2%", "Length": ",d"},
        readings={
            "Peak": "Last date at the peak.",
            "Trough": "First date with the lowest wealth.",
            "Recovery": "First date back at the peak or above.",
            "Length": "From the peak to the recovery, or to the last date without one.",
        },
        note=sentences(
            f"{START.format(period=subject.period)} Wealth of a date includes that return.",
            f"Never below a peak: {', '.join(never)}." if never else "",
        ),
    )


def _date(date: object, missing: str) -> str:
    return missing if pd.isna(date) else short_date(date)  # type: ignore[call-overload]
