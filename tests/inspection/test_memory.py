"""Products of forget gates become months of memory."""

import numpy as np
import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.factor_model import LinearFactorRegressor
from skdrfm.inspection import LagMemory, lag_memory

UNITS = pd.MultiIndex.from_tuples(
    [("lstm", "forward", 0), ("lstm", "backward", 0)], names=["layer", "direction", "unit"]
)
INDEX = pd.MultiIndex.from_product([[202001, 202002], ["A", "B"]], names=["date", "asset"])
# Three lags, 12, 6 and 0: forward units read 12 first, backward ones 0 first.
SURVIVAL = np.array([[[0.2, 1.0], [0.5, 0.5], [1.0, 0.25]]] * 4)


@pytest.fixture
def memory():
    return LagMemory(SURVIVAL.copy(), UNITS, (12, 6, 0), INDEX)


class TestReferenceValues:
    def test_a_lag_counts_with_the_months_until_the_next_one_read(self, memory):
        by_lag = memory.by_lag()
        assert by_lag.index.names == ["date", "asset", "lag"]
        row = by_lag.loc[(202001, "A")]
        np.testing.assert_allclose(row["lstm", "forward", 0], [0.2 * 6, 0.5 * 6, 0])
        np.testing.assert_allclose(row["lstm", "backward", 0], [0, 0.5 * 6, 0.25 * 6])

    def test_the_total_is_the_area_under_the_survival_curve(self, memory):
        np.testing.assert_allclose(memory.total().loc[(202002, "B")], [4.2, 4.5])

    def test_a_unit_that_forgets_nothing_has_the_span_of_the_lags(self):
        memory = LagMemory(np.ones((4, 3, 2)), UNITS, (12, 6, 0), INDEX)
        assert (memory.total() == 12).all(axis=None)

    def test_dates_are_means_over_their_rows(self, memory):
        changed = SURVIVAL.copy()
        changed[0, 1, 0] = 1.0
        over_time = LagMemory(changed, UNITS, (12, 6, 0), INDEX).over_time()
        assert over_time.index.name == "date"
        np.testing.assert_allclose(over_time["lstm", "forward", 0], [4.2 + 1.5, 4.2])


class TestProperties:
    def test_numbers_are_read_only(self, memory):
        with pytest.raises(ValueError, match="read-only"):
            memory.survival[0] = 0
        assert repr(memory) == "LagMemory(n_samples=4, n_timesteps=3, n_units=2)"


class TestValidation:
    def test_rows_without_dates_have_no_time(self):
        memory = LagMemory(SURVIVAL.copy(), UNITS, (12, 6, 0))
        with pytest.raises(PanelError, match="over_time needs an index with a level named 'date'"):
            memory.over_time()
        assert memory.by_lag().index.names == ["sample", "lag"]

    def test_a_model_without_a_network_is_refused(self):
        X = np.random.default_rng(0).normal(size=(9, 2))
        with pytest.raises(TypeError, match="must be a recurrent network. Got LinearFactorRegressor"):
            lag_memory(LinearFactorRegressor().fit(X, X[:, 0]), X)
