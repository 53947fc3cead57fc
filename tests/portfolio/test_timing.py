import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.portfolio import timing_weights

FORECASTS = st.lists(st.floats(-0.1, 0.1), min_size=1, max_size=12).map(np.array)


class TestReferenceValues:
    def test_long_flat_and_short_with_nothing_at_the_threshold_itself(self):
        forecasts = [0.02, 0.01, 0.005, 0.0, -0.005, -0.01, -0.02]
        assert timing_weights(forecasts, threshold=0.01).tolist() == [1, 0, 0, 0, 0, 0, -1]
        assert timing_weights(forecasts, threshold=0.01, short=False).tolist() == [1, 0, 0, 0, 0, 0, 0]
        assert timing_weights(forecasts).tolist() == [1, 1, 1, 0, -1, -1, -1]

    def test_rows_keep_their_index_and_assets_do_not_compete(self):
        index = pd.MultiIndex.from_product([[1, 2], ["A", "B"]], names=["date", "asset"])
        weights = timing_weights(pd.Series([0.01, 0.02, -0.01, -0.02], index=index))
        assert weights.index is index
        assert weights.name == "weight"
        assert weights.dtype == np.float64
        assert weights.tolist() == [1, 1, -1, -1]


class TestProperties:
    @given(FORECASTS, st.floats(0, 0.05))
    def test_opposite_forecasts_give_opposite_positions(self, forecasts, threshold):
        weights = timing_weights(forecasts, threshold=threshold)
        np.testing.assert_array_equal(timing_weights(-forecasts, threshold=threshold), -weights)
        flat = timing_weights(forecasts, threshold=threshold, short=False)
        np.testing.assert_array_equal(flat, np.maximum(weights, 0))

    @given(FORECASTS, st.integers(0, 12))
    def test_later_forecasts_change_nothing(self, forecasts, n_rows):
        if n_rows:
            np.testing.assert_array_equal(timing_weights(forecasts[:n_rows]), timing_weights(forecasts)[:n_rows])


class TestValidation:
    @pytest.mark.parametrize("faulty", [np.nan, np.inf])
    def test_missing_forecasts_are_an_error(self, faulty):
        with pytest.raises(NonFiniteError, match="forecasts must hold finite numbers"):
            timing_weights([0.01, faulty])

    def test_forecasts_must_be_one_column(self):
        with pytest.raises(PanelError, match="forecasts must be one-dimensional"):
            timing_weights([[0.01, 0.02]])

    @pytest.mark.parametrize("options", [{"threshold": -0.01}, {"threshold": None}, {"short": "yes"}])
    def test_parameters_are_checked(self, options):
        (name,) = options
        with pytest.raises(ValueError, match=f"'{name}' parameter of timing_weights"):
            timing_weights([0.01], **options)
