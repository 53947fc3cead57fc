import numpy as np
import pytest

from skdrfm.preprocessing._projection import residuals


def date_with_industries(seed, n_names=30):
    rng = np.random.default_rng(seed)
    industry = rng.integers(0, 4, n_names)
    weight = rng.uniform(0.01, 1, n_names)
    constant_within = rng.standard_normal(4)[industry][None]
    return rng.standard_normal((2, n_names)), constant_within, industry, weight


class TestProperties:
    def test_factors_that_are_constant_within_industries_add_nothing(self):
        # Among so many dates are some where taking out the means leaves rounding errors instead of 0.
        for seed in range(200):
            (target, real), constant, industry, weight = date_with_industries(seed)
            expected = residuals(target[None], real[None], industry, weight)
            got = residuals(target[None], np.vstack([constant, real]), industry, weight)
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("power", [-300, 300])
    def test_unit_of_the_weights_has_no_effect(self, power):
        targets, factor, _, weight = date_with_industries(1)
        expected = residuals(targets, factor, None, weight)
        np.testing.assert_array_equal(residuals(targets, factor, None, weight * 2.0**power), expected)

    def test_inputs_are_left_alone(self):
        arrays = date_with_industries(2)
        before = [array.copy() for array in arrays]
        residuals(*arrays)
        for array, copy in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, copy)


class TestValidation:
    def test_as_many_names_as_coefficients_leave_no_residual(self):
        targets, factor, _, _ = date_with_industries(3, n_names=3)
        assert residuals(targets, factor) is not None
        assert residuals(targets[:, :2], factor[:, :2]) is None
        assert residuals(targets, factor[:0], np.arange(3)) is None
