from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from sklearn.utils._param_validation import InvalidParameterError

from skdrfm import WalkForwardSplit, make_factor_panel, stack_lags, walk_forward_predict
from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.explanation import linear_explanation
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection._necessity import PARTS, nonlinearity_index
from skdrfm.inspection._plot_necessity import NonlinearityDisplay

PARTS = list(PARTS)
NAMES = ["BETA", "CAP", "SKEW"]
GROUPS = {"Risk": ["SKEW", "BETA"], "Size": ["CAP"]}


def make_explanation(loadings_of, *, n_dates=8, n_assets=12, n_timesteps=2, seed=0, data=None):
    """Standard normal inputs, and loadings that are a function of them and of the number of the date."""
    dates = pd.date_range("2010-01", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product([dates, range(n_assets)], names=["date", "asset"])
    if data is None:
        data = np.random.default_rng(seed).normal(size=(len(index), n_timesteps, 3))
    base = linear_explanation(data, np.zeros(data.shape[1:]), index=index, descriptor_names=NAMES)
    loadings = np.broadcast_to(loadings_of(data, np.repeat(np.arange(n_dates), n_assets)), data.shape)
    return replace(base, loadings=loadings, predictions=(data * loadings).sum(axis=(1, 2)))


@pytest.fixture(scope="module")
def wild():
    """Loadings that differ between all rows, with a cell and a date of zeros."""
    rng = np.random.default_rng(5)
    data = rng.normal(size=(96, 2, 3))
    data[:, 1, 2] = 0
    data[:12] = 0
    return make_explanation(lambda x, date: rng.normal(0.1, 1, size=x.shape) + 0.1 * date[:, None, None], data=data)


def slow_terms(explanation, t, j):
    """The three sums of the formula for one cell, by loops over dates and rows."""
    x, l = explanation.data[:, t, j], explanation.loadings[:, t, j]  # noqa: E741
    if not (x**2).sum():
        return np.zeros(3)
    m = (x**2 * l).sum() / (x**2).sum()
    terms = np.array([(x**2).sum() * m**2, 0.0, 0.0])
    dates = explanation.index.get_level_values("date")
    for date in dates.unique():
        rows = dates == date
        if not (x[rows] ** 2).sum():
            continue
        m_t = (x[rows] * x[rows] * l[rows]).sum() / (x[rows] ** 2).sum()
        for row in np.flatnonzero(rows):
            terms[1] += x[row] ** 2 * (m_t - m) ** 2
            terms[2] += x[row] ** 2 * (l[row] - m_t) ** 2
    return terms


class TestReferenceValues:
    def test_shares_are_those_of_a_slow_loop(self, wild):
        cells = {(name, 1 - t): slow_terms(wild, t, j) for j, name in enumerate(NAMES) for t in range(2)}
        table = nonlinearity_index(wild, by="group_and_lag").table
        whole = sum(terms.sum() for terms in cells.values())
        assert table.index.tolist() == list(cells)
        for cell, terms in cells.items():
            if cell == ("SKEW", 0):
                assert table.loc[cell, "share"] == 0
                assert table.loc[cell, PARTS].isna().all()
                continue
            np.testing.assert_allclose(table.loc[cell, PARTS], terms / terms.sum(), rtol=1e-10)
            assert table.loc[cell, "share"] == pytest.approx(terms.sum() / whole)
            assert table.loc[cell, "size"] == pytest.approx(np.sqrt(terms.sum() / 96))

    def test_cells_are_pooled_by_their_sums(self, wild):
        pools = {
            "group": {"Risk": [(t, j) for t in range(2) for j in (0, 2)], "Size": [(0, 1), (1, 1)]},
            "lag": {1: [(0, j) for j in range(3)], 0: [(1, j) for j in range(3)]},
        }
        for by, pool in pools.items():
            table = nonlinearity_index(wild, groups=GROUPS, by=by).table
            for label, cells in pool.items():
                terms = sum(slow_terms(wild, t, j) for t, j in cells)
                np.testing.assert_allclose(table.loc[label, PARTS], terms / terms.sum(), rtol=1e-10)

    def test_the_three_terms_are_all_squared_relevances(self, wild):
        size = nonlinearity_index(wild).table["size"]
        np.testing.assert_allclose((size**2).sum() * len(wild), (wild.values**2).sum())

    def test_a_planted_interaction_has_its_expected_share(self):
        """With loadings 1 + a m and m independent of x, a^2 of 1 + a^2 is nonlinear."""
        a = 0.8
        explanation = make_explanation(
            lambda x, _: np.stack([1 + a * x[:, :, 1], 0 * x[:, :, 1] + 1, 0 * x[:, :, 1]], axis=2),
            n_dates=20,
            n_assets=500,
            n_timesteps=1,
        )
        index = nonlinearity_index(explanation)
        assert index.table.loc["BETA", "nonlinear"] == pytest.approx(a**2 / (1 + a**2), abs=0.02)
        assert index.table.loc["BETA", "time_varying"] < 0.01
        assert index.table.loc["CAP", PARTS].tolist() == [1, 0, 0]
        # The product of two standard normal inputs has variance 1 and is uncorrelated with both of them.
        assert index.prediction["nonlinear"] == pytest.approx(a**2 / (2 + a**2), abs=0.02)

    def test_a_planted_regime_is_time_varying(self):
        """With inputs of size 1 all weights are equal, and the share is the variance of levels over their square."""
        levels = np.array([0.5, 2.0, 2.0, 0.5, 0.5, 2.0, 0.5, 2.0])
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(8 * 50, 1, 3))
        explanation = make_explanation(lambda x, date: levels[date][:, None, None] + 0 * x, n_assets=50, data=signs)
        index = nonlinearity_index(explanation)
        share = levels.var() / (levels**2).mean()
        np.testing.assert_allclose(index.table["time_varying"], share)
        assert (index.table["nonlinear"] == 0).all()
        assert index.prediction["time_varying"] == pytest.approx(share, abs=0.02)
        assert index.prediction["nonlinear"] < 1e-20

    def test_the_prediction_is_split_by_regressions_on_all_cells(self, wild):
        index = nonlinearity_index(wild[12:])
        x, f = wild.data[12:].reshape(-1, 6), wild.predictions[12:]
        x = x - x.reshape(7, 12, 6).mean(axis=1).repeat(12, axis=0)
        f = f - f.reshape(7, 12).mean(axis=1).repeat(12)
        once = ((f - x @ np.linalg.lstsq(x, f, rcond=None)[0]) ** 2).sum()
        each = [
            ((f[rows] - x[rows] @ np.linalg.lstsq(x[rows], f[rows], rcond=None)[0]) ** 2).sum()
            for rows in np.split(np.arange(84), 7)
        ]
        total = (f**2).sum()
        # One of the six cells is always 0, so that five are estimated from 12 names.
        expected = [1 - once / total, (once - sum(each)) / total, sum(each) / total, sum(each) * 11 / 6 / total]
        np.testing.assert_allclose(index.prediction, expected, rtol=1e-9)

    def test_the_adjustment_makes_up_for_many_cells(self):
        """Predictions that no input explains are all nonlinear, however many cells the regression has."""
        explanation = make_explanation(lambda x, _: 0 * x, n_dates=60, n_assets=24, n_timesteps=4)
        noise = np.random.default_rng(1).normal(size=len(explanation))
        prediction = nonlinearity_index(replace(explanation, predictions=noise)).prediction
        assert prediction["nonlinear"] == pytest.approx(11 / 23, abs=0.03)
        assert prediction["nonlinear_adjusted"] == pytest.approx(1, abs=0.06)

    def test_a_linear_model_is_compared_row_by_row(self, wild):
        linear = make_explanation(lambda x, date: 1.0 + (date[:, None, None] % 2), data=wild.data)
        table = nonlinearity_index(wild, linear=linear).table
        own = nonlinearity_index(linear).table
        np.testing.assert_allclose(table["linear_time_varying"], own["time_varying"])
        for name in NAMES:
            pair = np.corrcoef(wild.by_descriptor()[name], linear.by_descriptor()[name])
            assert table.loc[name, "correlation"] == pytest.approx(pair[0, 1])


