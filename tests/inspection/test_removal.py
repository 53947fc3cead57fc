import pickle

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm import DeepRecurrentFactorRegressor, WalkForwardSplit, stack_lags, walk_forward_predict
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._plot_removal import RemovalDisplay
from skdrfm.inspection._removal import removal_check
from skdrfm.metrics import newey_west_t, r2_oos, rank_information_coefficient
from skdrfm.panel import LaggedPanel
from skdrfm.portfolio import backtest

# The return of a unit of each descriptor: planted, so that their order is known.
PREMIA = {"A": 0.05, "B": -0.04, "C": 0.03, "D": 0.02, "E": 0.0, "F": 0.0}
CV = WalkForwardSplit(12, test_size=4)


def make_panel(*, n_dates=34, n_assets=25, seed=0, premia=PREMIA):
    dates = pd.date_range("2010-01", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, [f"S{i:02d}" for i in range(n_assets)]], names=["date", "asset"])
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(len(index), len(premia))), index=index, columns=list(premia))
    return X, X @ pd.Series(premia) + rng.normal(0, 0.05, size=len(index))


@pytest.fixture(scope="module")
def panel():
    """Two lags of six descriptors, of which only the present ones matter; 20 test dates in 5 windows."""
    return stack_lags(*make_panel(), lags=(0, 2))


def check_of(panel, model=None, **options):
    defaults = {"cv": CV, "n_removed": (1, 2, 3), "n_random": 4, "random_state": 0, "progress": False}
    return removal_check(LinearFactorRegressor() if model is None else model, *panel, **{**defaults, **options})


@pytest.fixture(scope="module")
def check(panel):
    return check_of(panel)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def slow_walk(panel, choose):
    """Rank on the training rows of each window, leave out what is chosen, fit again and predict."""
    X, y = panel
    parts = []
    for train, test in CV.split(X, y):
        whole = LinearRegression().fit(X.iloc[train], y.iloc[train])
        relevance = X.iloc[train] * whole.coef_
        by_descriptor = relevance.T.groupby(lambda name: name[0]).sum().T
        gone = choose(by_descriptor.abs().mean().sort_values(ascending=False).index)
        kept = [name for name in X.columns if name[0] not in gone]
        model = LinearRegression().fit(X.iloc[train][kept], y.iloc[train])
        parts.append(pd.Series(model.predict(X.iloc[test][kept]), index=X.index[test]))
    return pd.concat(parts)


class Recorder(LinearFactorRegressor):
    """A linear model that notes the columns and the last date of each fit."""

    fits: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.fits.append((list(X.columns), X.index.get_level_values("date").max(), len(X)))
        return super().fit(X, y)


class Backwards(WalkForwardSplit):
    """The same windows, the last one first."""

    def split(self, X, y=None, groups=None):
        return reversed(list(super().split(X, y, groups)))


