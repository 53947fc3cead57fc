import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import annualised_return, calmar_ratio, drawdown_periods, drawdown_series, max_drawdown

MONTHLY = {"periods_per_year": 12}
RETURNS = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40)
WILD = st.lists(st.one_of(st.floats(-2, 2), st.sampled_from([-1.0, -1e6, 1e6, 0.0])), min_size=1, max_size=40)
COLUMNS = ["depth", "start", "trough", "recovery", "n_periods"]


def literal_drawdowns(returns):
    """Wealth followed period by period."""
    wealth, peak, result = 1.0, 1.0, []
    for value in returns:
        wealth *= max(1 + value, 0)
        peak = max(peak, wealth)
        result.append(wealth / peak - 1)
    return result


def literal_episodes(returns):
    """Episodes by walking along wealth: depth, start, trough, recovery as positions, None if missing."""
    drawdowns, episodes, current = literal_drawdowns(returns), [], None
    for t, drawdown in enumerate(drawdowns):
        if drawdown < -1e-12:
            if current is None:
                current = [drawdown, t - 1 if t else None, t, None]
            elif drawdown < current[0]:
                current[0], current[2] = drawdown, t
        elif current is not None:
            current[3] = t
            episodes.append(current)
            current = None
    return episodes + ([current] if current else [])


@pytest.fixture(params=[0, 1])
def monthly(request):
    index = pd.date_range("2007-04-30", periods=96, freq="ME")
    return pd.Series(np.random.default_rng(request.param).normal(0.01, 0.05, 96), index=index)


class TestReferenceValues:
    @pytest.mark.parametrize(
        ("returns", "expected"),
        [
            ([-0.1, 0.05], [-0.1, 0.9 * 1.05 - 1]),  # the start value is a peak
            ([0.1, -0.2, -0.1, 0.5], [0, -0.2, 0.8 * 0.9 - 1, 0]),  # compounded, not summed
            ([0.1, 0.0, 0.2], [0, 0, 0]),
            ([0.5, -1.0, 3.0], [0, -1, -1]),
            ([0.5, -1.2, -3.0], [0, -1, -1]),  # ruin stays ruin
            ([-1.0], [-1]),
            ([0.02], [0]),
        ],
    )
    def test_drawdown_by_hand(self, returns, expected):
        np.testing.assert_allclose(drawdown_series(returns), expected, atol=1e-15)
        assert max_drawdown(returns) == pytest.approx(min(expected), abs=1e-15)

    def test_episodes_by_hand_are_sorted_by_depth_with_their_dates(self):
        returns = pd.Series(
            [-0.05, 0.10, 0.0, -0.20, -0.10, 0.0, 0.50, -0.10, 0.02],
            index=pd.period_range("2020-01", periods=9, freq="M"),
        )
        result = drawdown_periods(returns)
        assert result.columns.tolist() == COLUMNS
        assert result["depth"].tolist() == pytest.approx([-0.28, -0.10, -0.05])
        # The peak of 1.045 is left in March; it lasts two months, and the last month at it counts.
        assert [str(label) for label in result["start"]] == ["2020-03", "2020-07", "NaT"]
        assert [str(label) for label in result["trough"]] == ["2020-05", "2020-08", "2020-01"]
        assert [str(label) for label in result["recovery"]] == ["2020-07", "NaT", "2020-02"]
        assert result["n_periods"].tolist() == [4, 2, 2]
        assert result["start"].dtype == result["trough"].dtype == result["recovery"].dtype == "period[M]"

    @pytest.mark.parametrize(
        ("index", "first", "third"),
        [
            (None, 0, 2),
            (pd.Index([202001, 202002, 202003], name="date"), 202001, 202003),
            (pd.Index(["2020-01", "2020-02", "2020-03"], name="date"), "2020-01", "2020-03"),
            (pd.date_range("2020-01-31", periods=3, freq="ME"), pd.Timestamp("2020-01-31"), pd.Timestamp("2020-03-31")),
        ],
    )
    def test_labels_keep_their_type_beside_missing_ones(self, index, first, third):
        returns = [0.1, -0.1, -0.1] if index is None else pd.Series([0.1, -0.1, -0.1], index=index)
        result = drawdown_periods(returns)
        assert result.loc[0, "start"] == first
        assert result.loc[0, "trough"] == third
        assert pd.isna(result.loc[0, "recovery"])
        assert result.loc[0, "n_periods"] == 2
        assert not isinstance(result.loc[0, "trough"], float)

    def test_equal_depths_stay_in_the_order_of_time(self):
        result = drawdown_periods([-0.5, 1.0, -0.75, 3.0] * 30)
        assert result["trough"].tolist() == [*range(2, 120, 4), *range(0, 120, 4)]

    def test_a_recovery_to_the_peak_is_found_through_rounding(self):
        result = drawdown_periods([0.1, -0.3, 1 / 0.7 - 1, 0.0, 0.0])
        assert result["recovery"].tolist() == [2]
        returns = np.tile([-0.07, 1 / 0.93 - 1], 500)
        assert len(drawdown_periods(returns)) == 500

    def test_wealth_that_never_fell_has_no_episode_and_no_calmar_ratio(self):
        result = drawdown_periods([0.1, 0.0, 0.2])
        assert result.shape == (0, 5)
        assert result.columns.tolist() == COLUMNS
        assert result.dtypes.equals(drawdown_periods([-0.1]).dtypes)
        assert np.isnan(calmar_ratio([0.1, 0.0], **MONTHLY))

    def test_calmar_ratio_by_hand(self):
        # 1.1 x 0.8 x 1.4 = 1.232 in one year, with a fall of 20 %.
        assert calmar_ratio([0.10, -0.20, 0.40], periods_per_year=3) == pytest.approx(0.232 / 0.2)
        assert calmar_ratio([0.5, -1.0, 0.3], **MONTHLY) == -1

    def test_series_of_any_length_stay_in_range(self):
        returns = np.full(5000, 2.0)
        returns[-1] = -0.25
        assert max_drawdown(returns) == pytest.approx(-0.25)
        assert max_drawdown(np.full(5000, -0.9)) == -1


