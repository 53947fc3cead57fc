import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import (
    forecast_summary,
    icir,
    information_coefficient,
    mean_absolute_error_by_date,
    newey_west_t,
    r2_oos,
    rank_information_coefficient,
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


class TestCrossSectionalR2:
    def test_equals_the_pooled_figure_of_demeaned_numbers(self):
        rng = np.random.default_rng(5)
        dates = rng.integers(0, 6, 80)
        truth, prediction = rng.normal(size=(2, 80))
        demeaned = [values - pd.Series(values).groupby(dates).transform("mean") for values in (truth, prediction)]
        result = r2_oos(truth, prediction, cross_sectional=True, dates=dates)
        assert result == pytest.approx(r2_oos(*demeaned), rel=1e-12)

    def test_the_level_of_a_date_does_not_matter(self):
        truth, dates = np.array([0.01, 0.03, -0.02, 0.06]), np.array([1, 1, 2, 2])
        level = np.array([5.0, 5.0, -3.0, -3.0])
        assert r2_oos(truth, truth + level, cross_sectional=True, dates=dates) == pytest.approx(1, abs=1e-15)
        assert r2_oos(truth, level, cross_sectional=True, dates=dates) == 0
        assert r2_oos(truth, truth + level) < -1000

    def test_dates_come_from_the_index(self):
        truth = panel_series([0.1, 0.3, 0.2, 0.2], [1, 1, 2, 2], ["A", "B", "A", "B"])
        assert r2_oos(truth, truth * 0.5, cross_sectional=True) == pytest.approx(0.75)

    def test_returns_that_do_not_differ_within_dates_have_no_figure(self):
        # The rounded mean of 0.1 three times is not 0.1: rounding must not become a return.
        with pytest.raises(PanelError, match="equal returns within each of 2 dates"):
            r2_oos([0.1, 0.1, 0.1, 0.2], [1, 2, 3, 4], cross_sectional=True, dates=[1, 1, 1, 2])

    def test_dates_are_needed(self):
        with pytest.raises(PanelError, match="The date of each row of y_true must be known"):
            r2_oos([0.1, 0.2], [0.1, 0.2], cross_sectional=True)

    def test_the_switch_must_be_a_boolean(self):
        with pytest.raises(ValueError, match="'cross_sectional' parameter of r2_oos must be"):
            r2_oos([0.1], [0.1], cross_sectional="yes")


class TestRowOrder:
    @given(arrays(float, (2, 40), elements=st.floats(-1, 1)), st.permutations(range(40)))
    def test_r2_keeps_to_the_last_bit(self, values, permutation):
        values[0, 0] = 0.5
        assert r2_oos(*values[:, permutation]) == r2_oos(*values)

    def test_errors_far_larger_than_returns_do_not_overflow(self):
        assert r2_oos([1e-3, 2e-3], [1e150, 0.0]) == pytest.approx(-1e300 / 5e-6, rel=1e-12)
        assert r2_oos([1e-3, 2e-3], [1e200, 0.0]) == -np.inf


class TestForecastSummary:
    @pytest.fixture
    def forecast(self):
        rng = np.random.default_rng(6)
        dates = np.repeat(np.arange(12), rng.integers(3, 30, 12))
        truth = rng.normal(0, 0.1, len(dates))
        return truth, 0.2 * truth + rng.normal(0, 0.05, len(dates)), dates

    def test_each_figure_equals_the_function_of_its_name(self, forecast):
        truth, prediction, dates = forecast
        ic = information_coefficient(truth, prediction, dates=dates)
        rank_ic = rank_information_coefficient(truth, prediction, dates=dates)
        result = forecast_summary(truth, prediction, dates=dates, periods_per_year=4)
        assert result.to_dict() == pytest.approx(
            {
                "MAE (pooled)": np.abs(truth - prediction).mean(),
                "MAE (mean over dates)": mean_absolute_error_by_date(truth, prediction, dates=dates).mean(),
                "RMSE (pooled)": np.sqrt(np.square(truth - prediction).mean()),
                "RMSE (mean over dates)": root_mean_squared_error_by_date(truth, prediction, dates=dates).mean(),
                "R2_oos (pooled)": r2_oos(truth, prediction),
                "R2_oos (cross-sectional)": r2_oos(truth, prediction, cross_sectional=True, dates=dates),
                "Mean IC": ic.mean(),
                "ICIR (annualised)": icir(ic, periods_per_year=4),
                "Mean rank IC": rank_ic.mean(),
                "Rank ICIR (annualised)": icir(rank_ic, periods_per_year=4),
                "Newey-West t of rank IC": newey_west_t(rank_ic),
                "Dates": 12,
                "Dates without IC": 0,
                "Rows": len(truth),
            },
            rel=1e-12,
        )
        assert result.name == "forecast"
        assert result["MAE (pooled)"] != pytest.approx(result["MAE (mean over dates)"], rel=1e-3)

    def test_dates_come_from_the_index(self, forecast):
        truth, prediction, dates = forecast
        assets = np.arange(len(dates))
        result = forecast_summary(panel_series(truth, dates, assets), prediction, periods_per_year=12)
        expected = forecast_summary(truth, prediction, dates=dates, periods_per_year=12)
        pd.testing.assert_series_equal(result, expected)

    def test_dates_without_an_ic_are_left_out_and_counted_in_one_warning(self):
        dates = [1, 1, 1, 2, 2, 3, 3, 3]
        truth, prediction = [0.1, 0.2, 0.3, 0.1, 0.2, 0.1, 0.2, 0.3], [1, 2, 3, 1, 2, 2, 1, 3]
        with pytest.warns(CoverageWarning, match="does not exist on 1 of 3 dates") as caught:
            result = forecast_summary(truth, prediction, dates=dates, periods_per_year=12)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert result[["Dates", "Dates without IC", "Rows"]].tolist() == [3, 1, 8]
        assert result["Mean rank IC"] == pytest.approx((1 + 0.5) / 2)

    def test_one_date_has_no_ratios(self):
        result = forecast_summary([0.1, 0.2, 0.3], [1, 3, 2], dates=[1, 1, 1], periods_per_year=12)
        ratios = ["ICIR (annualised)", "Rank ICIR (annualised)", "Newey-West t of rank IC"]
        assert result[ratios].isna().all()
        assert result.drop(ratios).notna().all()

    def test_one_asset_has_no_cross_section(self):
        with pytest.warns(CoverageWarning, match="2 of 2 dates"):
            result = forecast_summary([0.1, 0.2], [0.1, 0.1], dates=[1, 2], periods_per_year=12)
        assert result[["R2_oos (cross-sectional)", "Mean IC", "Mean rank IC"]].isna().all()
        assert result["MAE (pooled)"] == pytest.approx(0.05)


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

    def test_no_rows_are_refused(self):
        with pytest.raises(PanelError, match="y_true must have at least one row"):
            r2_oos([], [])

    @pytest.mark.parametrize("values", [[[0.1], [0.2]], 0.1])
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
