"""
One stock, and what a forecast of it is worth
=============================================

Forecasts the daily return of a single stock with an LSTM, holds the stock on days with a forecast above 0 and cash on
the others, and compares that with holding it always. Demonstrations of this kind are common, and their curves tend to
be too good. Here is what this one does about that:

* descriptors are ratios over time and sums within one bar. No price level is one of them: an adjusted price contains
  the splits and dividends of later years;
* an order that is given at the close of a day is executed at the *next* close, at a cost, and the forecast behind it
  is of the return that it earns from there on;
* scaler, search for parameters and network see the training window alone; the search has windows of its own in it;
* risk is that of the strategy, Sharpe ratios are per year, and the number of trials is counted;
* rows that explain a forecast, the background of SHAP, come from the training window.

``--wrong`` does each of these things wrong, one at a time, and shows what comes of it.

Run it with::

    python examples/single_stock.py --data aapl_daily_2015_2023.csv.gz --wrong --out runs/single_stock

Without ``--data`` it takes that file where it lies beside the repository, in ``../shared/data/aapl_daily``, or else
runs on a simulated stock, and says so.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, stack_lags, walk_forward_predict
from skdrfm.datasets import read_bars
from skdrfm.exceptions import PanelError, PanelFileError, SkdrfmError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import (
    LEAKAGE_CHECKS,
    ExplainerComparison,
    RelevanceHeatmapDisplay,
    audit_leakage,
    compare_explainers,
)
from skdrfm.metrics import alpha_beta, deflated_sharpe_ratio, drawdown_series, newey_west_t, r2_oos, sharpe_ratio
from skdrfm.model_selection import KerasTunerSearchCV
from skdrfm.panel import forward_returns
from skdrfm.portfolio import BacktestResult, CumulativeReturnDisplay, backtest_weights, timing_weights
from skdrfm.report import BacktestReport
from skdrfm.scoring import r2_oos_scorer

STOCK_FILE = "aapl_daily/aapl_daily_2015_2023.csv.gz"
LAGS = (1, 2, 3, 4, 5)
DAYS = 252  # trading days in a year
DELAY = 1  # days from an order to its execution
COST = 0.0005
PERCENT = {"Return": "% a year", "Volatility": "% a year", "Max drawdown": "%"}
PERCENT |= {"VaR 95 %": "% a day", "CVaR 95 %": "% a day"}
ROUNDING = 1e-9  # a position of 1 drifts by less
LSTM, LINEAR, HOLD = "LSTM", "Linear", "Buy and hold"
# Labels are shuffled between the assets of a date, and there is one.
CHECKS = set(LEAKAGE_CHECKS) - {"shuffled_labels"}
UNITS, PENALTIES, STEPS = [4, 8, 16], [0.0, 1e-4, 1e-3], [1e-3, 3e-3, 1e-2]
SPACE = {"network__units": UNITS, "network__l2": PENALTIES, "network__learning_rate": STEPS}

# %%
# Data
# ----


def load(path: Path) -> pd.DataFrame:
    """Read the bars of one stock: close, adj_close, high, low and volume, indexed by (date, asset)."""
    bars = read_bars(path)
    assets = bars.index.get_level_values("asset").unique()
    if len(assets) != 1:
        raise PanelError(f"The file must hold the bars of one stock. Got {len(assets)}. Select one.")
    return bars


def simulate(n_days: int = 1300, random_state: int = 0) -> pd.DataFrame:
    """Simulate bars of a stock with volatile and quiet times.

    About 1 % of the variance of a return is known two closes before: it follows the mean of the five returns then,
    against its volatility. That is far more than anybody knows of a real stock.
    """
    rng = np.random.default_rng(random_state)
    state, shocks = np.zeros(n_days), rng.standard_normal((n_days, 5))
    returns, volatility = np.zeros(n_days), np.zeros(n_days)
    for t in range(n_days):
        state[t] = 0.97 * state[t - 1] + 0.1 * shocks[t, 0]
        volatility[t] = 0.015 * np.exp(state[t])
        recent = returns[t - 6 : t - 1].mean() * np.sqrt(5) / volatility[t] if t > 6 else 0.0
        returns[t] = 0.0004 + volatility[t] * (0.1 * np.clip(recent, -3, 3) + shocks[t, 1])
    close = 50 * np.cumprod(1 + returns)
    before = np.append(50.0, close[:-1])
    spread = 0.5 * volatility * np.abs(shocks[:, 2:4]).T
    bars = {
        "open": before,
        "high": np.maximum(before, close) * (1 + spread[0]),
        "low": np.minimum(before, close) * (1 - spread[1]),
        "close": close,
        "adj_close": close,
        "volume": np.round(1e7 * np.exp(state + 0.3 * shocks[:, 4])),
    }
    dates = pd.bdate_range("2015-01-02", periods=n_days)
    return pd.DataFrame(bars, index=pd.MultiIndex.from_product([dates, ["SIMULATED"]], names=["date", "asset"]))


# %%
# Descriptors
# -----------
# Each is known at the close of its day. All prices of a bar have one basis, and so have two adjusted closes of one
# file: their ratios know nothing of later splits, their levels do. Distances are between moving averages of returns.


def describe(bars: pd.DataFrame) -> pd.DataFrame:
    """Compute six descriptors of the last 60 days from prices and volumes, NaN where history is missing."""
    without = int((bars["volume"] <= 0).sum())
    if without:
        raise PanelError(f"Each bar must have a volume. Got {without} without. Leave them out.")
    returns = bars["adj_close"].pct_change(fill_method=None)
    volume = np.log(bars["close"] * bars["volume"])
    mean = {days: returns.rolling(days).mean() for days in (5, 20, 60)}
    return pd.DataFrame(
        {
            "RETURN": returns,
            "RANGE": np.log(bars["high"] / bars["low"]),
            "VOLATILITY": returns.rolling(20).std(),
            "VOLUME": volume - volume.rolling(20).mean(),
            "DISTANCE5": mean[5] - mean[20],
            "DISTANCE20": mean[20] - mean[60],
        }
    )


class StockPanel(NamedTuple):
    """A row for each day on which an order may be executed."""

    X: pd.DataFrame  # the descriptors of the five days before the date, oldest first; nothing of the day itself
    y: "pd.Series[float]"  # decimal return from the close of the date to the next one


def make_panel(bars: pd.DataFrame) -> StockPanel:
    """Put the descriptors of five days beside the return of an order that is given on the last of them."""
    descriptors = describe(bars)
    y = forward_returns(descriptors["RETURN"], frequency="date")
    known = descriptors.notna().all(axis=1) & y.notna()
    if known.sum() <= max(LAGS):
        raise PanelError(f"The bars must cover more than 70 days. Got {len(bars)}. Use a longer file.")
    return StockPanel(*stack_lags(descriptors[known], y[known], lags=LAGS, frequency="date"))


# %%
# Forecasts and orders
# --------------------
# The scaler is a step of the Pipeline, so that each fit scales by its own rows. A row's order is given one close before
# its date. The return of the row before it ends at that date only, so ``gap=1`` keeps it out of training. The search is
# an estimator like others, with windows inside of its training rows.


@dataclass(frozen=True)
class Plan:
    """Windows, networks and costs of a study."""

    train_size: int = 750  # days in a training window
    test_size: int = 240  # days until the next fit
    inner_splits: int = 2  # windows of a search inside of a training window, of which three fifths train
    max_trials: int = 4  # candidates of a search; each is tried in every window
    epochs: int = 10
    cost: float = COST  # of each unit traded, one side
    n_jobs: int | None = None
    random_state: int = 0

    @property
    def cv(self) -> WalkForwardSplit:
        """The windows whose test days are reported."""
        return WalkForwardSplit(self.train_size, self.test_size, gap=DELAY)

    def network(self) -> Pipeline:
        """Scaler and LSTM, not fitted."""
        options = {"epochs": self.epochs, "batch_size": 64, "validation_fraction": 0.1}
        network = DeepRecurrentFactorRegressor(bidirectional=False, **options, random_state=self.random_state)
        return _scaled("network", network)

    def search(self) -> KerasTunerSearchCV:
        """Keras Tuner around it, not fitted."""
        train_size = 3 * self.train_size // 5
        test_size = (self.train_size - train_size - DELAY) // self.inner_splits
        inside = {"cv": WalkForwardSplit(train_size, test_size, gap=DELAY), "scoring": r2_oos_scorer}
        trials = {"max_trials": self.max_trials, "random_state": self.random_state}
        return KerasTunerSearchCV(self.network(), SPACE, **inside, **trials)

    def walk(self, estimator: Any, X: pd.DataFrame, y: "pd.Series[float]") -> "pd.Series[float]":
        """Forecast each test day by a model of the days before."""
        return walk_forward_predict(estimator, X, y, cv=self.cv, n_jobs=self.n_jobs, progress=False).predictions

    def trade(self, forecasts: "pd.Series[float]", returns: "pd.Series[float]", delay: int = DELAY) -> BacktestResult:
        """Hold the stock where its forecast is above 0, else cash at no interest."""
        weights = timing_weights(orders_of(forecasts), short=False)
        return backtest_weights(weights, returns, cost=self.cost, delay=delay, periods_per_year=DAYS)


def orders_of(forecasts: "pd.Series[float]") -> "pd.Series[float]":
    """Date each forecast by the close at which it is known and ordered by, one before the date of its row."""
    return forecasts.groupby(level="asset").shift(-DELAY).dropna()


def _scaled(name: str, model: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), (name, model)]).set_output(transform="pandas")


def run(panel: StockPanel, plan: Plan) -> tuple[dict[str, "pd.Series[float]"], dict[str, BacktestResult]]:
    """Forecast all test days by the LSTM and by a linear model, and trade them; buy and hold has the same cost."""
    forecasts = {
        LSTM: plan.walk(plan.search(), *panel),
        LINEAR: plan.walk(_scaled("linear", LinearFactorRegressor()), *panel),
    }
    always = pd.Series(1.0, index=forecasts[LSTM].index)
    results = {name: plan.trade(forecast, panel.y) for name, forecast in {**forecasts, HOLD: always}.items()}
    return forecasts, results


# %%
# A look inside
# -------------
# The search of the last window once more: what its forecasts rest on, and what else could have been chosen.


def look_inside(panel: StockPanel, plan: Plan, n_rows: int = 30) -> tuple[KerasTunerSearchCV, ExplainerComparison]:
    """Search in the last training window, and explain some forecasts after it."""
    train, test = list(plan.cv.split(*panel))[-1]
    search = plan.search().fit(panel.X.iloc[train], panel.y.iloc[train])
    explained, background = (  # evenly spread over their windows
        panel.X.iloc[rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]]
        for rows, count in ((test, n_rows), (train, 50))
    )
    methods = ["lrp-all", "gradient-x-input", "shap-permutation"]
    return search, compare_explainers(search, explained, background, methods=methods, random_state=plan.random_state)


def run_candidates(panel: StockPanel, plan: Plan, search: KerasTunerSearchCV) -> dict[str, BacktestResult]:
    """Trade each candidate of the search without a search, on all test days."""
    networks = [plan.network().set_params(**parameters) for parameters in search.cv_results_["params"]]
    return {f"Trial {k}": plan.trade(plan.walk(network, *panel), panel.y) for k, network in enumerate(networks)}


# %%
# Figures
# -------


def net_of(result: BacktestResult) -> "pd.Series[float]":
    """Take the returns after costs from the first position on."""
    return result.long_short.dropna()


def held_in(result: BacktestResult) -> "pd.Series[float]":
    """Position of the stock by date; 0 where it was sold."""
    return result.positions.groupby(level="date").sum().reindex(net_of(result).index, fill_value=0.0)


def summary_of(results: Mapping[str, BacktestResult]) -> pd.DataFrame:
    """Reward and risk of each strategy after costs, in percent a year and, of VaR and CVaR, in percent a day."""
    table = pd.DataFrame({name: result.summary() for name, result in results.items()})
    table.loc[list(PERCENT)] *= 100
    return table.loc[[*PERCENT, "Sharpe ratio", "Sharpe standard error"]].rename(
        lambda name: f"{name} ({PERCENT[name]})" if name in PERCENT else name
    )


def figures_table(results: Mapping[str, BacktestResult]) -> pd.DataFrame:
    """Describe all that was traded, buy and hold among it.

    The deflated Sharpe ratio is the probability that a Sharpe ratio is better than luck would give the best of all
    columns. The last four rows are against buy and hold.
    """
    returns = pd.DataFrame({name: net_of(result) for name, result in results.items()})
    active = returns.drop(columns=HOLD).sub(returns[HOLD], axis=0).loc[:, lambda table: table.ne(0).any()]
    regressions = {name: alpha_beta(returns[name], returns[HOLD], periods_per_year=DAYS) for name in active}
    rows = {
        "Days in the stock (%)": {name: 100 * (held_in(result) != 0).mean() for name, result in results.items()},
        "Trades": {name: (result.turnover > ROUNDING).sum() for name, result in results.items()},
        "Deflated Sharpe ratio": deflated(returns),
        "t of difference from hold": active.apply(newey_west_t),
        "Deflated, difference": deflated(active),
        "Alpha (% a year)": {name: 100 * found.alpha_annualised for name, found in regressions.items()},
        "t of alpha": {name: found.t_values["alpha"] for name, found in regressions.items()},
    }
    return pd.concat([summary_of(results), pd.DataFrame.from_dict(rows, orient="index")])


def deflated(returns: pd.DataFrame) -> "pd.Series[float]":
    """Deflated Sharpe ratio of each column, all columns being its trials; NaN with less than two."""
    sharpes = returns.apply(sharpe_ratio, periods_per_year=DAYS).dropna()  # a strategy may stay in cash
    trials = {"trial_sharpe_ratios": sharpes.to_list(), "periods_per_year": DAYS}
    enough = returns[sharpes.index] if len(sharpes) > 1 else returns.iloc[:, :0]
    return pd.Series({name: deflated_sharpe_ratio(net, **trials) for name, net in enough.items()}, dtype=float)


def forecast_table(y: "pd.Series[float]", forecasts: Mapping[str, "pd.Series[float]"]) -> pd.DataFrame:
    """R² against a forecast of 0, and how often the sign was right."""
    rows = {}
    for name, forecast in forecasts.items():
        earned = y.loc[forecast.index]
        right = np.sign(earned) == np.sign(forecast)
        rows[name] = {"R² (%)": 100 * r2_oos(earned, forecast), "Sign right (%)": 100 * right.mean()}
    rows["Always up"] = {"Sign right (%)": 100 * (earned > 0).mean()}
    return pd.DataFrame(rows).T


def relevance_table(comparison: ExplainerComparison) -> pd.DataFrame:
    """Mean size of each descriptor's contribution by method, in percent of return, all lags together."""
    found = comparison.explanations.items()
    return pd.DataFrame({method: 100 * explanation.by_descriptor().abs().mean() for method, explanation in found})


