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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
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
    LeakageReport,
    RelevanceHeatmapDisplay,
    audit_leakage,
    compare_explainers,
)
from skdrfm.metrics import (
    alpha_beta,
    conditional_value_at_risk,
    deflated_sharpe_ratio,
    drawdown_series,
    newey_west_t,
    r2_oos,
    sharpe_ratio,
    value_at_risk,
)
from skdrfm.model_selection import KerasTunerSearchCV, keras_tuner_search
from skdrfm.panel import forward_returns
from skdrfm.portfolio import BacktestResult, backtest_weights, timing_weights
from skdrfm.report import BacktestReport
from skdrfm.scoring import r2_oos_scorer

STOCK_FILE = "aapl_daily/aapl_daily_2015_2023.csv.gz"
LAGS = (1, 2, 3, 4, 5)
DAYS = 252  # trading days in a year
DELAY = 1  # days from an order to its execution
COST = 0.0005
ROUNDING = 1e-9  # a position of 1 drifts by less
LSTM, LINEAR, HOLD = "LSTM", "Linear", "Buy and hold"
# Labels are shuffled between the assets of a date, and there is one.
CHECKS = set(LEAKAGE_CHECKS) - {"shuffled_labels"}
SPACE = {
    "network__units": [4, 8, 16],
    "network__l2": [0.0, 1e-4, 1e-3],
    "network__learning_rate": [1e-3, 3e-3, 1e-2],
}

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

    Parameters
    ----------
    n_days : int, default=1300
        Number of bars.
    random_state : int, default=0
        Seed.

    Returns
    -------
    DataFrame of shape (n_days, 6), indexed by (date, asset)
        Columns open, high, low, close, adj_close and volume.
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
    """Compute six descriptors of the last 60 days from prices and volumes.

    Parameters
    ----------
    bars : DataFrame indexed by (date, asset)
        Bars of one stock in the order of time.

    Returns
    -------
    DataFrame of shape (n_days, 6), indexed by (date, asset)
        ``RETURN`` of the day, ``RANGE`` = log(high / low), ``VOLATILITY`` = std of 20 returns, ``VOLUME`` = log of the
        dollar volume less its mean over 20 days, ``DISTANCE5`` and ``DISTANCE20`` = mean return of 5 less that of 20
        days, and of 20 less that of 60 days. Decimals; NaN where history is missing.
    """
    if (bars["volume"] <= 0).any():
        raise PanelError(
            f"Each bar must have a volume. Got {int((bars['volume'] <= 0).sum())} without. Leave them out."
        )
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


@dataclass(frozen=True)
class StockPanel:
    """The panel of one stock: a row for each day on which an order may be executed.

    Parameters
    ----------
    X : DataFrame of shape (n_days, 30), indexed by (date, asset)
        Six descriptors of the five days before the date, oldest first; nothing of the day itself.
    y : Series of shape (n_days,)
        Decimal return from the close of the date to the next one.
    """

    X: pd.DataFrame
    y: "pd.Series[float]"


def make_panel(bars: pd.DataFrame) -> StockPanel:
    """Put the descriptors of five days beside the return of an order that is given on the last of them."""
    descriptors = describe(bars)
    y = forward_returns(descriptors["RETURN"], frequency="date")
    known = descriptors.notna().all(axis=1) & y.notna()
    if known.sum() <= max(LAGS):
        raise PanelError(f"The bars must cover more than 70 days. Got {len(bars)}. Use a longer file.")
    return StockPanel(*stack_lags(descriptors[known], y[known], lags=LAGS, frequency="date"))


# %%
# Forecasts
# ---------
# The scaler is a step of the Pipeline, so that each fit scales by its own rows. A row's order is given one close before
# its date. The return of the row before it ends at that date only, so ``gap=1`` keeps it out of training. The search is
# an estimator like others, with windows inside of its training rows.


