import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm import metrics
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.metrics import performance_summary

KEYS = [
    "Return",
    "Return (geometric)",
    "Volatility",
    "Sharpe ratio",
    "Sharpe standard error",
    "Newey-West t",
    "Sortino ratio",
    "Calmar ratio",
    "Max drawdown",
    "VaR 95 %",
    "CVaR 95 %",
    "Hit rate",
    "Skewness",
    "Kurtosis",
]


class TestReferenceValues:
    @pytest.mark.parametrize("periods", [12, 252])
    def test_each_line_is_the_function_of_its_name(self, periods):
        returns = np.random.default_rng(0).normal(0.01, 0.05, 96)
        annual = {"periods_per_year": periods}
        expected = [
            metrics.annualised_return(returns, **annual),
            metrics.annualised_return(returns, **annual, compounding="geometric"),
            metrics.annualised_volatility(returns, **annual),
            metrics.sharpe_ratio(returns, **annual),
            metrics.sharpe_standard_error(returns, **annual),
            metrics.newey_west_t(returns),
            metrics.sortino_ratio(returns, **annual),
            metrics.calmar_ratio(returns, **annual),
            metrics.max_drawdown(returns),
            metrics.value_at_risk(returns, level=0.95),
            metrics.conditional_value_at_risk(returns, level=0.95),
            metrics.hit_rate(returns),
            metrics.skewness(returns),
            metrics.kurtosis(returns),
        ]
        result = performance_summary(returns, **annual)
        assert result.index.tolist() == KEYS
        assert result.tolist() == expected
        assert len(set(expected)) == len(expected)

    def test_sharpe_ratio_is_the_quotient_of_the_first_lines_as_in_the_published_table(self):
        result = performance_summary([0.03, -0.02, 0.01, 0.05], periods_per_year=12)
        assert result["Return"] == pytest.approx(12 * 0.0175)
        assert result["Sharpe ratio"] == result["Return"] / result["Volatility"]

    @pytest.mark.parametrize(
        ("n_periods", "missing"),
        [
            (
                1,
                [
                    "Volatility",
                    "Sharpe ratio",
                    "Sharpe standard error",
                    "Newey-West t",
                    "Sortino ratio",
                    "Skewness",
                    "Kurtosis",
                ],
            ),
            (2, ["Skewness", "Kurtosis"]),
            (3, ["Kurtosis"]),
            (4, []),
        ],
    )
    def test_few_periods_leave_out_what_needs_more(self, n_periods, missing):
        result = performance_summary([-0.02, 0.03, 0.01, 0.05][:n_periods], periods_per_year=12)
        assert result.index[result.isna()].tolist() == missing

    def test_equal_returns_have_no_ratios(self):
        result = performance_summary([0.01] * 12, periods_per_year=12)
        assert result.index[result.isna()].tolist() == [
            "Sharpe ratio",
            "Sharpe standard error",
            "Newey-West t",
            "Sortino ratio",
            "Calmar ratio",
            "Skewness",
            "Kurtosis",
        ]
        assert result["Volatility"] == result["Max drawdown"] == 0
        assert result["VaR 95 %"] == result["CVaR 95 %"] == -0.01
        assert result["Return (geometric)"] == pytest.approx(1.01**12 - 1)

    def test_ruin_is_total(self):
        result = performance_summary([0.1, -1.0, 0.2], periods_per_year=12)
        assert result["Return (geometric)"] == result["Max drawdown"] == result["Calmar ratio"] == -1
        assert result["Return"] < 0


class TestProperties:
    @given(st.lists(st.integers(-60, 60), min_size=1, max_size=40))
    def test_figures_keep_their_bounds(self, percent):
        result = performance_summary(np.array(percent) / 100, periods_per_year=12)
        assert -1 <= result["Max drawdown"] <= 0
        assert result["CVaR 95 %"] >= result["VaR 95 %"]
        assert 0 <= result["Hit rate"] <= 1
        assert result["Return (geometric)"] >= -1
        assert np.isnan(result["Volatility"]) or result["Volatility"] >= 0

    def test_name_of_a_series_becomes_the_name_of_the_summary(self):
        returns = pd.Series([0.01, -0.02, 0.03, 0.0], name="long_short")
        before = returns.copy()
        result = performance_summary(returns, periods_per_year=12)
        assert result.name == "long_short"
        pd.testing.assert_series_equal(returns, before)
        from_array = performance_summary(returns.to_numpy(), periods_per_year=12)
        assert from_array.name is None
        pd.testing.assert_series_equal(result, from_array, check_names=False)


class TestValidation:
    def test_bad_input_is_an_error(self):
        with pytest.raises(NonFiniteError, match="Got 1 NaN or infinite of 2"):
            performance_summary([0.1, np.nan], periods_per_year=12)
        with pytest.raises(PanelError, match="at least one"):
            performance_summary([], periods_per_year=12)
        with pytest.raises(ValueError, match="'periods_per_year' parameter of performance_summary must be"):
            performance_summary([0.1], periods_per_year=0)