class TestReferenceValues:
    def test_figures_are_those_of_a_slow_walk(self, panel, check):
        choices = {("none", 0): lambda order: []}
        for k in (1, 2, 3):
            choices["most", k] = lambda order, k=k: list(order[:k])
            choices["least", k] = lambda order, k=k: list(order[-k:])
        for (way, k), choose in choices.items():
            predictions = slow_walk(panel, choose)
            y = panel[1].loc[predictions.index]
            rank_ic = rank_information_coefficient(y, predictions)
            long_short = backtest(predictions, y).long_short
            np.testing.assert_allclose(check.rank_ic[way, k, 0], rank_ic, atol=1e-12)
            np.testing.assert_allclose(check.long_short[way, k, 0], long_short, atol=1e-12)
            expected = [
                r2_oos(y, predictions),
                rank_ic.mean(),
                newey_west_t(rank_ic),
                long_short.mean(),
                newey_west_t(long_short),
            ]
            np.testing.assert_allclose(check.draws.loc[way, k, 0], expected, rtol=1e-9)

    def test_random_draws_are_first_parts_of_one_order_each(self, panel, check):
        rng = np.random.default_rng(0)
        for draw in range(4):
            order = [list(PREMIA)[j] for j in rng.permutation(6)]
            for k in (1, 3):
                predictions = slow_walk(panel, lambda _, gone=order[:k]: gone)
                rank_ic = rank_information_coefficient(panel[1].loc[predictions.index], predictions)
                np.testing.assert_allclose(check.rank_ic["random", k, draw], rank_ic, atol=1e-12)

    def test_the_frame_has_means_and_spreads_over_draws(self, check):
        frame = check.to_frame()
        names = [("none", 0), *((way, k) for way in ("most", "random", "least") for k in (1, 2, 3))]
        assert frame.index.tolist() == names
        draws = check.draws.loc["random", 2]
        assert len(draws) == 4
        for name in ("r2_oos", "rank_ic", "long_short"):
            assert frame.loc[("random", 2), name] == pytest.approx(draws[name].mean())
            assert frame.loc[("random", 2), f"{name}_spread"] == pytest.approx(draws[name].std(ddof=1))
            assert np.isnan(frame.loc[("most", 2), f"{name}_spread"])
        assert frame.loc[("most", 2), "rank_ic"] == check.draws.loc[("most", 2, 0), "rank_ic"]

    def test_differences_from_random_are_tested_date_by_date(self, check):
        table = check.against_random()
        assert table.index.tolist() == [(way, k) for way in ("most", "least") for k in (1, 2, 3)]
        for way, k in table.index:
            random = [check.rank_ic["random", k, draw] for draw in range(4)]
            gap = check.rank_ic[way, k, 0] - sum(random) / 4
            assert table.loc[(way, k), "rank_ic"] == pytest.approx(gap.mean())
            assert table.loc[(way, k), "rank_ic_t"] == pytest.approx(newey_west_t(gap))
            distances = [round(series.mean() - check.rank_ic[way, k, 0].mean(), 10) for series in random]
            above = sum(1 if distance > 0 else 0.5 if distance == 0 else 0 for distance in distances) / 4
            assert table.loc[(way, k), "draws_above"] == above
            returns = check.long_short[way, k, 0] - check.long_short["random", k].mean(axis=1)
            assert table.loc[(way, k), "long_short_t"] == pytest.approx(newey_west_t(returns))
            assert table.loc[(way, k), "long_short"] == pytest.approx(returns.mean())
            r2 = check.draws["r2_oos"]
            assert table.loc[(way, k), "r2_oos"] == pytest.approx(r2[way, k, 0] - r2["random", k].mean())

    def test_importance_is_the_mean_absolute_contribution_on_the_training_rows(self, panel, check):
        X, y = panel
        for train, test in CV.split(X, y):
            values = LinearFactorRegressor().fit(X.iloc[train], y.iloc[train]).explain(X.iloc[train]).by_descriptor()
            for date in X.index[test].get_level_values("date").unique():
                np.testing.assert_allclose(check.importance.loc[date], values.abs().mean(), rtol=1e-12)

    def test_planted_descriptors_are_missed_more_than_random_ones_and_these_more_than_the_rest(self, check):
        frame = check.to_frame()
        for k in (1, 2, 3):
            for figure in ("r2_oos", "rank_ic", "long_short"):
                values = frame[figure]
                assert values["most", k] < values["random", k] < values["least", k]
        against = check.against_random()
        assert (against.loc["most", "rank_ic_t"] < -3).all()
        assert (against.loc["most", "draws_above"] == 1).all()
        assert (against.loc["least", "rank_ic_t"] > 2).all()
        # What is worth nothing is not missed.
        assert values["least", 2] == pytest.approx(values["none", 0], abs=0.01)
        assert check.importance.mean().sort_values(ascending=False).index[:4].tolist() == ["A", "B", "C", "D"]


