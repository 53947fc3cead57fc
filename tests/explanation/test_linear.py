import numpy as np
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.explanation import linear_explanation


class TestReferenceValues:
    @pytest.mark.parametrize("shape", [(2, 3), (6,)])
    def test_linear_models_load_alike_on_every_row(self, shape):
        rng = np.random.default_rng(1)
        data, slopes = rng.normal(size=(5, 2, 3)), rng.normal(size=6)
        found = linear_explanation(data, slopes.reshape(shape), 0.25, lags=(6, 0))
        np.testing.assert_allclose(found.predictions, data.reshape(5, 6) @ slopes + 0.25)
        np.testing.assert_array_equal(found.loadings[3], slopes.reshape(2, 3))
        np.testing.assert_array_equal(found.bias, 0.25)
        assert not found.stabilizer.any()
        assert not found.state.any()
        assert np.abs(found.conservation_gap).max() < 1e-14
        assert found.lags == (6, 0)
        assert found.method == "linear"

    def test_whole_numbers_become_floats(self):
        found = linear_explanation([[[1, 2]]], [3, 4])
        assert found.data.dtype == np.float64
        assert found.predictions.tolist() == [11.0]


class TestProperties:
    def test_later_changes_of_the_coefficients_do_not_reach_the_explanation(self):
        slopes = np.array([0.5, 0.25])
        found = linear_explanation([[[1.0, 2.0]]], slopes)
        slopes[:] = 0
        assert found.loadings.ravel().tolist() == [0.5, 0.25]

    def test_loadings_of_many_rows_take_the_memory_of_one(self):
        assert linear_explanation(np.ones((50, 2, 3)), np.ones(6)).loadings.strides[0] == 0

    def test_no_rows_have_an_empty_explanation(self):
        found = linear_explanation(np.empty((0, 2, 3)), np.ones(6), 0.5)
        assert found.values.shape == (0, 2, 3)
        assert found.by_descriptor().shape == (0, 3)


class TestValidation:
    def test_linear_models_must_fit_their_data(self):
        with pytest.raises(PanelError, match=r"'data' must have shape.*Got \(2, 3\)"):
            linear_explanation(np.zeros((2, 3)), np.zeros(3))
        with pytest.raises(PanelError, match=r"'coefficients' must have shape \(2, 3\) or \(6,\)"):
            linear_explanation(np.zeros((4, 2, 3)), np.zeros((3, 2)))
