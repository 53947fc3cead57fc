import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelFileError

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "us_market.py"
TINY = {"LSTM 32": (3,), "LSTM 128-64-32": (3, 2)}
N_MONTHS, N_FORECASTS = 80, 8  # 12 months of lags and 60 of training come first


def _load_script():
    spec = importlib.util.spec_from_file_location("us_market", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["us_market"] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["us_market"]
    return module


script = _load_script()


@pytest.fixture(scope="module")
def data():
    return script.simulate(N_MONTHS)


@pytest.fixture(scope="module")
def study(data):
    return script.run(*data, networks=TINY, epochs=2)


class TestData:
    def test_target_of_a_month_is_the_return_of_the_next_one(self, data):
        predictors, market = data
        X, y = script.as_panel(predictors, market)
        month = pd.Period("2003-05", freq="M")
        assert y[month, "market"] == market[month + 1]
        assert X.loc[(month, "market"), "PSR__lag3"] == predictors.loc[month - 3, "PSR"]
        assert X.loc[(month, "market"), "PSR__lag0"] == predictors.loc[month, "PSR"]

    def test_files_are_read_from_the_first_complete_month_on_in_decimals(self, tmp_path):
        months = pd.period_range("1990-01", periods=8, freq="M")
        wide = pd.DataFrame({name: np.arange(1.0, 9.0) for name in script.SIGNALS.values()})
        wide.loc[:2, "Illiquidity"] = np.nan
        wide.insert(0, "date", months.to_timestamp(how="end").strftime("%Y-%m-%d"))
        factors = pd.DataFrame({"month": months.astype(str), "Mkt-RF": 2.0, "SMB": 0.5, "HML": 0.5, "RF": 0.1})
        for name, table in ((script.PORTFOLIO_FILE, wide), (script.MARKET_FILE, factors)):
            (tmp_path / name).parent.mkdir(parents=True)
            table.to_csv(tmp_path / name, index=False, na_rep="NA")
        predictors, market = script.load(tmp_path)
        assert list(predictors.index) == list(months[3:])
        assert predictors.loc["1990-04"].unique().tolist() == [0.04]
        assert market.tolist() == [0.02] * 8

    def test_missing_files_are_an_error_that_names_them(self, tmp_path, capsys):
        with pytest.raises(PanelFileError, match="osap_longshort"):
            script.load(tmp_path)
        with pytest.raises(SystemExit):
            script.main(["--data", str(tmp_path)])
        assert "osap_longshort" in capsys.readouterr().err


class TestWindows:
    def test_each_window_is_scaled_by_its_own_training_months(self, data):
        X, y = script.as_panel(*data)
        windows = script.scale_windows(X, y, script.WalkForwardSplit(60))
        splits = list(windows.split())
        assert len(splits) == N_FORECASTS
        for k in (0, 5):
            train, test = splits[k]
            past = slice(k, k + 60)
            np.testing.assert_allclose(windows.X.iloc[train].mean(), 0, atol=1e-12)
            np.testing.assert_allclose(windows.X.iloc[train].std(ddof=0), 1)
            expected = (X.iloc[k + 60] - X.iloc[past].mean()) / X.iloc[past].std(ddof=0)
            np.testing.assert_allclose(windows.X.iloc[test[0]], expected)
            np.testing.assert_allclose(
                windows.y.iloc[train], (y.iloc[past] - y.iloc[past].mean()) / y.iloc[past].std(ddof=0)
            )
            assert windows.mean.index[k] == X.index[k + 60][0]


class TestForecasts:
    def test_months_after_a_date_do_not_change_its_forecasts_by_a_bit(self, data, study):
        predictors, market = data
        at = study.realised.index[4]
        rng = np.random.default_rng(1)
        later, later_market = predictors.copy(), market.copy()
        later[later.index > at] += rng.normal(0, 1, later[later.index > at].shape)
        later_market[later_market.index > at] += 0.5
        changed = script.run(later, later_market, networks=TINY, epochs=2)
        pd.testing.assert_frame_equal(changed.forecasts[:at], study.forecasts[:at], check_exact=True)
        pd.testing.assert_series_equal(changed.scale[:at], study.scale[:at], check_exact=True)
        assert (changed.forecasts[at:].iloc[1:] != study.forecasts[at:].iloc[1:]).all(axis=None)
        for name, explanation in study.explanations.items():
            np.testing.assert_array_equal(changed.explanations[name].values[:5], explanation.values[:5])

    def test_benchmarks_are_the_means_of_the_past(self, data, study):
        _, market = data
        at = study.realised.index[3]
        assert study.forecasts.loc[at, "Window mean"] == pytest.approx(market[at - 59 : at].mean())
        assert study.forecasts.loc[at, "Expanding mean"] == pytest.approx(market[:at].mean())

    def test_a_later_start_changes_no_forecast(self, data, study):
        again = script.run(*data, networks={}, first=str(study.realised.index[-3]))
        linear = ["Linear", "Ridge", "Linear, lag 0"]
        pd.testing.assert_frame_equal(again.forecasts[linear], study.forecasts[linear].iloc[-3:], check_exact=True)

    def test_linear_forecasts_are_those_of_least_squares_in_the_units_of_returns(self, data, study):
        X, y = script.as_panel(*data)
        X = X.filter(like="__lag0")
        design = np.column_stack([np.ones(60), X.iloc[:60]])
        coefficients = np.linalg.lstsq(design, y.iloc[:60], rcond=None)[0]
        expected = coefficients[0] + X.iloc[60] @ coefficients[1:]
        assert study.forecasts["Linear, lag 0"].iloc[0] == pytest.approx(expected)

    def test_explanations_add_up_to_the_forecasts(self, study):
        assert list(study.explanations) == [*TINY, "Linear"]
        for name, explanation in study.explanations.items():
            np.testing.assert_allclose(explanation.predictions, study.forecasts[name])
            np.testing.assert_allclose(explanation.conservation_gap, 0, atol=1e-12)


class TestFigures:
    def test_errors_have_the_units_they_say(self, study):
        table = script.errors_table(study)
        error = study.realised - study.forecasts["Ridge"]
        assert table.loc["Ridge", "MSE (%²)"] == pytest.approx(((100 * error) ** 2).mean())
        assert table.loc["Ridge", "MSE (scaled)"] == pytest.approx(((error / study.scale) ** 2).mean())
        assert table.loc["Window mean", "R² against window mean (%)"] == 0
        mean = study.realised - study.forecasts["Window mean"]
        expected = 100 * (1 - (error**2).sum() / (mean**2).sum())
        assert table.loc["Ridge", "R² against window mean (%)"] == pytest.approx(expected)

    def test_a_better_forecast_has_a_positive_diebold_mariano_statistic(self, study):
        better = study.forecasts.assign(Ridge=0.5 * study.realised)
        table = script.errors_table(replace(study, forecasts=better))
        assert table.loc["Ridge", "DM against Window mean"] > 2
        assert table.loc["Ridge", "s.e. (%²)"] > 0

    def test_moves_of_a_forecast_are_its_distances_from_the_mean_of_the_window(self, study):
        table = script.errors_table(study)
        moves = 100 * (study.forecasts["Ridge"] - study.forecasts["Window mean"])
        assert table.loc["Ridge", "Moves by (s.d., %)"] == pytest.approx(moves.std())
        assert table.loc["Ridge", "In 4 of 5 by less than (%)"] == pytest.approx(np.quantile(np.abs(moves), 0.8))
        assert table.loc["Window mean", "Moves by (s.d., %)"] == 0

    def test_timing_earns_the_market_where_the_forecast_is_positive(self, study):
        forecasts = study.forecasts.assign(Ridge=np.where(np.arange(N_FORECASTS) % 2, 0.01, -0.01))
        changed = replace(study, forecasts=forecasts)
        returns = script.timing_returns(changed, cost=0.0)
        expected = np.where(np.arange(N_FORECASTS) % 2, study.realised, 0.0)
        np.testing.assert_allclose(returns["Ridge"], expected)
        np.testing.assert_allclose(returns["Buy and hold"], study.realised)
        table = script.timing_table(changed)
        assert table.loc["Ridge", "Months held (%)"] == 50
        assert table.loc["Ridge", "Return (%)"] < 1200 * expected.mean()
        assert np.isnan(table.loc["Buy and hold", "t of difference"])

    def test_groups_go_by_name_whatever_the_order_of_columns(self, data, study):
        predictors, market = data
        reverse = predictors[predictors.columns[::-1]]
        groups = script.groups_of(script.run(reverse, market, networks={}, epochs=1).explanations["Linear"])
        assert groups == script.groups_of(study.explanations["Linear"])
        assert groups["Size"] == ["CAP", "ILLIQ"]
        assert groups["Momentum"] == ["12-1MOM", "1MOM"]

    def test_shares_add_up_to_100_percent_in_each_month(self, study):
        for shares in (script.group_shares, script.lag_shares):
            np.testing.assert_allclose(shares(study.explanations["LSTM 32"]).sum(axis=1), 100)
            assert list(script.medians(study, shares)) == [*TINY, "Linear", *(f"{name}, placebo" for name in TINY)]

    def test_placebos_have_the_same_targets_in_another_order(self, data, study):
        windows = script.scale_windows(*script.as_panel(*data), script.WalkForwardSplit(60))
        shuffled = script.shuffle_some(windows, 0, every=3)
        pd.testing.assert_index_equal(shuffled.mean.index, windows.mean.index[::3])
        for k, (train, test) in enumerate(shuffled.split()):
            own, tested = list(windows.split())[3 * k]
            pd.testing.assert_frame_equal(shuffled.X.iloc[train], windows.X.iloc[own])
            assert sorted(shuffled.y.iloc[train]) == sorted(windows.y.iloc[own])
            assert (shuffled.y.iloc[train] != windows.y.iloc[own]).mean() > 0.9
            assert shuffled.y.iloc[test].tolist() == windows.y.iloc[tested].tolist()
        assert list(study.placebos) == list(TINY)
        assert len(study.placebos["LSTM 32"]) == 1


class TestWrongSetUp:
    def test_its_errors_before_a_date_change_with_the_months_after_it(self, data, study):
        predictors, market = data
        months = study.realised.index[:3]
        table = script.run_wrong(predictors, market, months, networks={}, epochs=1)
        later = market.copy()
        later[later.index > months[-1] + 1] += 0.5
        changed = script.run_wrong(predictors, later, months, networks={}, epochs=1)
        assert changed.loc[script.ALL_MONTHS, "MSE (%²)"] > 2 * table.loc[script.ALL_MONTHS, "MSE (%²)"]
        assert changed.loc["Window mean", "MSE (%²)"] == pytest.approx(table.loc["Window mean", "MSE (%²)"])

    def test_forecast_of_zero_has_an_error_of_one_over_all_months(self, data):
        y = script.as_panel(*data, script.WRONG_LAGS)[1]
        months = y.index.get_level_values("date")[60:]
        table = script.run_wrong(*data, months, networks={}, epochs=1)
        expected = ((y.iloc[60:] - y.mean()) ** 2).mean()
        assert table.loc[script.ALL_MONTHS, "MSE (%²)"] == pytest.approx(1e4 * expected)
        assert table.loc[script.ALL_MONTHS].iloc[0] == pytest.approx(expected / y.var(ddof=0))


class TestCommand:
    def test_simulated_run_from_end_to_end(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(script, "NETWORKS", TINY)
        script.main(
            ["--simulate", "--months", str(N_MONTHS), "--epochs", "1", "--wrong", "--out", str(tmp_path / "out")]
        )
        printed = capsys.readouterr().out
        assert printed.startswith("Simulated market\n8 forecasts, made at the ends of 2006-01 to 2006-08")
        assert "Linear (published)" in printed
        written = sorted(path.name for path in (tmp_path / "out").iterdir())
        tables = ["errors.csv", "forecasts.csv", "groups.csv", "lags.csv", "timing.csv", "wrong.csv"]
        pictures = [f"us_market_{name}.png" for name in ("forecasts", "relevance", "shares")]
        assert written == sorted([*tables, *pictures])
        forecasts = pd.read_csv(tmp_path / "out" / "forecasts.csv", index_col=0)
        assert forecasts.shape == (8, 9)
        assert forecasts.notna().all(axis=None)

    def test_too_few_months_are_an_error_of_one_sentence(self, capsys):
        with pytest.raises(SystemExit):
            script.main(["--simulate", "--months", "60"])
        assert "Traceback" not in capsys.readouterr().err
