import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import (
    mean_absolute_error_by_date,
    r2_oos,
    root_mean_squared_error_by_date,
)

BY_DATE = [mean_absolute_error_by_date, root_mean_squared_error_by_date]


def panel_series(values, dates, assets):
    index = pd.MultiIndex.from_arrays([dates, assets], names=["date", "asset"])
    return pd.Series(values, index=index)


class TestReferenceValues:
    def test_errors_of_a_small_panel_by_hand(self):
        dates = [2, 1, 2, 1, 2]
        truth = [0.03, 0.01, -0.04, 0.02, 0.0]
        prediction = [0.0, 0.02, 0.0, 0.04, 0.0]
        mae = mean_absolute_error_by_date(truth, prediction, dates=dates)
        rmse = root_mean_squared_error_by_date(truth, prediction, dates=dates)
        assert list(mae.index) == [1, 2]
        np.testing.assert_allclose(mae, [0.015, 0.07 / 3], rtol=1e-14)
        np.testing.assert_allclose(rmse, [np.sqrt(0.00025), np.sqrt(0.0025 / 3)], rtol=1e-14)

    def test_errors_equal_a_loop_over_dates(self):
        rng = np.random.default_rng(0)
        dates = rng.integers(0, 7, 100)
        truth, prediction = rng.normal(size=(2, 100))
        mae = mean_absolute_error_by_date(truth, prediction, dates=dates)
        rmse = root_mean_squared_error_by_date(truth, prediction, dates=dates)
        for date in np.unique(dates):
            error = (truth - prediction)[dates == date]
            assert mae[date] == pytest.approx(np.mean(np.abs(error)), rel=1e-13)
            assert rmse[date] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-13)

    def test_r2_is_against_zero_and_not_against_the_mean(self):
        # 1 - ((0.02 - 0.01)^2 + (0.04 - 0.02)^2) / (0.02^2 + 0.04^2) = 1 - 5 / 20
        assert r2_oos([0.02, 0.04], [0.01, 0.02]) == pytest.approx(0.75, rel=1e-14)

    def test_predicting_zero_gives_exactly_zero_and_the_truth_gives_one(self):
        truth = np.array([0.013, -0.2, 0.07])
        assert r2_oos(truth, np.zeros(3)) == 0
        assert r2_oos(truth, truth) == 1

    @pytest.mark.parametrize("scale", [1e-170, 1.0, 1e170])
    def test_r2_does_not_depend_on_the_unit_of_returns(self, scale):
        truth, prediction = np.array([0.02, 0.04]) * scale, np.array([0.01, 0.02]) * scale
        assert r2_oos(truth, prediction) == pytest.approx(0.75, rel=1e-14)

    @pytest.mark.parametrize("figure", BY_DATE)
    def test_result_is_named_and_indexed_by_sorted_date(self, figure):
        dates = pd.to_datetime(["2020-02-29", "2020-01-31", "2020-02-29"])
        truth = panel_series([0.1, 0.2, 0.3], dates, ["A", "A", "B"])
        result = figure(truth, truth)
        assert result.name == figure.__name__.removesuffix("_by_date")
        assert result.index.name == "date"
        assert list(result.index) == list(pd.to_datetime(["2020-01-31", "2020-02-29"]))


