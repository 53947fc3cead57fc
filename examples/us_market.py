"""
The US market from the returns of published predictors
======================================================

Forecasts the market's excess return of the next month from the long/short returns of 13 published predictors at five
lags, with networks and linear models that are fitted anew each month to the last 60 months. An earlier notebook asked
the same question. Three things are done otherwise here, and ``--wrong`` shows what the first two of them do:

* a scaler sees the 60 months of its own window and nothing else; the notebook scaled all years at once, with the
  target;
* all models get the same five lags; the notebook gave five to the networks and one to the linear model;
* descriptors belong to their groups by name; the notebook's groups went by position and had illiquidity in momentum.

The row of month t holds what is known at its end: the returns of months t, t-3, t-6, t-9 and t-12. Its target is the
market's return of month t+1. Two benchmarks know nothing of the predictors: the mean of the window's targets, and the
mean of all market returns so far.

What no set-up can mend: the predictors were chosen by papers written later than most of these months, so that their
average return, if not their link with the market, is known from the future.

Run it with::

    python examples/us_market.py --data ../shared/data --wrong --jobs 2 --out runs/us_market

Without ``--data`` and without the folder beside the repository it runs on a simulated market, and says so.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from sklearn.linear_model import RidgeCV

from skdrfm import DeepRecurrentFactorRegressor, Explanation, WalkForwardSplit, stack_lags, walk_forward_predict
from skdrfm.datasets import OPENAP_TO_PAPER, read_fama_french, read_openap_portfolios
from skdrfm.descriptors import GROUPS
from skdrfm.exceptions import PanelError, PanelFileError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import ContributionDisplay
from skdrfm.metrics import diebold_mariano, newey_west_t, performance_summary, r2_oos
from skdrfm.portfolio import backtest_weights, timing_weights

PORTFOLIO_FILE = "osap_longshort/osap_longshort_monthly_1926_2016.csv.gz"
MARKET_FILE = "ff_factors/ff3_monthly_1926_2023.csv.gz"
SIGNALS = {name: match.signal for name, match in OPENAP_TO_PAPER.items() if match.signal is not None}
LAGS, WRONG_LAGS = (0, 3, 6, 9, 12), (0, 1, 2, 3, 4)
WINDOW = 60
NETWORKS = {"LSTM 32": (32,), "LSTM 128-64-32": (128, 64, 32)}
RIDGE = RidgeCV(10.0 ** np.arange(0, 6))  # chooses by leaving out one row of the window at a time
WINDOW_MEAN, EXPANDING_MEAN, HOLD = "Window mean", "Expanding mean", "Buy and hold"
ALL_MONTHS = "0 (mean of all months, the future too)"
COST = 0.001
PUBLISHED_MSE = {"LSTM, lowest (published)": 0.97, "LSTM, highest (published)": 1.41, "Linear (published)": 1.33}
"""Figures of the earlier notebook: 14 predictors, other months, an index without dividends."""

# %%
# Data
# ----


def load(data_dir: Path) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """Read the predictors' returns, from the first month on that has them all, and the market's, in decimals.

    Columns have the names of the descriptors that the signals stand for. Returns keep the direction of Open Asset
    Pricing: long in the stocks that the papers expect to earn more.
    """
    returns = read_openap_portfolios(data_dir / PORTFOLIO_FILE, names=list(SIGNALS.values()))
    predictors = returns.set_axis(list(SIGNALS), axis=1)
    gaps = predictors.index[predictors.isna().any(axis=1)]
    market = read_fama_french(data_dir / MARKET_FILE)["Mkt-RF"]
    return predictors[predictors.index > gaps[-1]] if len(gaps) else predictors, market


def simulate(n_months: int = 180, random_state: int = 0) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """Simulate predictors and a market: 5 % of the variance of its next return is known from PSR and 1MOM."""
    rng = np.random.default_rng(random_state)
    months = pd.period_range("2000-01", periods=n_months + 1, freq="M", name="month")
    shocks = pd.DataFrame(rng.standard_normal((n_months, len(SIGNALS))), index=months[:-1], columns=list(SIGNALS))
    predictors = 0.004 + shocks * rng.uniform(0.02, 0.08, len(SIGNALS))
    signal = shocks["PSR"] + np.tanh(shocks["1MOM"])
    market = 0.006 + 0.043 * np.sqrt(0.95) * rng.standard_normal(n_months + 1)
    market[1:] += 0.043 * np.sqrt(0.05 / 1.4) * signal.to_numpy()
    return predictors, pd.Series(market, index=months, name="Mkt-RF")


def as_panel(predictors: pd.DataFrame, market: "pd.Series[float]", lags: Sequence[int] = LAGS) -> tuple[Any, Any]:
    """Put lagged predictors beside the market's return of the next month: a panel with one asset.

    Months whose next return is not known are left out.
    """
    following = market.reindex(predictors.index + 1).set_axis(predictors.index)
    known = following.notna()
    index = pd.MultiIndex.from_product([predictors.index[known], ["market"]], names=["date", "asset"])
    y = pd.Series(following[known].to_numpy(), index=index, name="next return")
    return stack_lags(predictors[known].set_axis(index), y, lags=lags)


# %%
# Windows
# -------
# A scaler in a Pipeline would see its own window only, too. But networks are trained side by side in one program only
# if they stand alone, and that is several times faster. So each window is scaled beforehand and becomes an asset of its
# own: 60 rows to train on and one to predict, all in units of these 60 rows.


@dataclass(frozen=True)
class ScaledWindows:
    """All windows below each other, each scaled by its own 60 training months; also the splitter of these rows."""

    X: pd.DataFrame  # lagged predictors by (date, asset); the asset is the month of the window's forecast
    y: "pd.Series[float]"  # target less the window's mean, over the window's standard deviation
    mean: "pd.Series[float]"  # of the training targets, decimal, by month of the forecast
    scale: "pd.Series[float]"  # their standard deviation

    def split(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and test rows of each window."""
        for rows in np.split(np.arange(len(self.y)), len(self.mean)):
            yield rows[:-1], rows[-1:]


