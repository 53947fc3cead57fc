import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.portfolio import long_short_weights, neutral_weights


def cross_section(seed, n_names=12, n_exposures=2):
    rng = np.random.default_rng(seed)
    weights = long_short_weights(rng.normal(size=n_names), n_quantiles=3, dates=[0] * n_names).to_numpy()
    return weights, rng.normal(size=(n_names, n_exposures))


def one_date(weights, exposures):
    return neutral_weights(weights, exposures, dates=np.zeros(len(weights), int)).to_numpy()


class TestReferenceValues:
    def test_four_names_by_hand(self):
        # Centred betas -0.25, -0.05, 0.15, 0.15 and weights -+0.5: slope 0.3 / 0.11, residual over half its size.
        beta = np.array([0.8, 1.0, 1.2, 1.2])
        np.testing.assert_allclose(one_date([-0.5, -0.5, 0.5, 0.5], beta), [0.5, -1, 0.25, 0.25], atol=1e-14)

    @pytest.mark.parametrize("seed", range(3))
    def test_proportional_to_the_residuals_of_statsmodels(self, seed):
        sm = pytest.importorskip("statsmodels.api", reason="compares with least squares of statsmodels")
        weights, exposures = cross_section(seed)
        residual = sm.OLS(weights, sm.add_constant(exposures)).fit().resid
        np.testing.assert_allclose(one_date(weights, exposures), residual / residual[residual > 0].sum(), atol=1e-13)

    def test_weights_that_are_neutral_already_keep_their_values(self):
        np.testing.assert_allclose(
            one_date([-0.5, -0.5, 0.5, 0.5], [1.0, -1.0, 1.0, -1.0]), [-0.5, -0.5, 0.5, 0.5], atol=1e-15
        )

    def test_dummies_of_sectors_make_the_weights_neutral_in_each(self):
        weights, _ = cross_section(3)
        sectors = np.repeat(list("abc"), 4)
        neutral = one_date(weights, pd.get_dummies(sectors))
        assert np.abs([neutral[sectors == sector].sum() for sector in "abc"]).max() < 1e-15

    def test_exposures_are_matched_by_index_and_rows_keep_their_places(self):
        index = pd.MultiIndex.from_product([[1, 2], list("ABCDEF")], names=["date", "asset"])
        rng = np.random.default_rng(0)
        weights = pd.Series(rng.normal(size=12), index=index)
        exposures = pd.DataFrame(rng.normal(size=(12, 2)), index=index, columns=["BETA", "CAP"])
        neutral = neutral_weights(weights, exposures)
        assert neutral.index is index
        assert neutral.name == "weight"
        order = rng.permutation(12)
        shuffled = neutral_weights(weights.iloc[order], exposures.iloc[order[::-1]].swaplevel())
        pd.testing.assert_series_equal(shuffled, neutral.iloc[order], check_exact=True)
        for date in (1, 2):
            alone = neutral_weights(weights.loc[[date]], exposures.loc[[date]])
            pd.testing.assert_series_equal(alone, neutral.loc[[date]], check_exact=True)
        single = neutral_weights(weights, exposures["BETA"])
        pd.testing.assert_series_equal(single, neutral_weights(weights, exposures[["BETA"]]), check_exact=True)


