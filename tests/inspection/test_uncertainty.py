from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm import WalkForwardSplit, make_factor_panel, stack_lags, walk_forward_predict
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.explanation import Explanation
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._plot_uncertainty import ContributionStatisticsDisplay
from skdrfm.inspection._uncertainty import contribution_statistics
from skdrfm.metrics import newey_west_t
from skdrfm.portfolio import long_short_weights, quantile_weights

NAMES = ["BETA", "CAP", "SKEW"]
GROUPS = {"Risk": ["BETA", "SKEW"], "Size": ["CAP"]}
N_DATES, N_ASSETS = 9, 10


def make_explanation(seed, *, n_dates=N_DATES, drift=0.0):
    """Two lags of three descriptors; the first seed makes the rows, each seed its own loadings and bias."""
    dates = pd.date_range("2010-01", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, range(N_ASSETS)], names=["date", "asset"])
    data = np.random.default_rng(100).normal(size=(len(index), 2, 3))
    rng = np.random.default_rng(seed)
    loadings = rng.normal(0.01, 0.02, size=data.shape)
    loadings[:, :, 1] += drift
    bias, state = rng.normal(0, 0.001, size=(2, len(index)))
    nothing = np.zeros(len(index))
    return Explanation(
        loadings=loadings,
        data=data,
        predictions=(loadings * data).sum(axis=(1, 2)) + bias + state,
        bias=bias,
        stabilizer=nothing,
        state=state,
        index=index,
        descriptor_names=NAMES,
        lags=[3, 0],
    )


@pytest.fixture(scope="module")
def seeds():
    return [make_explanation(seed) for seed in (1, 2, 3)]


@pytest.fixture
def ax():
    return Figure().add_subplot()


def slow_contributions(seeds, columns):
    """Loop over seeds, dates and rows: what a group adds to the forecast of the long/short portfolio."""
    index = seeds[0].index
    forecast = pd.Series(sum(seed.predictions for seed in seeds) / len(seeds), index=index)
    weights = long_short_weights(forecast, n_quantiles=5)
    dates = index.get_level_values("date").unique()
    found = np.zeros((len(seeds), len(dates)))
    for s, seed in enumerate(seeds):
        for row, (date, _) in enumerate(index):
            for j in columns:
                for t in range(2):
                    found[s, dates.get_loc(date)] += weights.iloc[row] * seed.data[row, t, j] * seed.loadings[row, t, j]
    return found


class TestReferenceValues:
    def test_figures_are_those_of_a_slow_loop(self, seeds):
        statistics = contribution_statistics(seeds, groups=GROUPS)
        for group, columns in (("Risk", [0, 2]), ("Size", [1])):
            by_seed_and_date = slow_contributions(seeds, columns)
            np.testing.assert_allclose(statistics.by_seed_and_date[group], by_seed_and_date.ravel(), rtol=1e-12)
            row, series = statistics.table.loc[group], by_seed_and_date.mean(axis=0)
            mean = series.mean()
            assert row["mean"] == pytest.approx(mean)
            assert row["t"] == pytest.approx(newey_west_t(series))
            assert row["standard_error"] == pytest.approx(mean / newey_west_t(series))
            assert row["spread_over_dates"] == pytest.approx(series.std(ddof=1))
            assert row["spread_over_seeds"] == pytest.approx(by_seed_and_date.mean(axis=1).std(ddof=1))
            same = [np.sign(value) == np.sign(mean) for value in series]
            assert row["sign_stability_dates"] == pytest.approx(sum(same) / N_DATES)
            same = [np.sign(value) == np.sign(mean) for value in by_seed_and_date.mean(axis=1)]
            assert row["sign_stability_seeds"] == pytest.approx(sum(same) / 3)

    def test_the_mean_size_is_that_of_single_names(self, seeds):
        sizes = np.mean([np.abs(seed.by_group(GROUPS)).to_numpy().mean(axis=0) for seed in seeds], axis=0)
        table = contribution_statistics(seeds, groups=GROUPS).table
        np.testing.assert_allclose(table.loc[["Risk", "Size"], "mean_size"], sizes)

    def test_lags_of_the_standard_error_can_be_chosen(self, seeds):
        statistics = contribution_statistics(seeds, n_lags=4)
        for name in NAMES:
            assert statistics.table.loc[name, "t"] == pytest.approx(newey_west_t(statistics.by_date()[name], n_lags=4))
        assert statistics.n_lags == 4

    def test_lags_and_pairs_add_up_to_the_groups(self, seeds):
        by_group = contribution_statistics(seeds, groups=GROUPS).table["mean"]
        by_lag = contribution_statistics(seeds, groups=GROUPS, by="lag").table["mean"]
        pairs = contribution_statistics(seeds, groups=GROUPS, by="group_and_lag").table["mean"]
        assert by_lag.index.tolist() == [3, 0]
        assert pairs.index.tolist() == [("Risk", 3), ("Risk", 0), ("Size", 3), ("Size", 0)]
        np.testing.assert_allclose(pairs.groupby("group").sum(), by_group.drop("intercept"))
        np.testing.assert_allclose(pairs.groupby("lag", sort=False).sum(), by_lag)

    def test_a_planted_mean_is_found_with_a_large_t(self):
        explanations = [make_explanation(seed, n_dates=40, drift=0.2) for seed in range(3)]
        table = contribution_statistics(explanations).table
        assert table.loc["CAP", "t"] > 10
        assert table.loc["CAP", ["sign_stability_dates", "sign_stability_seeds"]].tolist() == [1, 1]
        assert table["mean"].idxmax() == "CAP"


