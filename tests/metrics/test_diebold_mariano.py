import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student_t

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import DieboldMarianoResult, diebold_mariano, newey_west_t


def make_panel(n_dates=40, n_assets=15, models=("good", "bad", "zero"), seed=0):
    """A ragged panel whose first model knows part of the return."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([range(n_dates), range(n_assets)], names=["date", "asset"])
    index = index[rng.random(len(index)) < 0.9]
    y = pd.Series(rng.normal(0.0, 0.1, len(index)), index=index)
    noise = rng.normal(0.0, 0.05, (len(y), len(models)))
    skill = np.linspace(0.3, 0.0, len(models))
    return y, pd.DataFrame(skill * y.to_numpy()[:, None] + noise, index=index, columns=list(models))


def loss_differences(y, row, column, power=2):
    """Mean over the names of each date, the slow way."""
    difference = (y - row).abs() ** power - (y - column).abs() ** power
    return np.array(
        [difference[difference.index.get_level_values("date") == date].mean() for date in y.index.levels[0]]
    )


class TestReferenceValues:
    def test_three_dates_by_hand(self):
        # Squared errors of "a": 1, 4, 1 and of "b": 0, 1, 1, so d = (1, 3, 0), mean 4/3, variance 14/9.
        result = diebold_mariano([1.0, 2.0, 1.0], {"a": [0.0] * 3, "b": [1.0, 1.0, 0.0]}, dates=[1, 2, 3], n_lags=0)
        expected = 4 / 3 / np.sqrt(14 / 9 / 3) * np.sqrt(2 / 3)
        assert result.statistic.loc["a", "b"] == pytest.approx(expected, rel=1e-12)
        assert result.p_values.loc["a", "b"] == pytest.approx(2 * (1 - student_t.cdf(expected, 2)), rel=1e-10)

    @pytest.mark.parametrize("loss", ["squared", "absolute"])
    @pytest.mark.parametrize(("horizon", "n_lags"), [(1, 0), (1, 3), (3, 2), (6, 8)])
    def test_equals_statsmodels_on_the_loss_differences(self, loss, horizon, n_lags):
        api = pytest.importorskip("statsmodels.api", reason="statsmodels is the independent computation")
        y, predictions = make_panel()
        result = diebold_mariano(y, predictions, loss=loss, horizon=horizon, n_lags=n_lags)
        d = loss_differences(y, predictions["bad"], predictions["good"], power=2 if loss == "squared" else 1)
        fit = api.OLS(d, np.ones(40)).fit(cov_type="HAC", cov_kwds={"maxlags": n_lags, "use_correction": False})
        factor = np.sqrt((40 + 1 - 2 * horizon + horizon * (horizon - 1) / 40) / 40)
        expected = fit.tvalues[0] * factor
        assert result.statistic.loc["bad", "good"] == pytest.approx(expected, rel=1e-9)
        assert result.p_values.loc["bad", "good"] == pytest.approx(2 * student_t.sf(abs(expected), 39), rel=1e-8)

    def test_dates_weigh_alike_and_not_rows(self):
        # Date 1 has two names and date 2 one: d = (mean(1, 3), 4) and not (1, 3, 4).
        result = diebold_mariano(
            [1.0, np.sqrt(3), 2.0], {"zero": [0.0] * 3, "true": [1.0, np.sqrt(3), 2.0]}, dates=[1, 1, 2], n_lags=0
        )
        assert result.statistic.loc["zero", "true"] == pytest.approx(newey_west_t([2.0, 4.0], n_lags=0) * np.sqrt(0.5))

    def test_the_better_model_stands_in_the_column_of_a_positive_statistic(self):
        result = diebold_mariano(*make_panel(n_dates=120))
        assert result.statistic.loc["zero", "good"] > 4
        assert result.adjusted_p_values.loc["zero", "good"] < 0.001

    def test_bonferroni_multiplies_by_the_number_of_pairs_and_stops_at_one(self):
        result = diebold_mariano(*make_panel(models=tuple("abcd"), n_dates=12, seed=4))
        off_diagonal = ~np.eye(4, dtype=bool)
        plain, adjusted = result.p_values.to_numpy()[off_diagonal], result.adjusted_p_values.to_numpy()[off_diagonal]
        np.testing.assert_allclose(adjusted, np.minimum(6 * plain, 1), rtol=1e-14)
        assert (adjusted == 1).any()
        assert (adjusted < 1).any()

    def test_equal_models_are_not_compared(self):
        y, predictions = make_panel(models=("a", "b"))
        predictions["copy"] = predictions["a"]
        result = diebold_mariano(y, predictions)
        assert np.isnan(result.statistic.loc["a", "copy"])
        assert np.isnan(result.adjusted_p_values.loc["copy", "a"])
        assert result.statistic.loc["a", "b"] == result.statistic.loc["copy", "b"]

    def test_forecasts_without_errors_have_no_statistic(self):
        result = diebold_mariano([1.0, 2.0], {"a": [1.0, 2.0], "b": [1.0, 2.0]}, dates=[1, 2])
        assert np.isnan(result.statistic.to_numpy()).all()

    @pytest.mark.parametrize(("n_dates", "horizon", "n_lags"), [(96, 1, 3), (96, 3, 3), (96, 12, 11)])
    def test_default_lags_cover_the_horizon(self, n_dates, horizon, n_lags):
        y, predictions = make_panel(n_dates=n_dates, n_assets=4)
        result = diebold_mariano(y, predictions, horizon=horizon)
        assert result.n_lags == n_lags
        pd.testing.assert_frame_equal(
            result.statistic, diebold_mariano(y, predictions, horizon=horizon, n_lags=n_lags).statistic
        )


class TestProperties:
    @given(st.integers(0, 2**20), st.sampled_from(["squared", "absolute"]))
    def test_statistics_are_antisymmetric_and_p_values_symmetric(self, seed, loss):
        result = diebold_mariano(*make_panel(n_dates=6, n_assets=4, seed=seed), loss=loss)
        statistic = result.statistic.to_numpy()
        np.testing.assert_array_equal(statistic, -statistic.T)
        np.testing.assert_array_equal(result.p_values, result.p_values.T)
        np.testing.assert_array_equal(np.isnan(statistic), np.eye(3, dtype=bool))
        p = result.p_values.to_numpy()[np.triu_indices(3, 1)]
        assert ((p >= 0) & (p <= 1)).all()

    @pytest.mark.parametrize("scale", [1e-170, 1e-3, 1e170])
    def test_the_unit_of_returns_does_not_matter(self, scale):
        y, predictions = make_panel()
        expected = diebold_mariano(y, predictions).statistic
        pd.testing.assert_frame_equal(diebold_mariano(y * scale, predictions * scale).statistic, expected, rtol=1e-8)

    def test_row_order_does_not_matter(self):
        y, predictions = make_panel()
        order = np.random.default_rng(2).permutation(len(y))
        pd.testing.assert_frame_equal(
            diebold_mariano(y.iloc[order], predictions.iloc[order]).statistic, diebold_mariano(y, predictions).statistic
        )

    def test_a_mapping_of_series_or_arrays_gives_what_a_table_gives(self):
        y, predictions = make_panel()
        expected = diebold_mariano(y, predictions)
        by_series = diebold_mariano(y, dict(predictions.items()))
        dates = y.index.get_level_values("date")
        by_array = diebold_mariano(
            y.to_numpy(), {name: column.to_numpy() for name, column in predictions.items()}, dates=dates
        )
        for result in (by_series, by_array):
            pd.testing.assert_frame_equal(result.statistic, expected.statistic)
        assert list(by_array.statistic.columns) == ["good", "bad", "zero"]

    def test_names_may_be_tuples(self):
        y, predictions = make_panel(models=("a", "b"))
        result = diebold_mariano(y, {("lstm", 1): predictions["a"], ("lstm", 2): predictions["b"]})
        assert result.to_frame().index.tolist() == [(("lstm", 1), ("lstm", 2))]

    def test_inputs_are_not_changed(self):
        y, predictions = make_panel()
        y_before, predictions_before = y.copy(), predictions.copy()
        diebold_mariano(y, predictions)
        pd.testing.assert_series_equal(y, y_before)
        pd.testing.assert_frame_equal(predictions, predictions_before)


class TestResult:
    def test_table_has_one_row_for_each_pair(self):
        result = diebold_mariano(*make_panel())
        table = result.to_frame()
        assert table.index.tolist() == [("good", "bad"), ("good", "zero"), ("bad", "zero")]
        assert table.loc[("good", "zero"), "statistic"] == result.statistic.loc["good", "zero"]
        assert table.loc[("bad", "zero"), "adjusted_p_value"] == result.adjusted_p_values.loc["bad", "zero"]
        assert table.loc[("bad", "zero"), "p_value"] == result.p_values.loc["bad", "zero"]

    def test_numbers_cannot_be_overwritten(self):
        result = diebold_mariano(*make_panel())
        for table in (result.statistic, result.p_values, result.adjusted_p_values):
            with pytest.raises(ValueError, match="read-only"):
                table.iloc[0, 1] = 0.0
        with pytest.raises(AttributeError):
            result.horizon = 2

    def test_representation_tells_what_was_tested(self):
        result = diebold_mariano(*make_panel())
        assert isinstance(result, DieboldMarianoResult)
        assert repr(result) == "DieboldMarianoResult(3 models, 40 dates, loss='squared', horizon=1, n_lags=3)"


class TestValidation:
    def test_predictions_must_be_named(self):
        with pytest.raises(PanelError, match="must be a mapping of names.*Got list"):
            diebold_mariano([1.0], [[1.0], [2.0]], dates=[1])

    def test_one_model_is_not_enough(self):
        with pytest.raises(PanelError, match=r"at least 2 models.*Got \['a'\]"):
            diebold_mariano([1.0], {"a": [1.0]}, dates=[1])

    def test_names_must_differ(self):
        y, predictions = make_panel(models=("a", "b"))
        with pytest.raises(PanelError, match=r"different names. Got \['a', 'a'\]"):
            diebold_mariano(y, predictions.set_axis(["a", "a"], axis=1))

    def test_faulty_model_is_named(self):
        y, predictions = make_panel()
        with pytest.raises(PanelError, match="Model 'bad' cannot be compared. y_pred must have"):
            diebold_mariano(y, {"good": predictions["good"], "bad": predictions["bad"].iloc[::-1]})
        predictions.iloc[3, 2] = np.nan
        with pytest.raises(NonFiniteError, match="Model 'zero' cannot be compared.*NaN: 1 of"):
            diebold_mariano(y, predictions)

    @pytest.mark.parametrize(("n_dates", "horizon"), [(1, 1), (3, 3), (3, 5)])
    def test_dates_must_outnumber_the_horizon(self, n_dates, horizon):
        y, predictions = make_panel(n_dates=n_dates)
        with pytest.raises(PanelError, match=rf"more than {horizon} dates for horizon={horizon}. Got {n_dates}"):
            diebold_mariano(y, predictions, horizon=horizon)

    def test_lags_must_cover_the_horizon(self):
        with pytest.raises(PanelError, match=r"at least horizon - 1 \(2\).*Got 1"):
            diebold_mariano(*make_panel(), horizon=3, n_lags=1)

    def test_lags_must_be_fewer_than_dates(self):
        with pytest.raises(PanelError, match=r"below the number of periods \(40\). Got 40"):
            diebold_mariano(*make_panel(), n_lags=40)

    def test_unknown_loss_is_refused(self):
        with pytest.raises(ValueError, match="'loss' parameter of diebold_mariano must be"):
            diebold_mariano(*make_panel(), loss="quadratic")