@dataclass(frozen=True)
class Plan:
    """Windows, networks and costs of a study.

    Parameters
    ----------
    train_size, test_size : int
        Days in a training window, and days until the next fit.
    inner_splits : int
        Windows of a search inside of a training window, of which three fifths train.
    max_trials : int
        Candidates of a search; each is tried in every window.
    epochs : int
        Passes over the training rows.
    cost : float
        Decimal cost of each unit traded, one side.
    n_jobs : int or None
        Windows computed at the same time.
    random_state : int
        Seed of networks and proposals.
    """

    train_size: int = 750
    test_size: int = 240
    inner_splits: int = 2
    max_trials: int = 4
    epochs: int = 10
    cost: float = COST
    n_jobs: int | None = None
    random_state: int = 0

    @property
    def cv(self) -> WalkForwardSplit:
        """The windows whose test days are reported."""
        return WalkForwardSplit(self.train_size, self.test_size, gap=DELAY)

    def network(self) -> Pipeline:
        """Scaler and LSTM, not fitted."""
        network = DeepRecurrentFactorRegressor(
            bidirectional=False,
            epochs=self.epochs,
            batch_size=64,
            validation_fraction=0.1,
            random_state=self.random_state,
        )
        return _scaled("network", network)

    def search(self, *, cv: Any = None, max_trials: int | None = None) -> KerasTunerSearchCV:
        """Keras Tuner around it, not fitted; ``cv`` are windows inside of the training rows unless given."""
        inner = 3 * self.train_size // 5
        rest = self.train_size - inner - DELAY
        return KerasTunerSearchCV(
            self.network(),
            SPACE,
            max_trials=max_trials or self.max_trials,
            cv=WalkForwardSplit(inner, rest // self.inner_splits, gap=DELAY) if cv is None else cv,
            scoring=r2_oos_scorer,
            random_state=self.random_state,
        )

    def walk(self, estimator: Any, X: pd.DataFrame, y: "pd.Series[float]") -> "pd.Series[float]":
        """Forecast each test day by a model of the days before."""
        return walk_forward_predict(estimator, X, y, cv=self.cv, n_jobs=self.n_jobs, progress=False).predictions

    def trade(
        self, forecasts: "pd.Series[float]", returns: "pd.Series[float]", *, delay: int = DELAY
    ) -> BacktestResult:
        """Hold the stock where its forecast is above 0, else cash at no interest."""
        weights = timing_weights(orders_of(forecasts), short=False)
        return backtest_weights(weights, returns, cost=self.cost, delay=delay, periods_per_year=DAYS)


def orders_of(forecasts: "pd.Series[float]") -> "pd.Series[float]":
    """Date each forecast by the close at which it is known and ordered by, one before the date of its row."""
    return forecasts.groupby(level="asset").shift(-DELAY).dropna()


def _scaled(name: str, model: Any) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), (name, model)]).set_output(transform="pandas")


def run(panel: StockPanel, plan: Plan) -> tuple[dict[str, "pd.Series[float]"], dict[str, BacktestResult]]:
    """Forecast and trade all test days.

    Parameters
    ----------
    panel : StockPanel
        From ``make_panel``.
    plan : Plan
        Windows, networks and costs.

    Returns
    -------
    forecasts : dict of str to Series indexed by (date, asset)
        Decimal forecasts of ``panel.y`` by the LSTM and by a linear model of the same inputs.
    results : dict of str to BacktestResult
        The two strategies, and buy and hold over the same days at the same cost.
    """
    forecasts = {
        LSTM: plan.walk(plan.search(), panel.X, panel.y),
        LINEAR: plan.walk(_scaled("linear", LinearFactorRegressor()), panel.X, panel.y),
    }
    results = {name: plan.trade(forecast, panel.y) for name, forecast in forecasts.items()}
    results[HOLD] = plan.trade(pd.Series(1.0, index=forecasts[LSTM].index), panel.y)
    return forecasts, results


