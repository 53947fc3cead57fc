import numpy as np
import pytest

from skdrfm.lrp._stabilizer import Stabilizer, divided, quotient, sum_product


class TestReferenceValues:
    def test_an_absolute_shift_has_the_sign_of_what_it_is_added_to(self):
        z = np.array([[2.0, -3.0, 0.0]])
        np.testing.assert_array_equal(Stabilizer(0.1, "absolute").shift(z), [[0.1, -0.1, 0.1]])

    def test_a_relative_shift_follows_the_root_mean_square_of_each_sample(self):
        z = np.array([[3.0, 0.0], [-4.0, 2.0]])  # two units of two samples
        expected = 0.1 * np.array([[np.sqrt(12.5), np.sqrt(2)], [-np.sqrt(12.5), np.sqrt(2)]])
        np.testing.assert_allclose(Stabilizer(0.1, "relative").shift(z), expected, rtol=1e-15)

    def test_padding_does_not_count(self):
        rng = np.random.default_rng(0)
        z, mask = rng.normal(size=(4, 2, 3)), np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]], dtype=bool)
        found = Stabilizer(0.1, "relative").shift(z, mask)
        for sample in range(2):
            size = np.sqrt((z[mask[:, sample], :, sample] ** 2).mean())
            np.testing.assert_allclose(np.abs(found[:, :, sample]), 0.1 * size, rtol=1e-14)
        np.testing.assert_array_equal(found[:, :, 2], 0)

    def test_a_quotient_takes_a_given_value_for_zero_over_zero(self):
        np.testing.assert_array_equal(quotient(np.array([0.0, 6.0]), np.array([0.0, 3.0]), 0.5), [0.5, 2.0])
        np.testing.assert_array_equal(quotient(np.array([1.0, 6.0]), np.array([2.0, 3.0])), [0.5, 2.0])

    def test_a_sum_of_zero_has_no_parts_to_share_relevance_among(self):
        np.testing.assert_array_equal(divided(np.array([5.0, 6.0]), np.array([0.0, 3.0])), [0.0, 2.0])
        np.testing.assert_array_equal(divided(np.array([5.0, 6.0]), np.array([2.0, 3.0])), [2.5, 2.0])

    @pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3)])
    def test_a_product_is_summed_for_each_sample(self, shape):
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=shape), rng.normal(size=shape)
        expected = (a * b).reshape(-1, 3).sum(axis=0) if len(shape) > 1 else a * b
        np.testing.assert_allclose(sum_product(a, b), expected, rtol=1e-13)


class TestProperties:
    @pytest.mark.parametrize("mode", ["relative", "absolute"])
    def test_nothing_is_changed_in_place_and_the_type_is_kept(self, mode):
        z = np.random.default_rng(2).normal(size=(3, 2, 4)).astype(np.float32)
        before = z.copy()
        assert Stabilizer(0.1, mode).shift(z).dtype == np.float32
        np.testing.assert_array_equal(z, before)

    @pytest.mark.parametrize("mode", ["relative", "absolute"])
    def test_no_epsilon_is_no_shift(self, mode):
        np.testing.assert_array_equal(Stabilizer(0, mode).shift(np.array([[1.0, -2.0]])), 0)


class TestValidation:
    @pytest.mark.parametrize("epsilon", [-1e-9, np.nan, np.inf, "small", None])
    def test_epsilon_must_be_a_finite_number(self, epsilon):
        with pytest.raises(ValueError, match="'epsilon' must be a finite number >= 0. Got .*1e-6 suits"):
            Stabilizer(epsilon, "relative")

    def test_the_mode_must_be_known(self):
        with pytest.raises(ValueError, match="'epsilon_mode' must be one of 'absolute', 'relative'. Got 'batch'"):
            Stabilizer(0.1, "batch")

    def test_numbers_of_numpy_are_numbers(self):
        assert Stabilizer(np.float32(0.5), "absolute").shift(np.array([[2.0]])).item() == 0.5