def scale_windows(X: pd.DataFrame, y: "pd.Series[float]", cv: WalkForwardSplit) -> ScaledWindows:
    """Cut out each window and scale it by its training rows."""
    panels, targets, means, scales = [], [], {}, {}
    for train, test in cv.split(X, y):
        rows, past, target = np.append(train, test), X.iloc[train], y.iloc[train]
        month = y.index[test[0]][0]
        asset = {"market": f"forecast of {month}"}
        means[month], scales[month] = target.mean(), target.std(ddof=0)
        panels.append(((X.iloc[rows] - past.mean()) / past.std(ddof=0)).rename(asset, level="asset"))
        targets.append(((y.iloc[rows] - means[month]) / scales[month]).rename(asset, level="asset"))
    mean, scale = (pd.Series(figures).rename_axis("date") for figures in (means, scales))
    return ScaledWindows(pd.concat(panels), pd.concat(targets), mean, scale)


def shuffle_some(windows: ScaledWindows, random_state: int = 0, every: int = 8) -> ScaledWindows:
    """Take every eighth window and put its training targets into random order.

    Networks trained on them have nothing to find: their explanations show the shape of a network, not of a market.
    """
    rng = np.random.default_rng(random_state)
    splits = list(windows.split())[::every]
    rows = np.concatenate([np.append(train, test) for train, test in splits])
    order = np.concatenate([np.append(rng.permutation(train), test) for train, test in splits])
    y = windows.y.iloc[order].set_axis(windows.y.index[rows])
    return ScaledWindows(windows.X.iloc[rows], y, windows.mean.iloc[::every], windows.scale.iloc[::every])


# %%
# Forecasts
# ---------