class TestPeers:
    def test_empyrical_has_the_same_drawdown_and_calmar_ratio(self, monthly):
        empyrical = pytest.importorskip("empyrical", reason="compares with empyrical-reloaded")
        monthly.iloc[0] = -0.03
        assert max_drawdown(monthly) == pytest.approx(empyrical.max_drawdown(monthly), rel=1e-10)
        expected = empyrical.calmar_ratio(monthly, annualization=12)
        assert calmar_ratio(monthly, **MONTHLY) == pytest.approx(expected, rel=1e-10)

    def test_quantstats_has_the_same_drawdowns_and_counts_days(self, monthly):
        stats = pytest.importorskip("quantstats.stats", reason="compares with quantstats")
        monthly.iloc[0] = -0.03
        theirs = stats.to_drawdown_series(monthly)
        np.testing.assert_allclose(drawdown_series(monthly), theirs, atol=1e-12)
        assert calmar_ratio(monthly, **MONTHLY) == pytest.approx(stats.calmar(monthly, periods=12), rel=1e-10)
        # Its episodes begin with the first period below the peak and end with the last one, and it counts days.
        episodes = stats.drawdown_details(theirs).sort_values("max drawdown", kind="stable")
        ours = drawdown_periods(monthly)
        np.testing.assert_allclose(ours["depth"], episodes["max drawdown"] / 100, rtol=1e-9)
        assert ours["trough"].dt.strftime("%Y-%m-%d").tolist() == episodes["valley"].tolist()


