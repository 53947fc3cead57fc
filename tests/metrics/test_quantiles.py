import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skdrfm.exceptions import CoverageWarning, NonFiniteError, PanelError
from skdrfm.metrics import quantile_returns
from skdrfm.metrics._dates import group_by
from skdrfm.metrics._quantiles import slot_weights
from skdrfm.portfolio import backtest, quantile_weights


@st.composite
def panels(draw):
    """Rows in any order on three dates, many of them with equal scores."""
    n_rows = draw(st.integers(6, 30))
    scores = draw(arrays(float, n_rows, elements=st.integers(-3, 3).map(float)))
    returns = draw(arrays(float, n_rows, elements=st.floats(-1, 1, allow_subnormal=False)))
    dates = draw(arrays(int, n_rows, elements=st.integers(0, 2)))
    return returns, scores, dates


def by_definition(returns, scores, dates, n_quantiles, min_names=1):
    """Returns of the weights of `slot_weights`."""
    groups = group_by(pd.Index(dates))
    weights = slot_weights(scores, groups, groups.counts >= min_names, n_quantiles)
    return np.column_stack([groups.sum(column * returns) for column in weights.T])


class TestReferenceValues:
    def test_five_names_in_two_halves_by_hand(self):
        # The middle name has half of its slot in each half of 2.5 slots.
        result = quantile_returns([0.05, 0.01, 0.04, 0.02, 0.03], [5, 1, 4, 2, 3], n_quantiles=2, dates=[7] * 5)
        np.testing.assert_allclose(result.loc[7], [(0.01 + 0.02 + 0.03 / 2) / 2.5, (0.05 + 0.04 + 0.03 / 2) / 2.5])
        assert list(result.columns) == [1, 2]
        assert result.columns.name == "quantile"
        assert result.index.name == "date"

    def test_a_block_over_several_quantiles_by_hand(self):
        # Slots of 1 to 4 belong to equal scores with the mean return 0.04.
        result = quantile_returns([0.01, 0.02, 0.04, 0.06, 0.05], [0, 1, 1, 1, 2], n_quantiles=5, dates=[1] * 5)
        np.testing.assert_allclose(result.loc[1], [0.01, 0.04, 0.04, 0.04, 0.05])

    def test_returns_equal_the_backtest(self):
        rng = np.random.default_rng(0)
        index = pd.MultiIndex.from_product([range(202001, 202009), range(23)], names=["date", "asset"])
        scores = pd.Series(rng.normal(size=len(index)).round(1), index=index)
        returns = pd.Series(rng.normal(0, 0.1, len(index)), index=index)
        order = rng.permutation(len(index))
        expected = backtest(scores, returns, n_quantiles=4).quantile_returns
        result = quantile_returns(returns.iloc[order], scores.iloc[order], n_quantiles=4)
        pd.testing.assert_frame_equal(result, expected, rtol=1e-12, atol=1e-16)

    @pytest.mark.filterwarnings("ignore")
    def test_returns_equal_alphalens_where_quantiles_have_equal_numbers_of_names(self, capsys):
        reason = "comparison with alphalens-reloaded"
        alphalens_utils = pytest.importorskip("alphalens.utils", reason=reason)
        performance = pytest.importorskip("alphalens.performance", reason=reason)
        rng = np.random.default_rng(1)
        dates = pd.date_range("2020-01-31", periods=6, freq="ME")
        index = pd.MultiIndex.from_product([dates, range(50)], names=["date", "asset"])
        scores = pd.Series(rng.normal(size=300), index=index)
        returns = pd.Series(rng.normal(0, 0.1, 300), index=index)
        clean = alphalens_utils.get_clean_factor(scores, returns.to_frame("30D"), quantiles=5)
        expected, _ = performance.mean_return_by_quantile(clean, by_date=True, demeaned=False)
        expected = expected["30D"].unstack("factor_quantile")
        np.testing.assert_allclose(quantile_returns(returns, scores), expected, rtol=1e-12)