class TestProperties:
    @pytest.mark.parametrize("weights", ["long_short", "long", "equal"])
    def test_groups_and_intercept_add_up_to_the_forecast_of_the_portfolio(self, seeds, weights):
        forecast = pd.Series(np.mean([seed.predictions for seed in seeds], axis=0), index=seeds[0].index)
        portfolio = {
            "long_short": long_short_weights(forecast),
            "long": quantile_weights(forecast)[5],
            "equal": pd.Series(1 / N_ASSETS, index=forecast.index),
        }[weights]
        statistics = contribution_statistics(seeds, groups=GROUPS, weights=weights)
        expected = (portfolio * forecast).groupby(level="date").sum()
        np.testing.assert_allclose(statistics.by_date().sum(axis=1), expected, rtol=1e-12)
        given = contribution_statistics(seeds, groups=GROUPS, weights=portfolio.sample(frac=1, random_state=0))
        np.testing.assert_allclose(given.table, statistics.table)
        assert given.weights == "given"

    def test_the_order_of_rows_does_not_matter(self, seeds):
        rows = np.random.default_rng(0).permutation(len(seeds[0]))
        shuffled = contribution_statistics([seed[rows] for seed in seeds])
        np.testing.assert_allclose(shuffled.table, contribution_statistics(seeds).table)

    def test_one_seed_has_no_spread_over_seeds(self, seeds):
        statistics = contribution_statistics(seeds[0])
        assert statistics.table[["spread_over_seeds", "sign_stability_seeds"]].isna().all(axis=None)
        assert statistics.table.drop(columns=["spread_over_seeds", "sign_stability_seeds"]).notna().all(axis=None)
        assert (statistics.n_seeds, statistics.n_dates) == (1, N_DATES)

    def test_one_date_has_no_error(self, seeds):
        table = contribution_statistics([seed[:N_ASSETS] for seed in seeds]).table
        assert table[["standard_error", "t", "spread_over_dates"]].isna().all(axis=None)

    def test_a_mapping_names_the_seeds(self, seeds):
        statistics = contribution_statistics(dict(zip("abc", seeds, strict=True)))
        assert statistics.by_seed().index.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(statistics.by_seed(), contribution_statistics(seeds).by_seed())

    def test_equal_seeds_have_no_spread_in_the_band(self, seeds):
        statistics = contribution_statistics([seeds[0], seeds[0]])
        assert (statistics.spread_by_date().to_numpy() < 1e-15).all()

    def test_dates_with_too_few_names_are_left_out_and_counted(self, seeds):
        keep = np.arange(len(seeds[0])) >= N_ASSETS - 3
        with pytest.warns(CoverageWarning, match="1 of 9 dates"):
            statistics = contribution_statistics([seed[keep] for seed in seeds])
        assert (statistics.n_dates, statistics.n_dates_left_out) == (8, 1)
        whole = contribution_statistics([seed[N_ASSETS:] for seed in seeds])
        pd.testing.assert_frame_equal(statistics.table, whole.table)

    def test_numbers_cannot_be_overwritten_and_the_frame_is_a_copy(self, seeds):
        statistics = contribution_statistics(seeds)
        with pytest.raises(ValueError, match="read-only"):
            statistics.table.to_numpy()[0, 0] = 1
        frame = statistics.to_frame()
        frame.iloc[0, 0] = 9.0
        assert statistics.table.iloc[0, 0] != 9.0

    def test_a_walk_by_group_has_the_figures_of_its_whole_explanation(self):
        X, y = stack_lags(*make_factor_panel(n_dates=24, n_assets=12, n_descriptors=3, random_state=0), lags=(0, 1))
        groups = {"Risk": ["60VOL", "BETA"], "Other": ["SKEW"]}
        options = {"cv": WalkForwardSplit(12, test_size=2), "explain": True, "progress": False}
        whole = walk_forward_predict(LinearFactorRegressor(), X, y, **options)
        by_group = walk_forward_predict(LinearFactorRegressor(), X, y, groups=groups, **options)
        expected = contribution_statistics(whole, groups=groups)
        for given in (None, groups):
            found = contribution_statistics([by_group], groups=given)
            np.testing.assert_allclose(found.table, expected.table, rtol=1e-9, atol=1e-15)
        with pytest.raises(PanelError, match="asked for these groups"):
            contribution_statistics(by_group, by="lag")
        with pytest.raises(PanelError, match="explain=True"):
            contribution_statistics(replace(whole, explanation=None))