# %%
# Wrong
# -----
# One mistake at a time, each on the same days.


def run_wrong(
    panel: StockPanel,
    plan: Plan,
    forecasts: "pd.Series[float]",
    candidates: Mapping[str, BacktestResult],
    search: KerasTunerSearchCV,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Make the mistakes that the study avoids, with its honest forecasts, its traded candidates and its last search.

    The notes say what a wrong Sharpe ratio would be, and what the package answers to two other mistakes.
    """
    X, y = panel
    days = forecasts.index
    same_bar = y.groupby(level="asset").shift(1).dropna()  # of the day that ends at the close of the order
    globally = (X - X.mean()) / X.std(ddof=0)
    unscaled = plan.search().set_params(estimator__scale="passthrough")  # a scaler of its own would undo it
    best = max(candidates.values(), key=lambda result: np.nan_to_num(result.summary()["Sharpe ratio"], nan=-np.inf))
    seen = clone(search.best_estimator_).fit(X, y)
    in_sample = pd.Series(seen.predict(X.loc[days]), index=days)
    free = replace(plan, cost=0.0)
    traded = {
        "Right": plan.trade(forecasts, y),
        "No costs": free.trade(forecasts, y),
        "Traded at the close that the forecast is made of": plan.trade(forecasts, y, delay=0),
        "Earns the return of the bar that the forecast is made of": plan.trade(forecasts, same_bar, delay=0),
        "Scaler fitted on all days": plan.trade(plan.walk(unscaled, globally, y), y),
        f"Best of {len(candidates)} trials on the test days": best,
        "Network fitted on the test days too": plan.trade(in_sample, y),
        "In sample, same bar, no costs": free.trade(in_sample, same_bar, delay=0),
    }
    table = summary_of(traded)
    net, right = net_of(traded["Right"]), table.loc["Sharpe ratio", "Right"]
    found = audit_leakage(plan.network(), globally, y, cv=plan.cv, checks={"full_sample_scaling"})
    try:
        compare_explainers(search, X.loc[days[-20:]], X.loc[days[-20:]], methods=["shap-permutation"])
        answer = "accepted"
    except SkdrfmError as error:
        answer = f"refused: {error}"
    wrong = (net.mean() - 0.01) / net.std()
    return table.T, {
        "Sharpe ratio with a free rate of 1 % a day": f"{wrong:.3f} (right: {right:.3f} a year)",
        "An audit of the rows that are scaled by all days": "; ".join(found.codes) or "finds nothing",
        "SHAP with the explained rows as background": answer,
    }


# %%
# Pictures
# --------


def draw_wealth(results: Mapping[str, BacktestResult], source: str) -> Figure:
    """Draw wealth and loss from the peak of each strategy, and the days on which the LSTM holds the stock."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    wealth, loss, days = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 0.5])
    CumulativeReturnDisplay.from_backtests(results).plot(wealth)
    wealth.set(title=f"{source}: compounded return after costs", xlabel="")
    for result in results.values():
        net = net_of(result)
        loss.plot(net.index, 100 * drawdown_series(net))
    loss.set(title="Loss from the highest wealth so far", ylabel="%")
    held = held_in(results[LSTM])
    days.fill_between(held.index, 0, held, step="post", alpha=0.6, linewidth=0)
    days.set(title=f"Days on which {LSTM} holds the stock", yticks=[], ylim=(0, 1))
    return figure


def draw_relevance(comparison: ExplainerComparison) -> Figure:
    """Draw what forecasts rest on: LRP by descriptor and lag, and LRP beside SHAP by descriptor."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    cells, bars = figure.subplots(1, 2)
    RelevanceHeatmapDisplay.from_explanation(comparison.explanations["lrp-all"]).plot(cells)
    cells.set(title="LRP by lag", xlabel="Lag (days before the trade)")
    relevance_table(comparison)[["lrp-all", "shap-permutation"]].plot.barh(ax=bars)
    bars.invert_yaxis()
    bars.set(title="Mean size of contributions, all lags", xlabel="% of return", ylabel="")
    return figure


# %%
# Command
# -------


def default_file() -> Path | None:
    """Look for the file in the folder of SKDRFM_DATA, or else in ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("SKDRFM_DATA") or beside) / STOCK_FILE
    return path if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Forecast and trade one stock, and report what it is worth.")
    parser.add_argument("--data", type=Path, default=default_file(), metavar="FILE", help="daily bars of one stock")
    parser.add_argument("--simulate", action="store_true", help="use a simulated stock even where there is a file")
    for name, default, text in [
        ("--days", 1300, "bars of the simulated stock"),
        ("--train", 750, "days in a training window"),
        ("--test", 240, "days from fit to fit"),
        ("--trials", 4, "candidates of each search"),
        ("--epochs", 10, "passes over the training days"),
        ("--rows", 30, "test days to explain"),
        ("--seed", 0, "seed of networks and proposals"),
        ("--jobs", 1, "processes"),
    ]:
        parser.add_argument(name, type=int, default=default, metavar="N", help=f"{text} (default {default})")
    parser.add_argument("--cost", type=float, default=COST, metavar="C", help=f"cost of a unit traded (default {COST})")
    parser.add_argument("--wrong", action="store_true", help="also make the usual mistakes, for comparison")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the Word report, tables and pictures")
    options = parser.parse_args(arguments)
    simulated = options.simulate or options.data is None
    sizes = {"train_size": options.train, "test_size": options.test, "max_trials": options.trials}
    plan = Plan(**sizes, epochs=options.epochs, cost=options.cost, n_jobs=options.jobs, random_state=options.seed)
    start = time.perf_counter()
    try:
        bars = simulate(options.days) if simulated else load(options.data)
        panel = make_panel(bars)
        forecasts, results = run(panel, plan)
        search, comparison = look_inside(panel, plan, options.rows)
        candidates = run_candidates(panel, plan, search)
        one_trial = replace(plan, max_trials=1).search()
        audit = audit_leakage(one_trial, *panel, cv=plan.cv, n_windows=1, checks=CHECKS)
    except (PanelError, PanelFileError, ValueError) as error:
        parser.error(str(error))
    source = f"{bars.index.get_level_values('asset')[0]}{' (not a real stock)' if simulated else ', daily bars'}"
    days = net_of(results[LSTM]).index
    print(source)
    print(
        f"{len(days)} test days from {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d} in {plan.cv.get_n_splits(panel.X)} "
        f"windows; {search.n_trials_} candidates in each search; cost {plan.cost:g} of each unit traded\n"
    )
    tables = {
        "forecasts": forecast_table(panel.y, forecasts),
        "strategies": figures_table({**results, **candidates}),
        "trials": search.trials_.drop(columns=["seconds", "error"]),
        "relevance": relevance_table(comparison),
        "agreement": comparison.agreement(by="descriptor"),
        "explainers": comparison.summary(),
    }
    notes = {"Audit": ", ".join(audit.codes) or f"nothing found in {len(audit.checked)} checks"}
    if options.wrong:
        tables["wrong"], more = run_wrong(panel, plan, forecasts[LSTM], candidates, search)
        notes |= more
    for title, table in tables.items():
        print(f"{title}\n{table.round(3).to_string()}\n")
    for name, text in notes.items():
        print(f"{name}: {text}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        for title, table in tables.items():
            table.to_csv(options.out / f"{title}.csv")
        draw_wealth(results, source).savefig(options.out / "single_stock_wealth.png", dpi=110)
        draw_relevance(comparison).savefig(options.out / "single_stock_relevance.png", dpi=110)
        sharpes = tables["strategies"].loc["Sharpe ratio", list(candidates)].dropna().to_list()
        trials = {"n_trials": len(results) + len(candidates), "trial_sharpe_ratios": sharpes}
        about = {"title": f"One stock: {source}", "source": source, "simulated": simulated}
        report = BacktestReport(results, **about, **trials, comparison=comparison, audit=audit)
        print(f"written: {report.to_docx(options.out / 'single_stock.docx')}")
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