class TestProperties:
    @settings(max_examples=50)
    @given(st.integers(0, 10**6), st.integers(6, 15), st.integers(1, 3), st.floats(-6, 6))
    def test_no_exposure_remains_and_the_legs_are_one_long_and_one_short(self, seed, n_names, n_exposures, power):
        weights, exposures = cross_section(seed, n_names, n_exposures)
        exposures *= 10**power
        neutral = one_date(weights, exposures)
        assert np.abs(neutral @ exposures).max() < 1e-12 * np.abs(exposures).max()
        assert neutral[neutral > 0].sum() == pytest.approx(1, rel=1e-12)
        assert neutral[neutral < 0].sum() == pytest.approx(-1, rel=1e-12)

    @settings(max_examples=50)
    @given(st.integers(0, 10**6), st.permutations(range(12)))
    def test_row_order_changes_no_bit_and_signs_flip(self, seed, order):
        weights, exposures = cross_section(seed)
        neutral = one_date(weights, exposures)
        np.testing.assert_array_equal(one_date(weights[order], exposures[order]), neutral[order])
        np.testing.assert_array_equal(one_date(-weights, exposures), -neutral)

    def test_collinear_and_constant_columns_and_units_change_nothing(self):
        weights, exposures = cross_section(1)
        neutral = one_date(weights, exposures)
        collinear = np.column_stack([exposures, exposures @ [2.0, -1.0], np.full(12, 7.0)])
        np.testing.assert_allclose(one_date(weights, collinear), neutral, atol=1e-13)
        np.testing.assert_allclose(one_date(weights, exposures * [1e6, 1e-6] + 3), neutral, atol=1e-9)

    def test_a_second_time_changes_nothing(self):
        weights, exposures = cross_section(2)
        neutral = one_date(weights, exposures)
        np.testing.assert_allclose(one_date(neutral, exposures), neutral, atol=1e-14)

    def test_inputs_stay_as_they_are(self):
        weights, exposures = cross_section(2)
        kept = weights.copy(), exposures.copy()
        one_date(weights, exposures)
        np.testing.assert_array_equal(weights, kept[0])
        np.testing.assert_array_equal(exposures, kept[1])


class TestCoverage:
    def test_dates_with_too_few_names_are_nan_and_counted_once(self):
        weights = [0.5, 0.5, -1.0, 1.0, -1.0, 0.2, 0.8, -0.4, -0.6]
        beta = [1.0, 2.0, 4.0, 1.0, 2.0, 1.0, 3.0, 2.0, 5.0]
        dates = [1] * 3 + [2] * 2 + [3] * 4
        with pytest.warns(CoverageWarning, match="1 of 3 dates have no weights that are neutral") as caught:
            neutral = neutral_weights(weights, beta, dates=dates)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert neutral.isna().tolist() == [date == 2 for date in dates]

    @pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0, 4.0], [0.25] * 4])
    def test_weights_that_the_exposures_explain_wholly_are_nan_and_counted(self, weights):
        with pytest.warns(CoverageWarning, match="1 of 1 dates"):
            assert np.isnan(one_date(weights, [10.0, 20.0, 30.0, 40.0])).all()

    def test_dates_without_portfolio_stay_so_and_zeros_stay_zeros(self):
        weights = [np.nan, np.nan, 0.0, 0.0, 0.0]
        neutral = neutral_weights(weights, np.arange(5.0), dates=[1, 1, 2, 2, 2])
        np.testing.assert_array_equal(neutral, weights)


class TestValidation:
    def test_missing_exposures_are_an_error(self):
        weights, exposures = cross_section(0)
        exposures[3, 1] = np.nan
        with pytest.raises(NonFiniteError, match="exposures must hold finite numbers. Got NaN: 1 in 1"):
            one_date(weights, exposures)
        named = pd.DataFrame(exposures, columns=["BETA", "CAP"])
        with pytest.raises(NonFiniteError, match="NaN: 1 in 'CAP'"):
            one_date(weights, named)

    def test_rows_without_exposures_are_an_error(self):
        index = pd.MultiIndex.from_product([[1], list("ABC")], names=["date", "asset"])
        weights = pd.Series([1.0, 0.0, -1.0], index=index)
        with pytest.raises(PanelError, match=r"Got 1 of 3 rows without one: \(1, 'C'\)"):
            neutral_weights(weights, weights.iloc[:2])

    def test_exposures_must_be_numbers_with_one_row_each(self):
        with pytest.raises(PanelError, match="exposures must hold numbers"):
            one_date([1.0, -1.0], ["banks", "mines"])
        with pytest.raises(PanelError, match=r"exposures must have shape \(n_samples,\).* Got \(\)"):
            one_date([1.0, -1.0], 1.0)
        with pytest.raises(PanelError, match=r"Got \(2, 1, 1\)"):
            one_date([1.0, -1.0], np.ones((2, 1, 1)))
        with pytest.raises(PanelError, match=r"one value for each row of weights \(2\). Got 3"):
            one_date([1.0, -1.0], np.ones(3))

    @pytest.mark.parametrize("faulty", [np.nan, np.inf])
    def test_weights_that_are_missing_on_part_of_a_date_are_refused(self, faulty):
        with pytest.raises(PanelError, match="weights must be finite on a date, or NaN on all its names. Got 1 NaN"):
            one_date([1.0, faulty], np.ones(2))