class TestProperties:
    @given(WILD)
    def test_drawdown_is_a_loss_of_at_most_everything(self, returns):
        drawdowns = drawdown_series(returns)
        assert np.all((drawdowns >= -1) & (drawdowns <= 0))
        assert max_drawdown(returns) == drawdowns.min()

    @given(RETURNS)
    def test_drawdown_equals_the_walk_along_wealth(self, returns):
        np.testing.assert_allclose(drawdown_series(returns), literal_drawdowns(returns), atol=1e-12)

    @given(st.lists(st.sampled_from([-0.3, -0.1, 0.0, 0.05, 0.2, -1.0, 1.5]), min_size=1, max_size=30))
    def test_episodes_equal_the_walk_along_wealth(self, returns):
        result = drawdown_periods(returns)
        expected = sorted(literal_episodes(returns), key=lambda episode: round(episode[0], 9))
        found = [
            [None if pd.isna(cell) else cell for cell in row]
            for row in result[["start", "trough", "recovery"]].to_numpy(dtype=object).tolist()
        ]
        by_time = {trough: (start, recovery) for start, trough, recovery in found}
        assert by_time == {trough: (start, recovery) for _, start, trough, recovery in expected}
        np.testing.assert_allclose(result["depth"], [episode[0] for episode in expected], atol=1e-12)
        begin = result["start"].fillna(-1)
        end = result["recovery"].fillna(len(returns) - 1)
        assert (result["n_periods"] == end - begin).all()

    @given(RETURNS)
    def test_deepest_episode_is_the_maximum(self, returns):
        result = drawdown_periods(returns)
        assert result["depth"].is_monotonic_increasing
        worst = max_drawdown(returns)
        assert (result["depth"].iloc[0] == worst) if len(result) else worst > -1e-12

    @given(RETURNS)
    def test_calmar_ratio_is_the_quotient_of_its_parts(self, returns):
        worst = max_drawdown(returns)
        result = calmar_ratio(returns, **MONTHLY)
        if worst < -1e-6:
            reward = annualised_return(returns, **MONTHLY, compounding="geometric")
            assert result * abs(worst) == pytest.approx(reward, rel=1e-9, abs=1e-12)
        assert np.isnan(result) == (worst == 0)

    def test_series_and_arrays_agree_and_inputs_are_not_changed(self, monthly):
        before = monthly.copy()
        result = drawdown_series(monthly)
        assert result.name == "drawdown"
        pd.testing.assert_index_equal(result.index, monthly.index)
        np.testing.assert_array_equal(result, drawdown_series(monthly.to_numpy()))
        np.testing.assert_array_equal(result, drawdown_series(monthly.tolist()))
        assert max_drawdown(monthly) == max_drawdown(monthly.to_numpy())
        result.iloc[:] = 7
        pd.testing.assert_series_equal(monthly, before)
        positions = drawdown_periods(monthly.to_numpy())
        labels = drawdown_periods(monthly)
        assert labels["trough"].tolist() == monthly.index[positions["trough"].astype(int)].tolist()


class TestValidation:
    @pytest.mark.parametrize("figure", [max_drawdown, drawdown_series, drawdown_periods])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_returns_are_counted_with_a_way_out(self, figure, value):
        with pytest.raises(NonFiniteError, match=r"Got 1 NaN or infinite of 2 .*dropna"):
            figure([0.1, value])

    @pytest.mark.parametrize("figure", [max_drawdown, drawdown_series, drawdown_periods])
    @pytest.mark.parametrize(
        "index",
        [
            pd.to_datetime(["2020-02-29", "2020-01-31"]),
            pd.PeriodIndex(["2020-02", "2020-01"], freq="M"),
            pd.Index([202002, 202001], name="date"),
            pd.to_datetime(["2020-01-31", "2020-01-31"]),
            pd.MultiIndex.from_product([[1], ["A", "B"]], names=["date", "asset"]),
        ],
    )
    def test_dates_must_increase(self, figure, index):
        with pytest.raises(PanelError, match=r"dates that repeat or go back. Sort them with returns.sort_index\(\)"):
            figure(pd.Series([0.1, -0.1], index=index))

    def test_labels_that_are_no_dates_have_no_order(self):
        assert max_drawdown(pd.Series([0.1, -0.1], index=["b", "a"])) == pytest.approx(-0.1)

    def test_no_return_is_an_error(self):
        with pytest.raises(PanelError, match="at least one"):
            drawdown_periods([])

    def test_periods_per_year_must_be_positive(self):
        with pytest.raises(ValueError, match="'periods_per_year' parameter of calmar_ratio must be"):
            calmar_ratio([0.1, -0.1], periods_per_year=0)
