import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.panel import forward_returns


def complete_prices(n_months=8, assets="AB", seed=0):
    dates = pd.period_range("1999-10", periods=n_months, freq="M").to_timestamp(how="end").normalize()
    index = pd.MultiIndex.from_product([dates, list(assets)], names=["date", "asset"])
    steps = np.random.default_rng(seed).normal(0.01, 0.1, (n_months, len(assets)))
    return pd.Series(100 * np.exp(steps.cumsum(axis=0)).ravel(), index=index, name="close")


def month_of(timestamp):
    return timestamp.year * 12 + timestamp.month


def forward_slowly(data, horizon, kind):
    """Literal look-up of the coming periods, row by row."""
    known = {(asset, month_of(date)): value for (date, asset), value in data.items()}
    outcome = []
    for (date, asset), value in data.items():
        ahead = [known.get((asset, month_of(date) + k), np.nan) for k in range(1, horizon + 1)]
        if kind == "prices":
            outcome.append(ahead[-1] / value - 1)
        else:
            outcome.append(np.prod([1 + r for r in ahead]) - 1)
    return np.array(outcome)


class TestReferenceValues:
    def test_the_return_of_the_next_month_stands_at_this_month(self):
        returns = complete_prices(n_months=3, assets="A").pct_change()
        forward = forward_returns(returns)
        np.testing.assert_array_equal(np.isnan(forward), [False, False, True])
        np.testing.assert_array_equal(forward.iloc[:2], returns.iloc[1:])
        assert forward.name == "forward_return"
        assert forward.dtype == np.float64

    def test_two_months_are_compounded(self):
        prices = complete_prices(n_months=3, assets="A")
        returns = prices.pct_change()
        returns.iloc[1:] = [0.1, -0.2]
        assert forward_returns(returns, horizon=2).iloc[0] == pytest.approx(1.1 * 0.8 - 1)

    @settings(max_examples=100)
    @given(
        st.integers(0, 2**16),
        st.integers(1, 3),
        st.sampled_from(["prices", "returns"]),
        st.floats(0.2, 1.0),
    )
    def test_every_value_is_what_a_literal_look_up_finds(self, seed, horizon, kind, share):
        rng = np.random.default_rng(seed)
        data = complete_prices(n_months=10, assets="ABC", seed=seed)
        if kind == "returns":
            data = data / 100 - 1
        rows = rng.permutation(len(data))[: max(1, int(share * len(data)))]
        data = data.iloc[rows]
        data[rng.random(len(data)) < 0.1] = np.nan
        forward = forward_returns(data, horizon, kind=kind)
        np.testing.assert_allclose(forward, forward_slowly(data, horizon, kind), rtol=1e-12, atol=1e-14)
        assert forward.index.equals(data.index)


class TestProperties:
    @pytest.mark.parametrize("horizon", [1, 2, 3])
    def test_prices_and_their_returns_agree(self, horizon):
        prices = complete_prices()
        returns = prices.groupby(level="asset").pct_change()
        pd.testing.assert_series_equal(
            forward_returns(prices, horizon, kind="prices"), forward_returns(returns, horizon)
        )

    def test_the_last_dates_have_no_forward_return(self):
        forward = forward_returns(complete_prices(), horizon=2, kind="prices")
        dates = forward.index.get_level_values("date")
        np.testing.assert_array_equal(forward.isna(), dates >= dates.unique()[-2])

    def test_a_gap_gives_nan_and_never_the_return_of_a_later_month(self):
        returns = complete_prices(n_months=6, assets="A").pct_change().fillna(0.0)
        forward = forward_returns(returns.drop(returns.index[3]))
        assert np.isnan(forward.iloc[2])
        np.testing.assert_allclose(forward.iloc[[0, 1, 3]], returns.iloc[[1, 2, 5]], rtol=1e-12)

    def test_prices_need_only_the_last_month_of_the_horizon(self):
        prices = complete_prices(n_months=3, assets="A")
        forward = forward_returns(prices.iloc[[0, 2]], horizon=2, kind="prices")
        assert forward.iloc[0] == pytest.approx(prices.iloc[2] / prices.iloc[0] - 1)

    def test_rows_may_come_in_any_order(self):
        prices = complete_prices()
        order = np.random.default_rng(0).permutation(len(prices))
        pd.testing.assert_series_equal(
            forward_returns(prices.iloc[order], kind="prices"),
            forward_returns(prices, kind="prices").iloc[order],
        )

    def test_input_is_not_modified(self):
        prices = complete_prices()
        before = prices.copy()
        forward = forward_returns(prices, kind="prices")
        forward.iloc[0] = 1.0
        pd.testing.assert_series_equal(prices, before)

    def test_a_total_loss_is_a_return(self):
        returns = complete_prices(n_months=2, assets="A") * 0 - 1.0
        assert forward_returns(returns).iloc[0] == -1.0

    def test_an_empty_series_gives_an_empty_series(self):
        assert forward_returns(complete_prices().iloc[:0]).empty


class TestValidation:
    @pytest.mark.parametrize("horizon", [0, -1, 1.5, "1", None])
    def test_horizon_must_be_a_positive_integer(self, horizon):
        with pytest.raises(PanelError, match="'horizon' must be an integer >= 1"):
            forward_returns(complete_prices(), horizon)

    def test_kind_must_be_known(self):
        with pytest.raises(PanelError, match=r"'returns' or 'prices'\. Got 'close'"):
            forward_returns(complete_prices(), kind="close")

    def test_returns_below_minus_one_are_refused_with_their_count(self):
        returns = complete_prices() * 0
        returns.iloc[[1, 4]] = [-3.5, -2.0]
        with pytest.raises(PanelError, match=r"at least -1 .*Got 2 that are not, first -3.5 at"):
            forward_returns(returns)

    @pytest.mark.parametrize("price", [0.0, -12.5])
    def test_prices_must_be_positive(self, price):
        prices = complete_prices()
        prices.iloc[3] = price
        with pytest.raises(PanelError, match=r"must be positive\. Got 1 that are not"):
            forward_returns(prices, kind="prices")

    def test_infinity_is_refused(self):
        prices = complete_prices()
        prices.iloc[3] = np.inf
        with pytest.raises(NonFiniteError, match=r"infinity \(inf\): 1 of 16 values"):
            forward_returns(prices, kind="prices")

    def test_a_frame_or_a_bare_index_is_refused(self):
        with pytest.raises(PanelError, match=r"must be a Series of returns\. Got a DataFrame"):
            forward_returns(complete_prices().to_frame())
        with pytest.raises(PanelError, match="levels 'date' and 'asset'"):
            forward_returns(complete_prices().reset_index(drop=True))