class TestProperties:
    def test_a_linear_model_that_is_fitted_once_has_index_0(self):
        explanation = make_explanation(lambda x, _: np.array([0.1, -0.3, 1e-9]) * np.ones_like(x))
        index = nonlinearity_index(explanation)
        assert (index.table["constant"] == 1).all()
        assert (index.table[["time_varying", "nonlinear"]] == 0).all(axis=None)
        np.testing.assert_allclose(index.prediction, [1, 0, 0, 0], atol=1e-12)

    def test_a_linear_model_that_is_refitted_is_time_varying_alone(self):
        X, y = stack_lags(*make_factor_panel(n_dates=40, n_assets=40, n_descriptors=3, random_state=0), lags=(0, 1))
        walk = walk_forward_predict(
            LinearFactorRegressor(), X, y, cv=WalkForwardSplit(12, test_size=3), explain=True, progress=False
        )
        index = nonlinearity_index(walk.explanation)
        assert (index.table["nonlinear"] == 0).all()
        assert (index.table["time_varying"] > 0).all()
        assert index.prediction["nonlinear"] < 1e-20
        assert index.prediction["time_varying"] > 0

    def test_shares_are_from_0_to_1_and_sum_to_1(self, wild):
        table = nonlinearity_index(wild).table[PARTS]
        assert ((table >= 0) & (table <= 1)).all(axis=None)
        np.testing.assert_allclose(table.sum(axis=1), 1)
        assert nonlinearity_index(wild[12:]).prediction[PARTS].sum() == pytest.approx(1)

    def test_neither_order_of_rows_nor_units_of_inputs_matter(self, wild):
        rows = np.random.default_rng(0).permutation(len(wild))
        unit = np.array([1e-4, 1.0, 1e5])
        other = replace(wild, data=wild.data * unit, loadings=wild.loadings / unit)[rows]
        index, expected = nonlinearity_index(other), nonlinearity_index(wild)
        np.testing.assert_allclose(index.table, expected.table, rtol=1e-9)
        np.testing.assert_allclose(index.prediction, expected.prediction, rtol=1e-9)

    def test_dates_with_too_few_names_are_left_out_of_the_regression_and_counted(self, wild):
        # Six names are too few for five slopes and a constant.
        keep = np.arange(len(wild)) >= 18
        with pytest.warns(CoverageWarning, match="1 of 7 dates have too few names for a regression .* on 6 cells"):
            index = nonlinearity_index(wild[keep])
        assert (index.n_dates, index.n_dates_left_out) == (7, 1)
        pd.testing.assert_series_equal(index.prediction, nonlinearity_index(wild[24:]).prediction)

    def test_without_any_date_that_suffices_the_prediction_has_no_shares(self):
        explanation = make_explanation(lambda x, _: 1.0 + x, n_assets=4)
        with pytest.warns(CoverageWarning, match="8 of 8 dates"):
            index = nonlinearity_index(explanation)
        assert index.prediction.isna().all()
        assert index.table["nonlinear"].notna().all()

    def test_equal_predictions_have_no_shares(self):
        explanation = make_explanation(lambda x, _: 0 * x)
        index = nonlinearity_index(replace(explanation, predictions=np.full(96, 0.1)))
        assert index.prediction.isna().all()
        assert index.table[PARTS].isna().all(axis=None)

    def test_numbers_cannot_be_overwritten_and_the_frame_is_a_copy(self, wild):
        index = nonlinearity_index(wild)
        with pytest.raises(ValueError, match="read-only"):
            index.table.to_numpy()[0, 0] = 1
        frame = index.to_frame()
        frame.iloc[0, 0] = 9.0
        assert index.table.iloc[0, 0] != 9.0