class TestProperties:
    def test_predictions_see_no_later_row(self, panel):
        X, y = panel
        cut = X.index.get_level_values("date").unique()[22]
        later = X.index.get_level_values("date") > cut
        other_X, other_y = X.copy(), y.copy()
        other_X[later] = other_X[later].to_numpy()[::-1, ::-1] * 7
        other_y[later] = -3 * other_y[later]
        options = {"n_removed": [1, 3], "n_random": 1}
        before, after = check_of(panel, **options), check_of((other_X, other_y), **options)
        for name in ("rank_ic", "long_short", "importance"):
            one, two = getattr(before, name), getattr(after, name)
            pd.testing.assert_frame_equal(one.loc[:cut], two.loc[:cut], check_exact=True)
            assert not one.loc[cut:].iloc[1:].equals(two.loc[cut:].iloc[1:])

    def test_each_window_is_fitted_on_its_training_rows_alone_and_ranked_once(self, panel):
        Recorder.fits.clear()
        check_of(panel, Recorder(), n_removed=(1, 4), n_random=3)
        windows = [panel[0].index[train].get_level_values("date").max() for train, _ in CV.split(*panel)]
        fits = 1 + 2 * (2 + 3)
        assert [date for _, date, _ in Recorder.fits] == [date for date in windows for _ in range(fits)]
        assert {rows for _, _, rows in Recorder.fits} == {12 * 25}
        assert [len(columns) for columns, _, _ in Recorder.fits[:fits]] == [12, *[10] * 5, *[4] * 5]

    def test_the_result_does_not_depend_on_workers_checkpoints_or_the_kind_of_panel(self, panel, tmp_path):
        few = {"n_removed": [2], "n_random": 1}
        check, kept = check_of(panel, **few), {"checkpoint": tmp_path, "n_jobs": 2}
        lagged = LaggedPanel(make_panel()[0], lags=(0, 2))
        for data, options in [(panel, kept), (panel, kept), ((lagged, lagged.align(make_panel()[1])), {})]:
            with joblib.parallel_config(backend="threading"):
                other = check_of(data, **few, **options)
            pd.testing.assert_frame_equal(other.draws, check.draws, check_exact=True)
            pd.testing.assert_frame_equal(other.rank_ic, check.rank_ic, check_exact=True)
        assert len(list(tmp_path.rglob("window-*.npz"))) == 5

    def test_the_order_of_rows_does_not_matter(self, panel):
        rows = np.random.default_rng(0).permutation(len(panel[0]))
        few = {"n_removed": [2], "n_random": 1}
        shuffled, check = check_of([data.iloc[rows] for data in panel], **few), check_of(panel, **few)
        for name in ("draws", "importance", "rank_ic", "long_short"):
            pd.testing.assert_frame_equal(getattr(shuffled, name), getattr(check, name), check_freq=False)

    def test_importances_are_in_the_order_of_dates_whatever_that_of_rows_and_windows(self, panel):
        rows = np.random.default_rng(1).permutation(len(panel[0]))
        few = {"n_removed": [2], "n_random": 1}
        expected = check_of(panel, **few).importance
        assert expected.index.is_monotonic_increasing
        other = check_of([data.iloc[rows] for data in panel], cv=Backwards(12, test_size=4), **few).importance
        pd.testing.assert_frame_equal(other, expected, check_freq=False)

    def test_more_draws_begin_with_the_same_ones(self, panel, check):
        fewer = check_of(panel, n_removed=[2, 3], n_random=2)
        pd.testing.assert_frame_equal(fewer.rank_ic["random"], check.rank_ic["random"][fewer.rank_ic["random"].columns])
        other = check_of(panel, n_removed=[2, 3], n_random=2, random_state=1)
        assert not other.rank_ic["random"].equals(fewer.rank_ic["random"])
        pd.testing.assert_frame_equal(other.rank_ic["most"], fewer.rank_ic["most"])

    def test_the_random_state_of_the_caller_is_left_alone(self, panel):
        np.random.seed(3)  # noqa: NPY002 the legacy generator is what is looked at
        state = np.random.get_state()[1].tolist()  # noqa: NPY002
        check_of(panel, n_removed=[1], n_random=1, random_state=None)
        assert np.random.get_state()[1].tolist() == state  # noqa: NPY002

    def test_inputs_and_model_are_not_changed(self, panel):
        model, X, y = LinearFactorRegressor(), panel[0].copy(), panel[1].copy()
        check_of((X, y), model, n_removed=[1], n_random=1)
        pd.testing.assert_frame_equal(X, panel[0])
        pd.testing.assert_series_equal(y, panel[1])
        assert not hasattr(model, "coef_")

    def test_lags_can_be_removed(self, panel):
        check = check_of(panel, unit="lag", n_removed=[1], n_random=1)
        assert check.importance.columns.tolist() == [2, 0]
        frame = check.to_frame()
        # All premia are at lag 0.
        assert frame.loc[("most", 1), "rank_ic"] < 0.2 < frame.loc[("least", 1), "rank_ic"]

    def test_groups_can_be_removed(self, panel):
        groups = {"None": ["F", "E"], "Strong": ["A", "B"], "Weak": ["D", "C"]}
        check = check_of(panel, groups=groups, n_removed=[1], n_random=1)
        assert check.importance.columns.name == "group"
        assert check.importance.idxmax(axis=1).unique().tolist() == ["Strong"]
        predictions = slow_walk(panel, lambda _: groups["Strong"])
        rank_ic = rank_information_coefficient(panel[1].loc[predictions.index], predictions)
        np.testing.assert_allclose(check.rank_ic["most", 1, 0], rank_ic, atol=1e-12)

    def test_columns_without_lags_are_descriptors(self):
        X, y = make_panel()
        check = check_of(
            (X.set_axis(range(6), axis=1).rename(columns=str), y), Ridge(alpha=1e-9), n_removed=[1], n_random=1
        )
        assert check.importance.columns.tolist() == list("012345")
        assert check.to_frame().loc[("most", 1), "rank_ic"] < check.to_frame().loc[("least", 1), "rank_ic"]

    def test_a_ranking_can_be_given_as_an_order(self, panel, check):
        given = check_of(panel, ranking=["E", "F", "D", "C", "B", "A"], n_removed=[2], n_random=3)
        predictions = slow_walk(panel, lambda _: ["E", "F"])
        rank_ic = rank_information_coefficient(panel[1].loc[predictions.index], predictions)
        np.testing.assert_allclose(given.rank_ic["most", 2, 0], rank_ic, atol=1e-12)
        # A wrong ranking is found out.
        assert (given.against_random().loc["most", "rank_ic"] > 0).all()
        assert (given.against_random().loc["least", "rank_ic"] < 0).all()

    def test_a_ranking_can_be_computed_from_the_fitted_model(self, panel):
        def importances(model, X, y):
            assert len(X) == len(y) == 12 * 25
            found = pd.Series(model.feature_importances_, index=X.columns)
            return found.groupby(lambda name: name[0]).sum()

        check = check_of(
            panel, RandomForestRegressor(3, random_state=0), ranking=importances, n_removed=[2], n_random=1
        )
        assert check.importance.mean().sort_values(ascending=False).index[0] == "A"
        np.testing.assert_allclose(check.importance.sum(axis=1), 1)

    def test_a_pipeline_is_ranked_on_its_transformed_inputs(self, panel, check):
        piped = check_of(panel, make_pipeline(StandardScaler(), LinearFactorRegressor(2)), n_removed=[1], n_random=1)
        np.testing.assert_allclose(piped.rank_ic["most", 1, 0], check.rank_ic["most", 1, 0], atol=1e-9)

    def test_rows_without_a_return_are_counted_and_in_no_figure(self, panel):
        X, y = panel
        missing = y.where(np.arange(len(y)) < len(y) - 3)
        with pytest.warns(CoverageWarning, match="3 of 500 predicted rows have no forward return"):
            found = check_of((X, missing), n_removed=[1], n_random=1)
        assert found.n_rows_left_out == 3
        predictions = slow_walk(panel, lambda _: []).iloc[:-3]
        assert found.draws.loc[("none", 0, 0), "r2_oos"] == pytest.approx(r2_oos(y.loc[predictions.index], predictions))

    def test_dates_without_a_figure_are_counted_once(self, panel):
        X, y = panel
        dates = X.index.get_level_values("date")
        few = (dates != dates[-1]) | (X.index.get_level_values("asset") < "S02")
        with pytest.warns(CoverageWarning, match="no rank IC on 1 and no long/short return on 1 of 20 dates") as caught:
            found = check_of((X[few], y[few]), n_removed=[1], n_random=2)
        assert len(caught) == 1
        assert found.draws.notna().all(axis=None)
        assert found.rank_ic.iloc[-1].isna().all()

    def test_costs_and_quantiles_are_those_of_the_backtest(self, panel):
        found = check_of(panel, n_removed=[1], n_random=1, cost=0.01, n_quantiles=3, n_lags=2)
        predictions = slow_walk(panel, lambda _: [])
        returns = backtest(predictions, panel[1].loc[predictions.index], cost=0.01, n_quantiles=3).long_short
        np.testing.assert_allclose(found.long_short["none", 0, 0], returns, atol=1e-12)
        assert found.draws.loc[("none", 0, 0), "long_short_t"] == pytest.approx(newey_west_t(returns, n_lags=2))

    def test_numbers_cannot_be_overwritten(self, check):
        with pytest.raises(ValueError, match="read-only"):
            check.draws.to_numpy()[0, 0] = 1
        assert repr(pickle.loads(pickle.dumps(check))) == "RemovalCheck(n_removed=[1, 2, 3], 6 units, 20 dates)"

    def test_networks_are_retrained_on_fewer_descriptors_side_by_side(self):
        panel = stack_lags(*make_panel(n_dates=14, n_assets=12, premia={"A": 0.1, "B": 0.02, "C": 0.0}), lags=(0, 1))
        model = DeepRecurrentFactorRegressor(units=2, epochs=2, validation_fraction=0, random_state=0)
        cv = WalkForwardSplit(10, test_size=3)
        found = check_of(panel, model, cv=cv, n_removed=[1], n_random=1)
        least = found.importance.iloc[0].idxmin()
        kept = [name for name in panel[0].columns if not name.startswith(least)]
        alone = walk_forward_predict(
            clone(model), panel[0][kept], panel[1], cv=cv, windows_per_program=4, progress=False
        )
        rank_ic = rank_information_coefficient(panel[1].loc[alone.predictions.index], alone.predictions)
        np.testing.assert_allclose(found.rank_ic["least", 1, 0], rank_ic, atol=1e-12)