class TestProperties:
    @given(panels(), st.integers(2, 7))
    def test_returns_are_those_of_the_slot_weights(self, panel, n_quantiles):
        returns, scores, dates = panel
        result = quantile_returns(returns, scores, n_quantiles=n_quantiles, dates=dates, min_names=1)
        expected = by_definition(returns, scores, dates, n_quantiles)
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-15)

    @given(panels(), st.integers(2, 7), st.randoms(use_true_random=False))
    def test_row_order_and_increasing_transforms_change_no_bit(self, panel, n_quantiles, random):
        returns, scores, dates = panel
        order = random.sample(range(len(scores)), len(scores))
        arguments = {"n_quantiles": n_quantiles, "min_names": 1}
        result = quantile_returns(returns, scores, dates=dates, **arguments)
        for transform in (np.exp, lambda x: x**3 - 5, lambda x: np.where(x == 0, -0.0, x)):
            other = quantile_returns(returns[order], transform(scores)[order], dates=dates[order], **arguments)
            np.testing.assert_array_equal(other, result)

    @given(panels(), st.integers(2, 7))
    def test_the_opposite_scores_reverse_the_quantiles_exactly(self, panel, n_quantiles):
        returns, scores, dates = panel
        arguments = {"n_quantiles": n_quantiles, "dates": dates, "min_names": 1}
        result = quantile_returns(returns, scores, **arguments).to_numpy()
        flipped = quantile_returns(returns, -scores, **arguments).to_numpy()
        np.testing.assert_array_equal(flipped, result[:, ::-1])
        np.testing.assert_array_equal(flipped[:, -1] - flipped[:, 0], -(result[:, -1] - result[:, 0]))

    @pytest.mark.parametrize("n_names", [20, 23])
    def test_opposite_scores_agree_to_the_last_bit_of_returns_with_many_digits(self, n_names):
        rng = np.random.default_rng(8)
        returns, dates = rng.normal(size=300 * n_names), np.repeat(np.arange(300), n_names)
        scores = rng.permutation(300 * n_names)
        result = quantile_returns(returns, scores, dates=dates).to_numpy()
        np.testing.assert_array_equal(quantile_returns(returns, -scores, dates=dates), result[:, ::-1])

    @given(panels(), st.integers(2, 7))
    def test_equal_scores_give_equal_returns_exactly(self, panel, n_quantiles):
        returns, scores, dates = panel
        result = quantile_returns(returns, scores * 0, n_quantiles=n_quantiles, dates=dates, min_names=1).to_numpy()
        np.testing.assert_array_equal(result[:, -1] - result[:, 0], 0)
        np.testing.assert_array_equal(result, np.repeat(result[:, :1], n_quantiles, axis=1))

    @given(panels())
    def test_quantiles_average_to_the_return_of_all_names(self, panel):
        returns, scores, dates = panel
        result = quantile_returns(returns, scores, n_quantiles=4, dates=dates, min_names=1)
        mean = pd.Series(returns).groupby(dates).mean()
        np.testing.assert_allclose(result.mean(axis=1), mean, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("scale", [1e-280, 1e-20, 1e20, 1e300])
    def test_returns_of_any_size_keep_their_precision(self, scale):
        returns = np.array([1.0, 2.0, 5.0, 4.0]) * scale
        result = quantile_returns(returns, [1, 2, 3, 4], n_quantiles=2, dates=[1] * 4)
        np.testing.assert_allclose(result.loc[1], [1.5 * scale, 4.5 * scale], rtol=1e-15)

    def test_returns_of_zero_are_zero(self):
        assert (quantile_returns(np.zeros(4), [1, 2, 3, 4], n_quantiles=2, dates=[1] * 4) == 0).all(axis=None)

    def test_a_date_does_not_depend_on_the_other_dates(self):
        rng = np.random.default_rng(2)
        returns, scores = rng.normal(size=(2, 40))
        alone = quantile_returns(returns[:20], scores[:20], dates=np.zeros(20))
        both = quantile_returns(np.append(returns[:20], 1e9 * returns[20:]), scores, dates=np.repeat([0.0, 1.0], 20))
        np.testing.assert_array_equal(both.loc[[0.0]], alone)

    def test_inputs_are_not_changed(self):
        returns, scores, dates = np.array([0.3, 0.1, 0.2]), np.array([3.0, 1.0, 2.0]), np.array([1, 1, 1])
        kept = returns.copy(), scores.copy(), dates.copy()
        quantile_returns(returns, scores, n_quantiles=2, dates=dates)
        for before, after in zip(kept, (returns, scores, dates), strict=True):
            np.testing.assert_array_equal(after, before)


class TestCoverage:
    def test_dates_with_few_names_are_nan_and_counted_once(self):
        dates = [1, 1, 2, 2, 2]
        with pytest.warns(CoverageWarning, match="1 of 2 dates have fewer than 3 names") as caught:
            result = quantile_returns([0.1, 0.2, 0.3, 0.1, 0.2], [1, 2, 3, 1, 2], n_quantiles=3, dates=dates)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert result.loc[1].isna().all()
        assert result.loc[2].tolist() == pytest.approx([0.1, 0.2, 0.3])

    def test_min_names_may_ask_for_more_or_fewer(self):
        arguments = {"y_true": [0.1, 0.2], "scores": [1, 2], "n_quantiles": 2, "dates": [1, 1]}
        with pytest.raises(PanelError, match="At least one date must have 3 names"):
            quantile_returns(**arguments, min_names=3)
        one_name = quantile_returns([0.1], [1], n_quantiles=4, dates=[1], min_names=1)
        assert one_name.loc[1].tolist() == pytest.approx([0.1] * 4)


class TestValidation:
    def test_series_are_compared_by_index(self):
        index = pd.MultiIndex.from_product([[1], ["A", "B"]], names=["date", "asset"])
        returns = pd.Series([0.1, 0.2], index=index)
        with pytest.raises(PanelError, match="scores must have the rows of y_true in the same order"):
            quantile_returns(returns, returns.iloc[::-1], n_quantiles=2)
        plain = pd.Series([0.1, 0.2])
        with pytest.raises(PanelError, match="scores must have the index of y_true"):
            quantile_returns(plain, plain.iloc[::-1], n_quantiles=2, dates=[1, 1])

    def test_missing_scores_are_counted(self):
        with pytest.raises(NonFiniteError, match="scores must hold finite numbers. Got NaN: 1 of 2"):
            quantile_returns([0.1, 0.2], [1, np.nan], n_quantiles=2, dates=[1, 1])

    def test_parameters_out_of_range_are_named(self):
        with pytest.raises(ValueError, match="'n_quantiles' parameter of quantile_returns must be"):
            quantile_returns([0.1, 0.2], [1, 2], n_quantiles=1, dates=[1, 1])

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_pairs_that_occur_twice_are_refused(self, shuffled):
        index = pd.MultiIndex.from_arrays([[1, 1, 2, 2], ["A", "A", "A", "B"]], names=["date", "asset"])
        returns = pd.Series([0.1, 0.2, 0.3, 0.4], index=index)
        returns = returns.iloc[::-1] if shuffled else returns
        with pytest.raises(PanelError, match="1 duplicate"):
            quantile_returns(returns, returns, n_quantiles=2)


class TestDatesOfAnIndex:
    @pytest.mark.parametrize("names", [["date", "asset"], ["asset", "date"]])
    def test_levels_may_be_unsorted_or_have_unused_dates(self, names):
        levels = {"date": pd.Index([30, 10, 20, 40]), "asset": pd.Index(["B", "A"])}
        codes = {"date": [0, 0, 3, 3, 1, 1], "asset": [0, 1, 1, 0, 0, 1]}
        index = pd.MultiIndex([levels[name] for name in names], [codes[name] for name in names], names=names)
        returns = pd.Series([0.01, 0.02, 0.03, 0.04, 0.05, 0.06], index=index)
        result = quantile_returns(returns, -returns, n_quantiles=2)
        assert list(result.index) == [10, 30, 40]
        np.testing.assert_allclose(result, [[0.06, 0.05], [0.02, 0.01], [0.04, 0.03]])

    def test_a_date_that_is_missing_is_counted(self):
        index = pd.MultiIndex([[1, 2], ["A", "B"]], [[0, -1], [0, 1]], names=["date", "asset"])
        with pytest.raises(PanelError, match="must have the date of every row. Got 1 rows without one"):
            quantile_returns(pd.Series([0.1, 0.2], index=index), np.array([1, 2]), n_quantiles=2)

    def test_levels_that_hold_a_date_twice_are_read_by_label(self):
        index = pd.MultiIndex(
            [[1, 2, 1], ["A", "B"]], [[0, 2, 1, 1], [0, 1, 0, 1]], names=["date", "asset"], verify_integrity=False
        )
        result = quantile_returns(pd.Series([0.1, 0.2, 0.3, 0.4], index=index), np.arange(4), n_quantiles=2)
        np.testing.assert_allclose(result.loc[[1, 2]], [[0.1, 0.2], [0.3, 0.4]])

    def test_weights_and_returns_agree_on_an_index_of_dates_alone(self):
        returns = pd.Series([0.1, 0.2, 0.3, 0.4], index=pd.Index([2, 1, 2, 1], name="date"))
        weights = quantile_weights(returns, n_quantiles=2)
        expected = weights.mul(returns, axis=0).groupby(level="date").sum()
        np.testing.assert_allclose(quantile_returns(returns, returns, n_quantiles=2), expected)