class TestDisplay:
    def test_bars_are_shares_cut_into_three_parts(self, wild):
        ax = Figure().add_subplot()
        display = NonlinearityDisplay.from_explanation(wild, n_groups=2)
        assert display.plot(ax) is display
        assert (display.ax_, display.figure_) == (ax, ax.figure)
        table = display.to_frame().sort_values("share", ascending=False).iloc[:2]
        assert [label.get_text() for label in ax.get_yticklabels()] == table.index.tolist()
        widths = np.reshape([bar.get_width() for bar in ax.patches], (3, 2)).T
        np.testing.assert_allclose(widths, table[PARTS].mul(table["share"], axis=0))
        np.testing.assert_allclose(widths.sum(axis=1), table["share"])

    def test_cells_are_named_by_descriptor_and_lag(self, wild):
        ax = Figure().add_subplot()
        NonlinearityDisplay.from_explanation(wild, by="group_and_lag").plot(ax)
        assert "CAP, lag 0" in [label.get_text() for label in ax.get_yticklabels()]

    @pytest.mark.parametrize("n_groups", [0, 1.5])
    def test_at_least_one_bar_is_drawn(self, wild, n_groups):
        with pytest.raises(PanelError, match="'n_groups'"):
            NonlinearityDisplay.from_explanation(wild, n_groups=n_groups).plot(Figure().add_subplot())


class TestValidation:
    def test_it_must_be_an_explanation(self, wild):
        with pytest.raises(PanelError, match="must be an Explanation. Got DataFrame"):
            nonlinearity_index(wild.by_descriptor())

    def test_rows_must_have_dates(self, wild):
        with pytest.raises(PanelError, match="without dates"):
            nonlinearity_index(replace(wild, index=None))

    def test_there_must_be_rows_and_finite_numbers(self, wild):
        with pytest.raises(PanelError, match="at least one row"):
            nonlinearity_index(wild[:0])
        loadings = wild.loadings.copy()
        loadings[20, 0, 1] = np.inf
        with pytest.raises(NonFiniteError, match="CAP"):
            nonlinearity_index(replace(wild, loadings=loadings))

    def test_the_linear_model_must_explain_the_same_rows(self, wild):
        for other in (wild[::-1], wild[1:], replace(wild, index=None), replace(wild, lags=[6, 0])):
            with pytest.raises(PanelError, match="'linear' must explain the rows"):
                nonlinearity_index(wild, linear=other)

    def test_rows_of_the_table_are_checked(self, wild):
        with pytest.raises(InvalidParameterError, match="'by'"):
            nonlinearity_index(wild, by="cell")
        with pytest.raises(PanelError, match="must be in a group"):
            nonlinearity_index(wild, groups={"Risk": ["BETA"]})
