import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.metrics import annualised_return, conditional_value_at_risk, max_drawdown, sharpe_ratio, value_at_risk

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "single_stock.py"


def _load_script():
    spec = importlib.util.spec_from_file_location("single_stock", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


script = _load_script()
SMALL = script.Plan(train_size=80, test_size=30, inner_splits=1, max_trials=1, epochs=1)
SMALL_OPTIONS = ["--simulate", "--days", "200", "--train", "80", "--test", "50", "--epochs", "1", "--rows", "3"]


@pytest.fixture(scope="module")
def bars():
    return script.simulate(210)


@pytest.fixture(scope="module")
def panel(bars):
    return script.make_panel(bars)


@pytest.fixture(scope="module")
def outcome(panel):
    return script.run(panel, SMALL)


@pytest.fixture
def linear(monkeypatch):
    """A study whose network is a linear model, which takes no time."""
    monkeypatch.setattr(script.Plan, "network", lambda plan: script._scaled("network", LinearFactorRegressor()))
    monkeypatch.setattr(script, "SPACE", {"network__fit_intercept": [True, False]})


def changed_after(bars, day):
    """Bars with other prices and volumes after a day."""
    rng = np.random.default_rng(1)
    later = bars.index.get_level_values("date") > day
    altered = bars.copy()
    altered.loc[later, ["open", "high", "low", "close", "adj_close"]] *= np.exp(rng.normal(0, 0.1, (later.sum(), 1)))
    altered.loc[later, "volume"] *= np.exp(rng.normal(0, 1, later.sum()))
    return altered


class TestPanel:
    def test_row_holds_the_five_days_before_its_date_and_the_return_after_it(self, bars, panel):
        close = bars["adj_close"].droplevel("asset")
        day = close.index[150]
        row = panel.X.xs(day, level="date").iloc[0]
        assert row["RETURN__lag1"] == close.iloc[149] / close.iloc[148] - 1
        assert row["RETURN__lag5"] == close.iloc[145] / close.iloc[144] - 1
        assert not any(name.endswith("__lag0") for name in panel.X.columns)
        assert panel.y.xs(day, level="date").item() == close.iloc[151] / close.iloc[150] - 1

    def test_a_split_changes_no_descriptor(self, bars):
        split = bars.copy()
        split[["open", "high", "low", "close", "adj_close"]] /= 4
        split["volume"] *= 4
        pd.testing.assert_frame_equal(script.describe(split), script.describe(bars), rtol=1e-9)

    def test_dividends_of_later_years_change_no_descriptor(self, bars):
        paid = bars.assign(adj_close=0.8 * bars["adj_close"])
        pd.testing.assert_frame_equal(script.describe(paid), script.describe(bars), rtol=1e-9)

    def test_bars_without_volume_are_refused(self, bars):
        with pytest.raises(PanelError, match="Got 1 without"):
            script.describe(bars.assign(volume=[0, *bars["volume"].iloc[1:]]))

    def test_bars_of_two_stocks_are_refused(self, bars, tmp_path):
        other = bars.rename(index={"SIMULATED": "OTHER"}, level="asset")
        pd.concat([bars, other]).to_csv(tmp_path / "bars.csv")
        with pytest.raises(PanelError, match="Got 2"):
            script.load(tmp_path / "bars.csv")

    def test_too_few_bars_are_refused(self, bars):
        with pytest.raises(PanelError, match="more than 70 days"):
            script.make_panel(bars.iloc[:62])


class TestStrategy:
    # 176 is the first day of the second window, and 175 would be if no day were left out before it.
    @pytest.mark.parametrize("position", [174, 175])
    def test_changing_bars_after_a_day_leaves_positions_up_to_the_next_close_as_they_were(
        self, bars, panel, outcome, position
    ):
        forecasts, results = outcome
        day, executed = bars.index.get_level_values("date")[[position, position + 1]]
        again = script.make_panel(changed_after(bars, day))
        assert not again.y.equals(panel.y)
        new_forecasts, new_results = script.run(again, SMALL)
        for name in (script.LSTM, script.LINEAR):
            old, new = forecasts[name].loc[:executed], new_forecasts[name].loc[:executed]
            assert len(old) > 0
            pd.testing.assert_series_equal(new, old, check_exact=True)
            assert not new_forecasts[name].equals(forecasts[name])
            old, new = (kept[name].positions.loc[:executed] for kept in (results, new_results))
            pd.testing.assert_series_equal(new, old, check_exact=True)

    def test_position_follows_the_forecast_of_its_date_which_was_known_a_close_before(self, outcome):
        forecasts, results = outcome
        for name in (script.LSTM, script.LINEAR):
            held = script.held_in(results[name])
            assert results[name].delay == 1
            expected = (forecasts[name].droplevel("asset").loc[held.index] > 0).astype(float)
            np.testing.assert_array_equal(held, expected)

    def test_net_return_is_that_of_the_next_close_less_costs_of_trades(self, panel, outcome):
        _, results = outcome
        result = results[script.LINEAR]
        held = script.held_in(result)
        traded = held.diff().abs().fillna(held.iloc[0])
        earned = held * panel.y.droplevel("asset").loc[held.index]
        np.testing.assert_allclose(result.long_short.dropna(), earned - script.COST * traded, atol=1e-15)
        assert 0 < traded.sum() < len(traded)

    def test_buy_and_hold_earns_the_stock_less_one_purchase(self, panel, outcome):
        _, results = outcome
        net = results[script.HOLD].long_short.dropna()
        stock = panel.y.droplevel("asset").loc[net.index]
        stock.iloc[0] -= script.COST
        np.testing.assert_allclose(net, stock, atol=1e-15)

    def test_strategies_and_buy_and_hold_have_the_same_days(self, outcome):
        _, results = outcome
        days = [list(result.long_short.dropna().index) for result in results.values()]
        assert days[0] == days[1] == days[2]


class TestTables:
    def test_risk_and_reward_are_those_of_the_strategy_after_costs(self, outcome):
        _, results = outcome
        table = script.figures_table(results)
        for name, result in results.items():
            net = result.long_short.dropna()
            expected = {
                "Return (% a year)": 100 * annualised_return(net, periods_per_year=252),
                "Sharpe ratio": sharpe_ratio(net, periods_per_year=252),
                "Max drawdown (%)": 100 * max_drawdown(net),
                "VaR 95 % (% a day)": 100 * value_at_risk(net),
                "CVaR 95 % (% a day)": 100 * conditional_value_at_risk(net),
            }
            np.testing.assert_allclose(table.loc[list(expected), name], list(expected.values()))

    def test_more_trials_make_the_deflated_sharpe_ratio_smaller(self, panel, outcome):
        forecasts, results = outcome
        rng, index = np.random.default_rng(0), forecasts[script.LSTM].index
        luck = {
            f"Trial {k}": SMALL.trade(pd.Series(rng.normal(size=len(index)), index=index), panel.y) for k in range(5)
        }
        alone, among = (
            script.figures_table({**results, **others}).loc["Deflated Sharpe ratio", list(results)]
            for others in ({}, luck)
        )
        assert (among < alone).all()

    def test_a_strategy_that_stays_in_cash_has_no_sharpe_ratio_and_leaves_those_of_others(self, panel, outcome):
        forecasts, results = outcome
        cash = SMALL.trade(pd.Series(-1.0, index=forecasts[script.LSTM].index), panel.y)
        alone, among = (
            script.figures_table({**results, **others}).loc["Deflated Sharpe ratio"]
            for others in ({}, {"Trial 0": cash})
        )
        assert np.isnan(among["Trial 0"])
        pd.testing.assert_series_equal(among[list(results)], alone)


class TestCommand:
    def test_simulated_study_writes_tables_pictures_and_a_word_report(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(script, "CHECKS", {"date_cut", "label_overlap"})  # those that fit nothing
        script.main([*SMALL_OPTIONS, "--trials", "1", "--out", str(tmp_path)])
        printed = capsys.readouterr().out
        assert "SIMULATED (not a real stock)" in printed
        assert "strategies" in printed
        assert "Trial 0" in printed
        assert "relative_gap" in printed
        written = {path.name for path in tmp_path.iterdir()}
        assert written >= {"strategies.csv", "single_stock_wealth.png", "single_stock_relevance.png"}
        docx = pytest.importorskip("docx")
        document = docx.Document(tmp_path / "single_stock.docx")
        words = {cell.text for table in document.tables for row in table.rows for cell in row.cells}
        assert words >= {script.LSTM, script.LINEAR, script.HOLD, "lrp-all", "shap-permutation"}

    @pytest.mark.usefixtures("linear")
    def test_each_mistake_gets_its_row_and_each_refusal_its_line(self, capsys):
        script.main([*SMALL_OPTIONS, "--trials", "2", "--wrong"])
        printed = capsys.readouterr().out
        assert "Scaler fitted on all days" in printed
        assert "Best of 2 trials on the test days" in printed
        assert "full_sample_scaling" in printed
        assert "SHAP with the explained rows as background: refused" in printed

    @pytest.mark.usefixtures("linear")
    def test_earning_the_bar_of_the_forecast_pays_the_return_before_the_order(self, panel):
        plan = replace(SMALL, cost=0.0, max_trials=2)
        forecasts, _ = script.run(panel, plan)
        search, _ = script.look_inside(panel, plan, n_rows=3)
        candidates = script.run_candidates(panel, plan, search)
        wrong, _ = script.run_wrong(panel, plan, forecasts[script.LSTM], candidates, search)
        row = wrong.loc["Earns the return of the bar that the forecast is made of"]
        orders = script.orders_of(forecasts[script.LSTM]).droplevel("asset")
        seen = panel.X["RETURN__lag1"].droplevel("asset").shift(-1).loc[orders.index]
        assert row["Return (% a year)"] == pytest.approx(100 * 252 * ((orders > 0) * seen).mean())

    def test_wrong_options_are_refused(self, capsys):
        with pytest.raises(SystemExit) as stop:
            script.main(["--simulate", "--days", "100"])
        assert stop.value.code == 2
        assert "dates" in capsys.readouterr().err

    def test_file_comes_from_the_environment(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SKDRFM_DATA", str(tmp_path))
        assert script.default_file() is None
        (tmp_path / script.STOCK_FILE).parent.mkdir()
        (tmp_path / script.STOCK_FILE).touch()
        assert script.default_file() == tmp_path / script.STOCK_FILE


class TestRealData:
    def test_the_apple_file_gives_nine_years_of_rows(self):
        path = script.default_file()
        if path is None:
            pytest.skip(f"needs {script.STOCK_FILE}: set SKDRFM_DATA to the folder that holds it")
        panel = script.make_panel(script.load(path))
        assert panel.X.shape == (2264 - 60 - 1 - 5, 30)
        assert script.Plan().cv.get_n_splits(panel.X) == 6