class TestDisplay:
    def test_means_have_bars_errors_and_dots(self, seeds, ax):
        display = ContributionStatisticsDisplay.from_explanations(seeds, groups=GROUPS, n_groups=2)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        table = display.to_frame()
        order = table["mean"].abs().sort_values(ascending=False).index[:2]
        assert [label.get_text() for label in ax.get_yticklabels()] == list(order)
        np.testing.assert_allclose([bar.get_width() for bar in ax.patches], table.loc[order, "mean"])
        segments = ax.collections[0].get_segments()
        widths = [segment[1, 0] - segment[0, 0] for segment in segments]
        np.testing.assert_allclose(widths, 4 * table.loc[order, "standard_error"])
        dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
        np.testing.assert_allclose([line.get_xdata() for line in dots], display.statistics.by_seed()[list(order)].T)

    def test_lines_have_bands_over_seeds(self, seeds, ax):
        display = ContributionStatisticsDisplay.from_explanations(seeds, kind="time", by="group_and_lag").plot(ax)
        assert len(ax.collections) == 5
        by_date = display.statistics.by_date()
        strongest = display.statistics.table["mean"].abs().idxmax()
        np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), by_date[strongest])
        assert ax.get_lines()[1].get_label() == f"{strongest[0]}, lag {strongest[1]}"
        assert display.to_frame().shape == (3 * N_DATES, 6)

    @pytest.mark.parametrize("kind", ["mean", "time"])
    def test_one_seed_on_one_date_is_drawn(self, seeds, kind):
        display = ContributionStatisticsDisplay.from_explanations(seeds[0][:N_ASSETS], kind=kind).plot()
        display.figure_.draw_without_rendering()
        plt.close(display.figure_)

    @pytest.mark.parametrize(
        ("options", "message"),
        [({"kind": "bar"}, "'kind'"), ({"n_groups": 0}, "'n_groups'"), ({"n_groups": 1.5}, "'n_groups'")],
    )
    def test_options_are_checked(self, seeds, ax, options, message):
        with pytest.raises(PanelError, match=message):
            ContributionStatisticsDisplay.from_explanations(seeds, **options).plot(ax)


class TestValidation:
    @pytest.mark.parametrize("given", [[], {}, 3, "explanation", [make_explanation, 3]])
    def test_other_things_than_explanations_are_refused(self, given):
        with pytest.raises(PanelError, match="'explanations' must be"):
            contribution_statistics(given)

    def test_seeds_must_explain_the_same_rows(self, seeds):
        for other in (seeds[1][::-1], seeds[1][5:], replace(seeds[1], index=None)):
            with pytest.raises(PanelError, match="same rows in the same order"):
                contribution_statistics([seeds[0], other])

    def test_seeds_must_have_the_same_descriptors(self, seeds):
        other = replace(seeds[1], descriptor_names=["BETA", "CAP", "ROE"])
        with pytest.raises(PanelError, match="same descriptors"):
            contribution_statistics([seeds[0], other])

    def test_rows_must_have_a_panel_index(self, seeds):
        other = replace(seeds[0], index=seeds[0].index.set_names(["month", "permno"]))
        with pytest.raises(PanelError, match="'month', 'permno'"):
            contribution_statistics(other)
        with pytest.raises(PanelError, match="without an index"):
            contribution_statistics(replace(seeds[0], index=None))

    def test_the_name_of_the_intercept_is_taken(self, seeds):
        with pytest.raises(PanelError, match="No group or descriptor must have the name 'intercept'"):
            contribution_statistics(seeds, groups={"intercept": ["BETA"], "Other": ["CAP", "SKEW"]})

    def test_groups_must_hold_each_descriptor(self, seeds):
        with pytest.raises(PanelError, match="must be in a group"):
            contribution_statistics(seeds, groups={"Risk": ["BETA"]})

    def test_relevances_must_be_finite(self, seeds):
        loadings = seeds[0].loadings.copy()
        loadings[0, 0, 0] = np.nan
        with pytest.raises(NonFiniteError, match="BETA"):
            contribution_statistics(replace(seeds[0], loadings=loadings))

    def test_given_weights_must_cover_the_rows(self, seeds):
        weights = pd.Series(0.1, index=seeds[0].index)
        with pytest.raises(PanelError, match="3 rows without one"):
            contribution_statistics(seeds, weights=weights.iloc[3:])
        with pytest.raises(PanelError, match="finite on a date"):
            contribution_statistics(seeds, weights=weights.where(np.arange(len(weights)) > 0))
        with pytest.raises(PanelError, match="NaN on all 9 dates"):
            contribution_statistics(seeds, weights=weights * np.nan)

    @pytest.mark.parametrize("options", [{"by": "cell"}, {"weights": "short"}, {"n_quantiles": 1}, {"n_lags": -1}])
    def test_options_are_checked(self, seeds, options):
        with pytest.raises(InvalidParameterError, match=next(iter(options))):
            contribution_statistics(seeds, **options)
