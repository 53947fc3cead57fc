"""Returns over time: wealth, drawdown, quantile portfolios, and what trading costs."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm.metrics import annualised_return, drawdown_series, sharpe_ratio
from skdrfm.portfolio import BacktestResult, CostSensitivityDisplay, CumulativeReturnDisplay
from skdrfm.report._content import Block, Chart, Section, Table
from skdrfm.report._sections_subject import START, Absent, Part, Subject, by_model, listed, over_dates, why_missing

_N_COSTS = 41


def equity_part(subject: Subject) -> Part:
    """Compounded wealth and the loss from its peaks."""
    # In the one form that charts and files share: flat over dates without a portfolio.
    wealth = 1 + CumulativeReturnDisplay.from_backtests(subject.backtests).to_frame()
    drawdowns = {name: drawdown_series(result.long_short.fillna(0.0)) for name, result in subject.backtests.items()}
    when = START.format(period=subject.period)
    blocks = (
        Chart(
            caption="Compounded wealth of one unit after costs",
            frame=over_dates(wealth),
            x_label="Start of the holding period",
            y_label="Wealth [units of the start]",
            y_format=".2f",
            reference=1.0,
            reading=f"A steady slope speaks for skill, a few jumps for luck. {when} Flat where there is no portfolio.",
        ),
        Chart(
            caption="Drawdown: loss from the highest wealth so far, after costs",
            frame=over_dates(pd.DataFrame(drawdowns).sort_index()),
            x_label="Start of the holding period",
            y_label="Drawdown [% of the peak]",
            y_format=".1%",
            reference=0.0,
            reading="0 % is a new peak; the start counts as one.",
        ),
    )
    return Part(Section("Wealth and drawdown", "wealth", blocks))


def quantiles_part(subject: Subject) -> Part:
    """Mean returns of the portfolios by forecast."""
    by_count: dict[int, dict[str, BacktestResult]] = {}
    for name, result in subject.backtests.items():
        by_count.setdefault(result.quantile_returns.shape[1], {})[name] = result
    without = list(by_count.pop(0, {}))
    absent = (
        (Absent(f"quantile returns of {listed(without)}", "weights were given in place of forecasts"),)
        if without
        else ()
    )
    blocks: list[Block] = []
    for n_quantiles, group in by_count.items():
        blocks += _quantiles(subject, group, n_quantiles)
    return Part(Section("Portfolios by forecast", "quantiles", tuple(blocks)) if blocks else None, absent)


def _quantiles(subject: Subject, group: dict[str, BacktestResult], n_quantiles: int) -> list[Block]:
    period = subject.period
    labels = {f"quantile_{i}": str(i) for i in range(1, n_quantiles + 1)}
    labels |= {"quantile_1": "1 (lowest)", f"quantile_{n_quantiles}": f"{n_quantiles} (highest)"}
    labels["gross_long_short"] = "Highest minus lowest"
    found = {name: result.quantile_summary().rename(labels) for name, result in group.items()}
    means = pd.DataFrame({name: frame["Mean return"] for name, frame in found.items()})
    reading = (
        "Means that rise from the lowest to the highest are the sign of a forecast that sorts the whole cross-section."
    )
    chart = Chart(
        caption=f"Mean return of {n_quantiles} portfolios by forecast, per {period}, before costs",
        frame=means.drop(index="Highest minus lowest"),
        kind="bar",
        x_label="Portfolio by forecast",
        y_label=f"Mean return [% per {period}]",
        y_format=".2%",
        reference=0.0,
        reading=reading,
    )
    two = "needs two dates with a portfolio"
    if len(group) == 1:
        [(name, frame)] = found.items()
        wealth = 1 + group[name].cumulative().drop(columns="long_short").rename(columns=labels)
        return [
            chart,
            Table(
                caption=f"Portfolios by forecast of {name}, per {period}, before costs (Sharpe ratio per year)",
                frame=frame.rename_axis("Portfolio"),
                formats={"Mean return": ".2%", "Standard error": ".2%", "Newey-West t": ".2f", "Sharpe ratio": ".2f"},
                readings={"Newey-West t": "Of the mean return; beyond 2 in size a mean of 0 is unlikely."},
                note=why_missing(frame, dict.fromkeys(("Standard error", "Newey-West t", "Sharpe ratio"), two)),
            ),
            Chart(
                caption=f"Compounded wealth of one unit in each portfolio of {name}, before costs",
                frame=over_dates(wealth),
                x_label="Start of the holding period",
                y_label="Wealth [units of the start]",
                reference=1.0,
                reading="Lines that stay in the order of their numbers speak for the forecast.",
            ),
        ]
    statistics = by_model({name: frame["Newey-West t"] for name, frame in found.items()})
    return [
        chart,
        Table(
            caption=f"Mean return of portfolios by forecast, per {period}, before costs",
            frame=means.T.rename_axis("Model"),
            formats=dict.fromkeys(means.index, ".2%"),
            best={"Highest minus lowest": "max"},
        ),
        Table(
            caption="Newey-West t of these mean returns",
            frame=statistics,
            formats=dict.fromkeys(statistics.columns, ".2f"),
            note=why_missing(statistics, dict.fromkeys(statistics.columns, f"{two} whose returns differ")),
        ),
    ]


def costs_part(subject: Subject) -> Part:
    """Turnover, returns before and after costs, and the cost that would leave nothing."""
    turnover = pd.DataFrame({name: result.turnover for name, result in subject.backtests.items()}).sort_index()
    blocks = (
        _costs_by_model(subject),
        Chart(
            caption="Turnover: sum of absolute trades at each date, in units of capital",
            frame=over_dates(turnover),
            x_label="Date of the trades",
            y_label="Turnover [units of capital]",
            reading="A leg that is replaced as a whole counts 2, sold and bought; the first date only builds up.",
        ),
        _by_cost(subject),
    )
    return Part(Section("Turnover and costs", "costs", blocks))


def _costs_by_model(subject: Subject) -> Table:
    per_year, period = subject.periods_per_year, subject.period
    rows: dict[str, dict[str, Any]] = {}
    for name, result in subject.backtests.items():
        summary, gross = subject.summaries.loc[name], result.gross_long_short.dropna()
        rows[name] = {
            "Gross return": annualised_return(gross, periods_per_year=per_year),
            "Net return": summary["Return"],
            "Gross Sharpe ratio": sharpe_ratio(gross, periods_per_year=per_year) if len(gross) > 1 else np.nan,
            "Net Sharpe ratio": summary["Sharpe ratio"],
            "Mean turnover": summary["Mean turnover"],
            "Mean cost": summary["Mean cost"],
            "Cost charged": "by asset" if np.isnan(result.cost) else result.cost,
            "Break-even cost": summary["Break-even cost"],
        }
    table = by_model(rows)
    two = "needs two dates with a portfolio whose returns differ"
    reasons = {"Gross Sharpe ratio": two, "Net Sharpe ratio": two, "Break-even cost": "needs trades"}
    percent = ("Gross return", "Net return", "Cost charged", "Break-even cost")
    return Table(
        caption=f"Returns per year before and after costs; turnover and costs per {period}; cost rates of each unit "
        "traded, one side",
        frame=table,
        formats=dict.fromkeys(percent, ".2%")
        | {"Mean cost": ".3%", "Gross Sharpe ratio": ".2f", "Net Sharpe ratio": ".2f", "Mean turnover": ".2f"},
        readings={
            "Mean turnover": "In units of capital, purchases and sales, the first build-up included.",
            "Mean cost": f"Costs of trading and of borrowing, per {period}.",
            "Cost charged": "The rate that is contained in the net return.",
            "Break-even cost": "The rate at which the mean return after borrow fees would be 0; higher is better.",
        },
        note=why_missing(table, reasons),
    )


def _by_cost(subject: Subject) -> Chart:
    displays = [CostSensitivityDisplay.from_backtest(result) for result in subject.backtests.values()]
    # A portfolio that hardly trades breaks even at a cost that says nothing about the others.
    highest = float(np.median([display.sensitivity.index[-1] for display in displays]))
    costs = np.linspace(0, highest, _N_COSTS)
    curves = {
        name: CostSensitivityDisplay.from_backtest(result, costs).to_frame()["Return"]
        for name, result in subject.backtests.items()
    }
    frame = pd.DataFrame(curves)
    return Chart(
        caption="Return per year by cost of trading",
        frame=frame.set_axis(pd.Index(100 * frame.index.to_numpy()), axis=0),
        x_label="Cost of each unit traded, one side [%]",
        y_label="Return [% per year]",
        y_format=".1%",
        reference=0.0,
        reading="Where a line falls below 0 the strategy no longer pays: its break-even cost.",
    )