def run_candidates(panel: StockPanel, plan: Plan, search: KerasTunerSearchCV) -> dict[str, BacktestResult]:
    """Trade each candidate of the search without a search, on all test days: what else could have been chosen."""
    names = [column for column in search.trials_ if column.startswith("param_")]
    tried = search.trials_.loc[search.trials_["status"] == "completed", names].drop_duplicates()
    traded = {}
    for number, parameters in tried.rename(columns=lambda name: name.removeprefix("param_")).to_dict("index").items():
        forecasts = plan.walk(plan.network().set_params(**parameters), panel.X, panel.y)
        traded[f"Trial {number}"] = plan.trade(forecasts, panel.y)
    return traded


# %%
# Explanations
# ------------
# The search of the last window once more, this time to look into it.


@dataclass(frozen=True)
class Insight:
    """The last window's model, and what its forecasts rest on.

    Parameters
    ----------
    search : KerasTunerSearchCV
        Fitted on the last training window, as in the walk.
    test : DataFrame
        Rows of its test days.
    comparison : ExplainerComparison
        LRP and SHAP of some of these rows.
    audit : LeakageReport
        What an audit of panel, windows and model finds.
    """

    search: KerasTunerSearchCV
    test: pd.DataFrame
    comparison: ExplainerComparison
    audit: LeakageReport


def look_inside(panel: StockPanel, plan: Plan, *, n_rows: int = 30, n_background: int = 50) -> Insight:
    """Search in the last training window, explain forecasts after it, and audit the whole.

    Parameters
    ----------
    panel : StockPanel
        From ``make_panel``.
    plan : Plan
        Windows and networks.
    n_rows, n_background : int, default=30 and 50
        Test rows to explain, and training rows that stand for what is not known; evenly spread over their windows.

    Returns
    -------
    Insight
        Search, explanations and audit.
    """
    train, test = list(plan.cv.split(panel.X, panel.y))[-1]
    settings = plan.search()
    search = keras_tuner_search(X=panel.X.iloc[train], y=panel.y.iloc[train], **settings.get_params(deep=False))
    comparison = compare_explainers(
        search,
        panel.X.iloc[_spread(test, n_rows)],
        panel.X.iloc[_spread(train, n_background)],
        methods=["lrp-all", "gradient-x-input", "shap-permutation"],
        random_state=plan.random_state,
    )
    audit = audit_leakage(plan.search(max_trials=1), panel.X, panel.y, cv=plan.cv, n_windows=1, checks=CHECKS)
    return Insight(search, panel.X.iloc[test], comparison, audit)


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    return rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]


# %%
# Figures
# -------


def figures_table(results: Mapping[str, BacktestResult], candidates: Mapping[str, BacktestResult]) -> pd.DataFrame:
    """Reward and risk of each strategy after costs.

    Parameters
    ----------
    results : mapping of str to BacktestResult
        Strategies, with buy and hold among them.
    candidates : mapping of str to BacktestResult
        What else was tried; it counts in the deflated Sharpe ratio.

    Returns
    -------
    DataFrame of shape (n_figures, n_strategies)
        Return and volatility in percent a year; the Sharpe ratio and its standard error; deepest drawdown in percent;
        VaR and CVaR in percent a day; the share of days in the stock and the number of trades; the probability that the
        Sharpe ratio is better than luck would give the best of all trials. Against buy and hold: Newey-West t of the
        difference, the same probability for the difference, alpha in percent a year and its t.
    """
    returns = {name: result.long_short.dropna() for name, result in {**candidates, **results}.items()}
    sharpes = {name: sharpe_ratio(net, periods_per_year=DAYS) for name, net in returns.items()}
    hold = returns[HOLD]
    active = {name: net - hold for name, net in returns.items() if name != HOLD and not net.equals(hold)}
    over_hold = [sharpe_ratio(net, periods_per_year=DAYS) for net in active.values()]
    table = {}
    for name, result in results.items():
        net, summary = returns[name], result.summary()
        column = {
            "Return (% a year)": 100 * summary["Return"],
            "Volatility (% a year)": 100 * summary["Volatility"],
            "Sharpe ratio": summary["Sharpe ratio"],
            "Standard error": summary["Sharpe standard error"],
            "Max drawdown (%)": 100 * summary["Max drawdown"],
            "VaR 95 % (% a day)": 100 * value_at_risk(net),
            "CVaR 95 % (% a day)": 100 * conditional_value_at_risk(net),
            "Days in the stock (%)": 100 * float((_held(result) != 0).mean()),
            "Trades": float((result.turnover.dropna() > ROUNDING).sum()),
            "Deflated Sharpe ratio": deflated_sharpe_ratio(
                net, trial_sharpe_ratios=list(sharpes.values()), periods_per_year=DAYS
            ),
        }
        if name in active:
            regression = alpha_beta(net, hold, periods_per_year=DAYS)
            column |= {
                "t of difference from hold": newey_west_t(active[name]),
                "Deflated, difference": deflated_sharpe_ratio(
                    active[name], trial_sharpe_ratios=over_hold, periods_per_year=DAYS
                )
                if len(over_hold) > 1
                else np.nan,
                "Alpha (% a year)": 100 * regression.alpha_annualised,
                "t of alpha": regression.t_values["alpha"],
            }
        table[name] = column
    return pd.DataFrame(table)