class TestDisplay:
    def test_lines_start_at_the_whole_model(self, check, ax):
        display = RemovalDisplay(check, figure="long_short")
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        frame = display.to_frame()
        for line in ax.get_lines()[:3]:
            way = line.get_label().split()[0].lower()
            np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
            values = [frame.loc[("none", 0), "long_short"], *frame.loc[way, "long_short"]]
            np.testing.assert_allclose(line.get_ydata(), values)
        corners = ax.collections[0].get_paths()[0].vertices
        random = frame.loc["random"]
        assert corners[:, 1].min() == pytest.approx(
            min(frame.loc[("none", 0), "long_short"], (random["long_short"] - random["long_short_spread"]).min())
        )
        assert ax.get_xlabel() == "Removed descriptors"

    def test_a_check_is_made_and_drawn(self, panel):
        options = {"cv": CV, "n_removed": [1], "n_random": 1, "random_state": 0, "progress": False}
        display = RemovalDisplay.from_model(LinearFactorRegressor(), *panel, figure="r2_oos", **options).plot()
        assert display.ax_.get_ylabel() == "Out-of-sample R2"
        display.figure_.draw_without_rendering()
        plt.close(display.figure_)

    def test_the_figure_is_checked(self, check, ax):
        with pytest.raises(PanelError, match="'figure' must be one of 'rank_ic'"):
            RemovalDisplay(check, figure="sharpe").plot(ax)