class TestProperties:
    @given(arrays(float, (2, 12), elements=st.floats(-1, 1, width=32)), st.permutations(range(12)))
    def test_root_mean_square_is_never_below_mean_absolute_error(self, values, permutation):
        dates = np.repeat([0, 1, 2], [1, 4, 7])
        mae = mean_absolute_error_by_date(*values, dates=dates)
        rmse = root_mean_squared_error_by_date(*values, dates=dates)
        assert (rmse >= mae * (1 - 1e-12)).all()
        shuffled = mean_absolute_error_by_date(*values[:, permutation], dates=dates[permutation])
        np.testing.assert_allclose(shuffled, mae, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize(
        "dates",
        [
            pd.period_range("2020-01", periods=2, freq="M"),
            pd.to_datetime(["2020-01-31", "2020-02-29"]),
            [202001, 202002],
            ["2020-01", "2020-02"],
        ],
        ids=["Period", "datetime64", "yyyymm", "ISO"],
    )
    def test_all_types_of_dates_are_understood(self, dates):
        result = mean_absolute_error_by_date([0.1, 0.2], [0.0, 0.0], dates=dates)
        assert list(result.index) == list(dates)
        assert result.tolist() == [0.1, 0.2]

    def test_an_index_of_dates_alone_is_enough(self):
        truth = pd.Series([0.1, 0.3], index=pd.Index([202001, 202001], name="date"))
        assert mean_absolute_error_by_date(truth, truth * 0).tolist() == [0.2]

    def test_plain_python_dates_are_understood(self):
        dates = [datetime.date(2020, 2, 29), datetime.date(2020, 1, 31)]
        result = mean_absolute_error_by_date([0.1, 0.2], [0.0, 0.0], dates=dates)
        assert list(result.index) == dates[::-1]
        assert result.tolist() == [0.2, 0.1]

    def test_inputs_are_not_changed(self):
        truth, prediction, dates = np.array([0.1, 0.2]), np.array([0.0, 0.5]), np.array([2, 1])
        kept = truth.copy(), prediction.copy(), dates.copy()
        root_mean_squared_error_by_date(truth, prediction, dates=dates)
        r2_oos(truth, prediction)
        for before, after in zip(kept, (truth, prediction, dates), strict=True):
            np.testing.assert_array_equal(before, after)


class TestValidation:
    def test_unknown_dates_name_both_ways_out(self):
        with pytest.raises(PanelError, match=r"Pass dates=.* or index y_true by \(date, asset\)"):
            mean_absolute_error_by_date([0.1], [0.2])

    def test_rows_in_another_order_are_refused(self):
        truth = panel_series([0.1, 0.2], [1, 1], ["A", "B"])
        with pytest.raises(PanelError, match="same rows in another order"):
            mean_absolute_error_by_date(truth, truth.iloc[::-1])

    def test_series_with_different_plain_indexes_are_refused(self):
        with pytest.raises(PanelError, match="y_pred must have the index of y_true"):
            r2_oos(pd.Series([0.1, 0.2]), pd.Series([0.1, 0.2], index=[1, 2]))

    def test_different_lengths_are_refused(self):
        with pytest.raises(PanelError, match=r"one value for each row of y_true \(2\)\. Got 1"):
            r2_oos([0.1, 0.2], [0.1])

    @pytest.mark.parametrize("figure", BY_DATE)
    def test_missing_values_are_counted(self, figure):
        with pytest.raises(NonFiniteError, match=r"y_pred must hold finite numbers. Got NaN: 2"):
            figure([0.1, 0.2, 0.3], [np.nan, 0.1, np.nan], dates=[1, 1, 1])

    def test_missing_values_of_nullable_series_are_counted_too(self):
        with pytest.raises(NonFiniteError, match=r"y_true must hold finite numbers. Got NaN: 1"):
            r2_oos(pd.Series([0.1, None], dtype="Float64"), [0.1, 0.2])

    def test_texts_are_refused(self):
        with pytest.raises(PanelError, match="y_pred must hold numbers"):
            r2_oos([0.1], ["a"])

    @pytest.mark.parametrize("values", [[], [[0.1], [0.2]], 0.1])
    def test_shapes_other_than_one_number_for_each_row_are_refused(self, values):
        with pytest.raises(PanelError, match="must be one-dimensional"):
            r2_oos(values, values)

    @pytest.mark.parametrize("dates", [[1], [1, 2, 3], 1])
    def test_number_of_dates_must_match(self, dates):
        with pytest.raises(PanelError, match=r"one date for each row of y_true \(2\)"):
            mean_absolute_error_by_date([0.1, 0.2], [0.1, 0.2], dates=dates)

    def test_pairs_are_no_dates(self):
        with pytest.raises(PanelError, match="Got 2 tuples"):
            mean_absolute_error_by_date([0.1, 0.2], [0.1, 0.2], dates=[(1, "A"), (1, "B")])

    def test_missing_dates_are_counted(self):
        with pytest.raises(PanelError, match="Got 1 of 2 rows without one"):
            mean_absolute_error_by_date([0.1, 0.2], [0.1, 0.2], dates=[pd.Timestamp("2020"), None])

    def test_mixed_types_of_dates_are_refused(self):
        with pytest.raises(PanelError, match="Got int, str"):
            mean_absolute_error_by_date([0.1, 0.2], [0.1, 0.2], dates=[202001, "2020-02"])

    def test_duplicate_pairs_are_refused(self):
        truth = panel_series([0.1, 0.2], [1, 1], ["A", "A"])
        with pytest.raises(PanelError, match="1 duplicate"):
            mean_absolute_error_by_date(truth, truth)

    def test_r2_of_returns_that_are_all_zero_does_not_exist(self):
        with pytest.raises(PanelError, match="Got 2 zeros"):
            r2_oos([0.0, 0.0], [0.1, 0.2])