def _held(result: BacktestResult) -> "pd.Series[float]":
    """Position of the stock by date; 0 where it was sold."""
    dates = result.long_short.dropna().index
    return result.positions.groupby(level="date").sum().reindex(dates, fill_value=0.0)


def forecast_table(panel: StockPanel, forecasts: Mapping[str, "pd.Series[float]"]) -> pd.DataFrame:
    """R² against a forecast of 0, in percent, correlation with what was earned, and how often the sign was right."""
    rows = {}
    for name, forecast in forecasts.items():
        earned = panel.y.loc[forecast.index]
        rows[name] = {
            "R² (%)": 100 * r2_oos(earned, forecast),
            "Correlation": float(np.corrcoef(earned, forecast)[0, 1]),
            "Sign right (%)": 100 * float((np.sign(earned) == np.sign(forecast)).mean()),
            "Above 0 (%)": 100 * float((forecast > 0).mean()),
        }
    rows["Always up"] = {"Sign right (%)": 100 * float((earned > 0).mean()), "Above 0 (%)": 100.0}
    return pd.DataFrame(rows).T


def relevance_table(comparison: ExplainerComparison) -> pd.DataFrame:
    """Mean size of each descriptor's contribution by method, in percent of return, all lags together."""
    return pd.DataFrame(
        {
            method: 100 * explanation.by_descriptor().abs().mean()
            for method, explanation in comparison.explanations.items()
        }
    )


# %%
# Wrong
# -----
# One mistake at a time, each on the same days.