class TestValidation:
    @pytest.mark.parametrize("n_removed", [[], [0], [6], [2, 1], [1, 1], [1.5], [True]])
    def test_numbers_to_remove_must_leave_something(self, panel, n_removed):
        with pytest.raises(PanelError, match="increasing integers from 1 to 5"):
            check_of(panel, n_removed=n_removed)

    @pytest.mark.parametrize("ranking", [["A"], ["A", "B", "C", "D", "E", "E"], ["A", "B", "C", "D", "E", "G"]])
    def test_an_order_must_name_each_descriptor_once(self, panel, ranking):
        with pytest.raises(PanelError, match="'ranking' must name each of"):
            check_of(panel, ranking=ranking)

    def test_what_a_ranking_returns_is_checked(self, panel):
        with pytest.raises(PanelError, match="one number for each of"):
            check_of(panel, ranking=lambda *_: pd.Series({"A": 1.0}))
        with pytest.raises(PanelError, match="finite numbers"):
            check_of(panel, ranking=lambda *_: pd.Series(np.nan, index=list(PREMIA)))

    def test_a_model_without_an_explanation_needs_a_ranking(self, panel):
        with pytest.raises(TypeError, match="RandomForestRegressor"):
            check_of(panel, RandomForestRegressor(2, random_state=0))

    @pytest.mark.parametrize("groups", [{"One": ["A", "B"]}, {"One": list("ABCDEF"), "Two": ["A"]}])
    def test_groups_must_hold_each_descriptor_once(self, panel, groups):
        with pytest.raises(PanelError, match="hold each descriptor of X once"):
            check_of(panel, groups=groups)

    def test_groups_are_of_descriptors(self, panel):
        with pytest.raises(PanelError, match="go with unit='descriptor'"):
            check_of(panel, groups={"One": ["A"]}, unit="lag")

    def test_there_must_be_something_to_keep(self):
        with pytest.raises(PanelError, match="at least 2 units"):
            check_of(make_panel(), unit="lag")

    def test_panels_must_be_indexed_and_aligned(self, panel):
        X, y = panel
        with pytest.raises(PanelError, match="'date' and 'asset'"):
            check_of((X.reset_index(drop=True), y))
        with pytest.raises(PanelError, match="same order"):
            check_of((X, y.iloc[::-1]))
        with pytest.raises(PanelError, match="y must be a Series indexed by"):
            check_of((X, y.to_numpy()))

    @pytest.mark.parametrize("width", [0, 1.5, "all"])
    def test_networks_in_a_program_are_counted_from_1(self, panel, width):
        with pytest.raises(ValueError, match="'windows_per_program' parameter of removal_check must be an int"):
            check_of(panel, windows_per_program=width)

    @pytest.mark.parametrize("options", [{"unit": "cell"}, {"n_random": 0}, {"n_quantiles": 1}, {"random_state": "a"}])
    def test_options_are_checked(self, panel, options):
        with pytest.raises(InvalidParameterError, match=next(iter(options))):
            check_of(panel, **options)
