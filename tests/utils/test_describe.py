import functools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdrfm import WalkForwardSplit
from skdrfm.exceptions import CheckpointError
from skdrfm.utils._describe import Description, describe_parameters


class Holder(BaseEstimator):
    def __init__(self, value=None, other=3):
        self.value = value
        self.other = other


def text_of(value):
    return describe_parameters(Holder(value)).values["value"]


def text_of_class(kind):
    return f"{__name__.partition('.')[0]}.{kind.__name__}"


def twice(x, factor=2):
    return x * factor


def adder(n):
    return lambda x: x + n


class Config:
    def __init__(self, rate, name):
        self.rate, self.name = rate, name

    def get_config(self):
        return {"name": self.name, "rate": self.rate}


class Unreadable:
    __signature__ = "as of a class of an extension module"

    def get_params(self, deep=True):
        return {"n": 1}


class Slots:
    __slots__ = ("n",)

    def split(self, X):
        return iter(())


class TestReferenceValues:
    def test_each_parameter_of_an_estimator_has_its_text(self):
        values = describe_parameters(Holder("a", other=2.5)).values
        assert values == {"class": text_of_class(Holder), "value": "'a'", "other": "2.5"}

    def test_parts_of_pipelines_and_searches_are_described_one_by_one(self):
        search = GridSearchCV(make_pipeline(StandardScaler(), Ridge(alpha=0.5)), {"ridge__alpha": [1]}, cv=KFold(4))
        description = describe_parameters(search)
        assert description.values["estimator"] == "sklearn.Pipeline"
        assert description.values["estimator.steps[1][0]"] == "'ridge'"
        assert description.values["estimator.steps[1][1]"] == "sklearn.Ridge"
        assert description.values["estimator.steps[1][1].alpha"] == "0.5"
        assert description.values["cv"] == "sklearn.KFold"
        assert description.values["cv.n_splits"] == "4"
        assert {"refit", "cv.shuffle", "estimator.steps[1][1].tol"} <= description.defaults
        assert not {"class", "cv", "cv.n_splits", "estimator.steps[1][1].alpha"} & description.defaults

    def test_estimators_in_mappings_are_described(self):
        values = describe_parameters(Holder({"a": Ridge(alpha=2), "b": 1})).values
        assert values["value"] == "dict of 2"
        assert values["value['a'].alpha"] == "2"
        assert values["value['b']"] == "1"

    def test_splitters_are_described_by_their_attributes(self):
        description = describe_parameters(WalkForwardSplit(12, first_test_date=pd.Timestamp("2001-01-31")))
        assert description.values["train_size"] == "12"
        assert description.values["first_test_date"] == "Timestamp('2001-01-31 00:00:00')"
        assert "gap" in description.defaults
        assert "train_size" not in description.defaults

    def test_an_object_that_hides_its_parameters_counts_with_its_content(self):
        assert "Slots, hash " in describe_parameters(Slots()).values["class"]

    def test_a_constructor_that_cannot_be_read_has_no_defaults(self):
        assert describe_parameters(Unreadable()) == Description({"class": text_of_class(Unreadable), "n": "1"})


class TestProperties:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, True),
            (1, 1.0),
            (0.1, 0.1 + 1e-16),
            ("1", 1),
            ((1,), [1]),
            ({1, 2}, {1, 3}),
            ({"a": 1}, {"a": 2}),
            (np.arange(3), np.arange(3.0)),
            (np.zeros(9), np.zeros((3, 3))),
            (np.arange(1000), np.arange(1000)[::-1]),
            (list(range(500)), [*range(499), -1]),
            (np.random.RandomState(0), np.random.RandomState(1)),
            (Ridge, LinearRegression),
            (len, max),
            (twice, adder(1)),
            (adder(1), adder(2)),
            (lambda x: x, lambda x: -x),
            (lambda x: [i for i in x], lambda x: [-i for i in x]),  # noqa: C416
            (lambda x, n=1: x, lambda x, n=2: x),
            (functools.partial(twice, factor=2), functools.partial(twice, factor=3)),
            (Config(0.1, "a"), Config(0.2, "a")),
            (
                FrozenEstimator(Ridge().fit([[0.0], [1.0]], [0, 1])),
                FrozenEstimator(Ridge().fit([[0.0], [1.0]], [0, 2])),
            ),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_different_values_have_different_texts(self, one, other):
        first, second = describe_parameters(Holder(one)).values, describe_parameters(Holder(other)).values
        assert first != second
        assert first == describe_parameters(Holder(one)).values

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (16, np.int64(16)),
            (0.1, np.float64(0.1)),
            ("a", np.str_("a")),
            ({"b", "a"}, {"a", "b"}),
            (adder(1), adder(1)),
            (Config(0.1, "adam"), Config(0.1, "adam_1")),
            (np.arange(3), np.arange(3).copy()),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_equal_values_have_equal_texts(self, one, other):
        assert text_of(one) == text_of(other)

    def test_copies_and_fitted_estimators_have_the_description_of_the_original(self):
        model = RandomForestRegressor(3, random_state=np.random.RandomState(0))
        expected = describe_parameters(model)
        assert describe_parameters(clone(model)) == expected
        ridge = Ridge()
        assert describe_parameters(Ridge().fit([[0.0], [1.0]], [0, 1])) == describe_parameters(ridge)

    def test_long_texts_are_cut(self):
        assert len(text_of(list(range(10_000)))) < 250

    def test_a_function_that_refers_to_what_has_no_value_yet_is_described(self):
        def outer():
            def inner():
                return later

            description = text_of(inner)
            later = 1
            return description, later

        assert "inner, code " in outer()[0]

    def test_a_function_that_calls_itself_is_described(self):
        def counting(step):
            def count(n):
                return 0 if n == 0 else count(n - step)

            return count

        def pair(step):
            def even(n):
                return n == 0 or odd(n - step)

            def odd(n):
                return n != 0 and even(n - step)

            return even

        for make in (counting, pair):
            assert text_of(make(1)) == text_of(make(1)) != text_of(make(2))

    def test_other_processes_say_the_same(self):
        script = (
            "from sklearn.ensemble import RandomForestRegressor\n"
            "from skdrfm.utils._describe import describe_parameters\n"
            "model = RandomForestRegressor(max_features={'b', 'a', 'c'}, criterion=lambda x: x in {'b', 'a', 'c'})\n"
            "values = describe_parameters(model).values\n"
            "print(values['max_features'], values['criterion'])\n"
        )
        said = {
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(said) == 1


class TestValidation:
    def test_a_value_without_content_to_hash_is_refused_by_name(self):
        with pytest.raises(CheckpointError, match="'value' must have a content that can be hashed.* Got a generator"):
            describe_parameters(Holder(i for i in range(3)))

    def test_parameters_that_contain_themselves_are_refused(self):
        holder = Holder()
        holder.value = holder
        with pytest.raises(CheckpointError, match="Holder must not contain themselves"):
            describe_parameters(holder)