@dataclass(frozen=True)
class MarketStudy:
    """Forecasts of all models for the same months, and what they rest on; all in decimals, by month."""

    realised: "pd.Series[float]"  # market excess return of the month after the index
    forecasts: pd.DataFrame  # of it, one column for each model, the two benchmarks among them
    scale: "pd.Series[float]"  # standard deviation of the 60 targets of each window
    explanations: Mapping[str, Explanation]  # of the forecasts; the window's mean is in the bias
    placebos: Mapping[str, Explanation]  # of every eighth forecast, by networks that were trained on shuffled targets


def make_networks(layers: Mapping[str, Sequence[int]], epochs: int) -> dict[str, DeepRecurrentFactorRegressor]:
    """Make networks of one direction, in steps of 32 rows, without a validation part, which 60 rows cannot spare."""
    options = {"bidirectional": False, "epochs": epochs, "batch_size": 32, "validation_fraction": 0.0}
    return {
        name: DeepRecurrentFactorRegressor(units=tuple(units), **options, random_state=0)
        for name, units in layers.items()
    }


def run(
    predictors: pd.DataFrame,
    market: "pd.Series[float]",
    *,
    networks: Mapping[str, Sequence[int]] = NETWORKS,
    first: str | None = None,
    epochs: int = 10,
    n_jobs: int | None = None,
) -> MarketStudy:
    """Fit all models to each window and forecast the month after it, from the month `first` (yyyy-mm) on."""
    X, y = as_panel(predictors, market)
    windows = scale_windows(X, y, splitter_from(first))
    shuffled = shuffle_some(windows)
    deep = make_networks(networks, epochs)

    def walk(model: Any, X: pd.DataFrame, scaled: ScaledWindows, explain: bool = False) -> Any:
        return walk_forward_predict(model, X, scaled.y, cv=scaled, explain=explain, n_jobs=n_jobs)

    walks = walk(deep, windows.X, windows, explain=True)
    walks["Linear"] = walk(LinearFactorRegressor(), windows.X, windows, explain=True)
    walks["Ridge"] = walk(RIDGE, windows.X, windows)
    walks["Linear, lag 0"] = walk(LinearFactorRegressor(), windows.X.filter(like="__lag0"), windows)
    placebos = walk(deep, shuffled.X, shuffled, explain=True)
    forecasts = {name: windows.mean + windows.scale * found.predictions.to_numpy() for name, found in walks.items()}
    forecasts[WINDOW_MEAN] = windows.mean
    forecasts[EXPANDING_MEAN] = market.expanding().mean().reindex(windows.mean.index)
    return MarketStudy(
        realised=y.droplevel("asset").reindex(windows.mean.index),
        forecasts=pd.DataFrame(forecasts),
        scale=windows.scale,
        explanations={name: _as_returns(walks[name].explanation, windows) for name in [*deep, "Linear"]},
        placebos={name: _as_returns(found.explanation, shuffled) for name, found in placebos.items()},
    )


def splitter_from(first: str | None) -> WalkForwardSplit:
    """Windows of 60 months, each with the month after it."""
    return WalkForwardSplit(WINDOW, first_test_date=None if first is None else pd.Period(first, freq="M"))


def _as_returns(explanation: Explanation, windows: ScaledWindows) -> Explanation:
    """Restate an explanation of scaled targets as one of returns."""
    mean, scale = windows.mean.to_numpy(), windows.scale.to_numpy()
    return replace(
        explanation,
        loadings=explanation.loadings * scale[:, None, None],
        predictions=explanation.predictions * scale + mean,
        bias=explanation.bias * scale + mean,
        stabilizer=explanation.stabilizer * scale,
        state=explanation.state * scale,
    )


# %%
# The wrong set-up
# ----------------


