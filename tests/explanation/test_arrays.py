import numpy as np
import pandas as pd

from skdrfm.explanation._arrays import read_only
from skdrfm.panel import stack_lags
from skdrfm.panel._lags import column_names


def test_columns_are_named_and_ordered_as_stacked_lags():
    dates = pd.period_range("2020-01", periods=4, freq="M")
    index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
    X = stack_lags(pd.DataFrame(1.0, index=index, columns=["CAP", "BETA"]), lags=(0, 3))
    assert column_names(("CAP", "BETA"), (3, 0)) == list(X)


def test_only_writable_arrays_of_others_are_copied():
    given = np.ones(3)
    copy = read_only(given)
    assert not np.shares_memory(copy, given)
    assert given.flags.writeable
    assert read_only(copy) is copy
    assert read_only(given, owned=True) is given
    assert not given.flags.writeable