def run_wrong(
    panel: StockPanel,
    plan: Plan,
    forecasts: "pd.Series[float]",
    candidates: Mapping[str, BacktestResult],
    insight: Insight,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Make the mistakes that the study avoids.

    Parameters
    ----------
    panel, plan : StockPanel and Plan
        As of the study.
    forecasts : Series indexed by (date, asset)
        Honest forecasts of the LSTM.
    candidates : mapping of str to BacktestResult
        The trials of the search, traded on the test days.
    insight : Insight
        The last search.

    Returns
    -------
    figures : DataFrame of shape (n_mistakes, 4)
        Return in percent a year, Sharpe ratio, deepest drawdown in percent and CVaR in percent a day.
    notes : dict of str to str
        What a wrong Sharpe ratio and value at risk would say, and what the package answers to other mistakes.
    """
    X, y = panel.X, panel.y
    right = plan.trade(forecasts, y)
    days = y.loc[forecasts.index]
    same_bar = y.groupby(level="asset").shift(1).dropna()  # of the day that ends at the close of the order
    globally = (X - X.mean()) / X.std(ddof=0)
    unscaled = plan.search().set_params(estimator__scale="passthrough")  # a scaler of its own would undo it
    best = max(candidates, key=lambda name: candidates[name].summary()["Sharpe ratio"])
    seen = clone(insight.search.best_estimator_).fit(X, y)
    in_sample = pd.Series(seen.predict(X.loc[forecasts.index]), index=forecasts.index)
    free = Plan(**{**vars(plan), "cost": 0.0})
    traded = {
        "Right": right,
        "No costs": free.trade(forecasts, y),
        "Traded at the close that the forecast is made of": plan.trade(forecasts, y, delay=0),
        "Earns the return of the bar that the forecast is made of": plan.trade(forecasts, same_bar, delay=0),
        "Scaler fitted on all days": plan.trade(plan.walk(unscaled, globally, y), y),
        f"Best of {len(candidates)} trials on the test days": candidates[best],
        "Network fitted on the test days too": plan.trade(in_sample, y),
        "In sample, same bar, no costs": free.trade(in_sample, same_bar, delay=0),
    }
    table = pd.DataFrame(
        {
            name: {
                "Return (% a year)": 100 * result.summary()["Return"],
                "Sharpe ratio": result.summary()["Sharpe ratio"],
                "Max drawdown (%)": 100 * result.summary()["Max drawdown"],
                "CVaR 95 % (% a day)": 100 * conditional_value_at_risk(result.long_short.dropna()),
            }
            for name, result in traded.items()
        }
    ).T
    net = right.long_short.dropna()
    found = audit_leakage(plan.network(), globally, y, cv=plan.cv, checks={"full_sample_scaling"})
    notes = {
        "Sharpe ratio with a free rate of 1 % a day": f"{(net.mean() - 0.01) / net.std():.3f} "
        f"(right: {sharpe_ratio(net, periods_per_year=DAYS):.3f} a year)",
        "VaR 95 % of the stock in place of the strategy": f"{100 * value_at_risk(days):.2f} % a day "
        f"(strategy: {100 * value_at_risk(net):.2f} %)",
        "An audit of the rows that are scaled by all days": "; ".join(found.codes) or "finds nothing",
        "SHAP with the explained rows as background": _refusal(insight),
    }
    return table, notes


def _refusal(insight: Insight) -> str:
    try:
        compare_explainers(insight.search, insight.test[:20], insight.test[:20], methods=["shap-permutation"])
    except SkdrfmError as error:
        return f"refused: {error}"
    return "accepted"


# %%
# Pictures
# --------


def draw_wealth(results: Mapping[str, BacktestResult], source: str) -> Figure:
    """Draw wealth and loss from the peak of each strategy, and the days on which the LSTM holds the stock."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    wealth, loss, days = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 0.5])
    styles = dict(zip(results, [("-", 2.0), ("--", 1.4), (":", 2.0)], strict=False))
    colors = matplotlib.colormaps["tab10"].colors
    for color, (name, result) in zip(colors, results.items(), strict=False):
        net = result.long_short.dropna()
        style, width = styles[name]
        options = {"color": color, "linestyle": style, "linewidth": width, "label": name}
        wealth.plot(net.index, (1 + net).cumprod(), **options)
        loss.plot(net.index, 100 * drawdown_series(net), **options)
    wealth.set(title=f"{source}: wealth after costs, 1 at the start (log scale)", yscale="log", ylabel="Wealth")
    wealth.yaxis.set_major_formatter("{x:.2g}")
    wealth.yaxis.set_minor_formatter("{x:.2g}")
    wealth.legend()
    loss.set(title="Loss from the highest wealth so far", ylabel="%")
    held = _held(results[LSTM])
    days.fill_between(held.index, 0, held, step="post", color=colors[0], alpha=0.6, linewidth=0)
    days.set(title=f"Days on which {LSTM} holds the stock", yticks=[], ylim=(0, 1))
    return figure


def draw_relevance(comparison: ExplainerComparison) -> Figure:
    """Draw what forecasts rest on: LRP by descriptor and lag, and LRP beside SHAP by descriptor."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    cells, bars = figure.subplots(1, 2)
    RelevanceHeatmapDisplay.from_explanation(comparison.explanations["lrp-all"]).plot(cells)
    cells.set(title="LRP by lag", xlabel="Lag (days before the trade)")
    table = relevance_table(comparison)[["lrp-all", "shap-permutation"]]
    at = np.arange(len(table))
    for place, (method, color) in enumerate(zip(table, matplotlib.colormaps["tab10"].colors, strict=False)):
        bars.barh(at + 0.4 * place - 0.2, table[method], 0.38, color=color, hatch="//" if place else "", label=method)
    bars.set_yticks(at, table.index)
    bars.invert_yaxis()
    bars.set(title="Mean size of contributions, all lags", xlabel="% of return")
    bars.legend()
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
    parser.add_argument(
        "--days", type=int, default=1300, metavar="N", help="bars of the simulated stock (default 1300)"
    )
    parser.add_argument("--train", type=int, default=750, metavar="N", help="days in a training window (default 750)")
    parser.add_argument("--test", type=int, default=240, metavar="N", help="days from fit to fit (default 240)")
    parser.add_argument("--trials", type=int, default=4, metavar="N", help="candidates of each search (default 4)")
    parser.add_argument(
        "--epochs", type=int, default=10, metavar="N", help="passes over the training days (default 10)"
    )
    parser.add_argument("--cost", type=float, default=COST, metavar="C", help=f"cost of a unit traded (default {COST})")
    parser.add_argument("--rows", type=int, default=30, metavar="N", help="test days to explain (default 30)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of networks and proposals (default 0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--wrong", action="store_true", help="also make the usual mistakes, for comparison")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the Word report, tables and pictures")
    options = parser.parse_args(arguments)
    simulated = options.simulate or options.data is None
    plan = Plan(
        train_size=options.train,
        test_size=options.test,
        max_trials=options.trials,
        epochs=options.epochs,
        cost=options.cost,
        n_jobs=options.jobs,
        random_state=options.seed,
    )
    start = time.perf_counter()
    try:
        bars = simulate(options.days) if simulated else load(options.data)
        panel = make_panel(bars)
        forecasts, results = run(panel, plan)
        insight = look_inside(panel, plan, n_rows=options.rows)
        candidates = run_candidates(panel, plan, insight.search)
    except (PanelError, PanelFileError, ValueError) as error:
        parser.error(str(error))
    source = f"{bars.index.get_level_values('asset')[0]}{' (not a real stock)' if simulated else ', daily bars'}"
    net = results[LSTM].long_short.dropna()
    n_strategies = len(results) + len(candidates)
    print(source)
    print(
        f"{len(net)} test days from {net.index[0]:%Y-%m-%d} to {net.index[-1]:%Y-%m-%d} in "
        f"{plan.cv.get_n_splits(panel.X)} windows; {insight.search.n_trials_} candidates in each search; cost "
        f"{plan.cost:g} of each unit traded; {time.perf_counter() - start:.0f} s\n"
    )
    agreement = insight.comparison.agreement(by="descriptor")
    tables = {
        "forecasts": forecast_table(panel, forecasts),
        "strategies": figures_table(results, candidates),
        "trials": insight.search.trials_.drop(columns=["seconds", "error"]),
        "relevance": relevance_table(insight.comparison),
        "agreement": agreement,
    }
    notes = {"Strategies that count in the deflated Sharpe ratio": str(n_strategies)}
    notes["Audit"] = ", ".join(insight.audit.codes) or f"nothing found in {len(insight.audit.checked)} checks"
    if options.wrong:
        tables["wrong"], more = run_wrong(panel, plan, forecasts[LSTM], candidates, insight)
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
        draw_relevance(insight.comparison).savefig(options.out / "single_stock_relevance.png", dpi=110)
        sharpes = [sharpe_ratio(result.long_short.dropna(), periods_per_year=DAYS) for result in candidates.values()]
        report = BacktestReport(
            results,
            title=f"One stock: {source}",
            source=source,
            simulated=simulated,
            n_trials=n_strategies,
            trial_sharpe_ratios=sharpes,
            comparison=insight.comparison,
            audit=insight.audit,
        )
        print(f"written: {report.to_docx(options.out / 'single_stock.docx')}")
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