def run_wrong(
    predictors: pd.DataFrame,
    market: "pd.Series[float]",
    months: pd.Index,
    *,
    networks: Mapping[str, Sequence[int]] = NETWORKS,
    epochs: int = 10,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Forecast as the earlier notebook did, for comparison only: every forecast here has seen the future.

    Three rows say how to read the errors: a forecast of 0 in the scaled target, which is the mean of all months, past
    and future; the window's mean; and the error of 0 times what fitting regressors adds to it in expectation if they
    have no link with the target.
    """
    X, y = as_panel(predictors, market, WRONG_LAGS)
    mean, scale = y.mean(), y.std(ddof=0)
    X, y = (X - X.mean()) / X.std(ddof=0), (y - mean) / scale
    X_latest = X.filter(like="__lag0")
    common: dict[str, Any] = {"cv": splitter_from(str(months[0])), "n_jobs": n_jobs}
    walks = walk_forward_predict(make_networks(networks, epochs), X, y, **common)
    linear = LinearFactorRegressor(fit_intercept=False)
    walks["Linear, lag 0, no intercept"] = walk_forward_predict(linear, X_latest, y, **common)
    forecasts = {name: walk.predictions.droplevel("asset") for name, walk in walks.items()}
    realised = y.droplevel("asset")
    forecasts[ALL_MONTHS] = 0 * realised
    forecasts[WINDOW_MEAN] = realised.rolling(WINDOW).mean().shift(1)
    errors = {name: float(((realised - forecast).loc[months] ** 2).mean()) for name, forecast in forecasts.items()}
    k = X_latest.shape[1]  # of independent normal regressors
    errors[f"0, times what {k} regressors without any link add"] = (1 + k / (WINDOW - k - 1)) * errors[ALL_MONTHS]
    scaled = pd.Series(errors)
    return pd.DataFrame({"MSE (scaled by all months)": scaled, "MSE (%²)": 1e4 * scale**2 * scaled})


# %%
# Figures
# -------


def errors_table(study: MarketStudy) -> pd.DataFrame:
    """Compare forecasts: errors with standard errors (Newey-West), R² against both means, Diebold-Mariano tests.

    Errors are in units of the window's standard deviation and in percent squared, R² in percent, 0 for a forecast as
    good as the mean. Diebold-Mariano statistics are positive where the model of the row is better. Last comes how far
    a model moves its forecast from the window's mean, in percent a month: the standard deviation, and the distance that
    it keeps in four windows of five.
    """
    realised, forecasts = study.realised, study.forecasts
    tests = diebold_mariano(realised, forecasts, dates=realised.index).statistic
    rows = {}
    for name in forecasts:
        squared = (realised - forecasts[name]) ** 2
        row = {}
        for unit, errors in {"scaled": squared / study.scale**2, "%²": 1e4 * squared}.items():
            row[f"MSE ({unit})"] = errors.mean()
            row[f"s.e. ({unit})"] = errors.mean() / newey_west_t(errors)
        for mean in (WINDOW_MEAN, EXPANDING_MEAN):
            benchmark = forecasts[mean]
            row[f"R² against {mean.lower()} (%)"] = 100 * r2_oos(realised - benchmark, forecasts[name] - benchmark)
        for model in (WINDOW_MEAN, "Linear", "Linear, lag 0"):
            row[f"DM against {model}"] = tests.loc[model, name]
        moves = 100 * (forecasts[name] - forecasts[WINDOW_MEAN])
        rows[name] = row | {"Moves by (s.d., %)": moves.std(), "In 4 of 5 by less than (%)": moves.abs().quantile(0.8)}
    return pd.DataFrame(rows).T


def timing_returns(study: MarketStudy, *, cost: float = COST) -> pd.DataFrame:
    """Net returns by month of holding the market where the forecast is above 0, else nothing, and of holding it always.

    `cost` is the decimal cost of each unit traded, one side.
    """
    forecasts = study.forecasts.assign(**{HOLD: 1.0})
    index = pd.MultiIndex.from_product([forecasts.index, ["market"]], names=["date", "asset"])
    realised = study.realised.set_axis(index)
    weights = {name: timing_weights(forecasts[name].set_axis(index), short=False) for name in forecasts}
    return pd.DataFrame({name: backtest_weights(w, realised, cost=cost).long_short for name, w in weights.items()})


def timing_table(study: MarketStudy, *, cost: float = COST) -> pd.DataFrame:
    """Describe these strategies by their net excess returns, in percent per year.

    The t values (Newey-West) are of the mean and of the difference from buy and hold, NaN where there is none.
    """
    returns = timing_returns(study, cost=cost)
    figures = returns.apply(performance_summary, periods_per_year=12).T
    table = figures[["Return", "Volatility", "Sharpe ratio", "Newey-West t"]] * [100, 100, 1, 1]
    table.columns = ["Return (%)", "Volatility (%)", "Sharpe ratio", "t"]
    table["t of difference"] = returns.sub(returns[HOLD], axis=0).apply(newey_west_t)
    table["Months held (%)"] = 100 * study.forecasts.assign(**{HOLD: 1.0}).gt(0).mean()
    return table


def groups_of(explanation: Explanation) -> dict[str, list[str]]:
    """Assign the explained descriptors to their groups by name."""
    names = explanation.descriptor_names
    return {group: [name for name in members if name in names] for group, members in GROUPS.items()}


def group_shares(explanation: Explanation) -> pd.DataFrame:
    """Share of each group in the absolute contributions of each month, in percent."""
    return 100 * explanation.share(groups_of(explanation)).droplevel("asset")


def lag_shares(explanation: Explanation) -> pd.DataFrame:
    """Share of each lag in the absolute contributions of each month, in percent."""
    sizes = explanation.by_lag().abs().droplevel("asset")
    return 100 * sizes.div(sizes.sum(axis=1), axis=0)


def medians(study: MarketStudy, shares: Any) -> pd.DataFrame:
    """Medians over the months of `group_shares` or `lag_shares`, of the models and of networks trained on noise."""
    found = {name: shares(explanation).median() for name, explanation in study.explanations.items()}
    return pd.DataFrame(found | {f"{name}, placebo": shares(one).median() for name, one in study.placebos.items()})


# %%
# Pictures
# --------


def draw_relevance(study: MarketStudy) -> Figure:
    """Share of each group over time, for each explained model: the mean over the last 12 months."""
    figure = Figure(figsize=(9, 2.4 * len(study.explanations)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(study.explanations), 1, sharex=True))
    for ax, (name, explanation) in zip(axes, study.explanations.items(), strict=True):
        shares = (group_shares(explanation) / 100).rolling(min(12, len(study.realised))).mean().dropna()
        ContributionDisplay(shares).plot(ax, legend=bool(ax is axes[0]))
        ax.set(title=f"{name}: share of each group, mean over 12 months", ylabel="")
        ax.label_outer()
    return figure


def draw_shares(study: MarketStudy) -> Figure:
    """Median shares of groups and lags as bars, the middle half of the months as lines, placebos as marks."""
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    colors = matplotlib.colormaps["tab10"].colors
    titles = {group_shares: "Median share of each group (%)", lag_shares: "Median share of each lag, in months (%)"}
    for ax, (shares, title) in zip(figure.subplots(2, 1), titles.items(), strict=True):
        width = 0.8 / len(study.explanations)
        for k, (name, explanation) in enumerate(study.explanations.items()):
            low, middle, high = np.quantile(shares(explanation), [0.25, 0.5, 0.75], axis=0)
            at = np.arange(len(middle)) + (k - (len(study.explanations) - 1) / 2) * width
            ax.bar(at, middle, 0.9 * width, color=colors[k], label=name)
            ax.errorbar(at, middle, [middle - low, high - middle], fmt="none", ecolor="0.25", capsize=3)
            if name in study.placebos:
                label = "trained on shuffled targets" if k == 0 else None
                ax.plot(at, shares(study.placebos[name]).median(), "D", mfc="white", mec="black", label=label)
        labels = [str(label) for label in shares(explanation).columns]
        if shares is group_shares:
            counts = [len(names) for names in groups_of(explanation).values()]
            labels = [f"{label}\n({n} of {sum(counts)})" for label, n in zip(labels, counts, strict=True)]
            ax.set_ylim(0, 1.25 * ax.get_ylim()[1])  # room for the legend
            ax.legend(ncols=2)
        ax.set_xticks(range(len(labels)), labels)
        ax.set_title(title)
    return figure


def draw_forecasts(study: MarketStudy) -> Figure:
    """Sum of squared errors saved against the window's mean, and wealth of the timing strategies."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    squared = study.forecasts.rsub(study.realised, axis=0) ** 2
    saved = 1e4 * squared.rsub(squared[WINDOW_MEAN], axis=0).cumsum()
    wealth = (1 + timing_returns(study)).cumprod()
    shown = [*study.explanations, "Ridge", EXPANDING_MEAN, HOLD]
    colors = dict(zip(shown, matplotlib.colormaps["tab10"].colors, strict=False))
    months = study.realised.index.to_timestamp()
    for name, color in colors.items():
        if name not in ("Linear", HOLD):
            above.plot(months, saved[name], color=color, label=name)
        if name == HOLD or not wealth[name].equals(wealth[HOLD]):
            below.plot(months, wealth[name], color=color, label=name)
    above.axhline(0, color="0.4", linewidth=0.8)
    above.set_title("Squared errors saved against the window's mean, summed up (%², without Linear)")
    below.set(title="Wealth of the timing strategies after costs, from 1 (excess returns, log scale)", yscale="log")
    below.yaxis.set_major_formatter(LogFormatter())
    below.yaxis.set_minor_formatter(LogFormatter())
    for ax in (above, below):
        ax.legend(ncols=2)
    return figure


# %%
# Command
# -------


def default_data_dir() -> Path | None:
    """Folder of the data: the environment variable SKDRFM_DATA, else ../shared/data beside the repository."""
    if os.environ.get("SKDRFM_DATA"):
        return Path(os.environ["SKDRFM_DATA"])
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return beside if (beside / PORTFOLIO_FILE).is_file() else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Forecast the US market from the returns of published predictors.")
    parser.add_argument("--data", type=Path, default=default_data_dir(), metavar="DIR", help="folder of the data")
    parser.add_argument("--simulate", action="store_true", help="use a simulated market even where there are data")
    parser.add_argument("--months", type=int, default=180, metavar="N", help="months of the simulated market")
    parser.add_argument("--first", metavar="YYYY-MM", help="first month to forecast from")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="passes over the 60 months (default 10)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument("--wrong", action="store_true", help="also show the wrong set-up, for comparison")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for tables and pictures")
    options = parser.parse_args(arguments)
    simulated = options.simulate or options.data is None
    fits = {"networks": NETWORKS, "epochs": options.epochs, "n_jobs": options.jobs}
    start = time.perf_counter()
    try:
        predictors, market = simulate(options.months) if simulated else load(options.data)
        study = run(predictors, market, first=options.first, **fits)
    except (PanelError, PanelFileError, ValueError) as error:
        parser.error(str(error))
    months = study.realised.index
    print("Simulated market" if simulated else "US market, Mkt-RF")
    made = f"{len(months)} forecasts, made at the ends of {months[0]} to {months[-1]}"
    print(f"{made}; {options.epochs} epochs; {time.perf_counter() - start:.0f} s\n")
    tables = {"errors": errors_table(study), "timing": timing_table(study)}
    tables |= {"groups, medians (%)": medians(study, group_shares), "lags, medians (%)": medians(study, lag_shares)}
    if options.wrong:
        wrong = run_wrong(predictors, market, months, **fits)
        published = pd.DataFrame({wrong.columns[0]: PUBLISHED_MSE})
        tables["wrong set-up, for comparison"] = pd.concat([wrong, published])
    for title, table in tables.items():
        print(f"{title}\n{table.round(3).to_string()}\n")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        for title, table in tables.items():
            table.to_csv(options.out / f"{title.split()[0].strip(',')}.csv")
        study.forecasts.assign(realised=study.realised, scale=study.scale).to_csv(options.out / "forecasts.csv")
        for name, draw in {"relevance": draw_relevance, "shares": draw_shares, "forecasts": draw_forecasts}.items():
            draw(study).savefig(options.out / f"us_market_{name}.png", dpi=110)
        print(f"written: {options.out}")


if __name__ == "__main__":
    main()
