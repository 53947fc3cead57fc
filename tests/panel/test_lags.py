import pandas as pd
import pytest

from skdrfm.exceptions import PanelError
from skdrfm.panel import LagLayout, lag_layout, stack_lags
from skdrfm.panel._lags import check_lags, column_names


class TestReferenceValues:
    def test_columns_run_lag_by_lag(self):
        assert column_names(["CAP", 7], [3, 0]) == ["CAP__lag3", "7__lag3", "CAP__lag0", "7__lag0"]

    def test_lags_are_sorted_oldest_first(self):
        assert check_lags((0, 12, 3)) == [12, 3, 0]

    def test_layout_reads_what_stack_lags_wrote(self):
        index = pd.MultiIndex.from_product([pd.period_range("1999-10", periods=13, freq="M"), ["A"]])
        X = pd.DataFrame(1.0, index=index.set_names(["date", "asset"]), columns=["D0", "D1"])
        layout = lag_layout(stack_lags(X, lags=(12, 0, 3)).columns)
        assert layout == LagLayout(descriptor_names=("D0", "D1"), lags=(12, 3, 0))
        assert layout.n_timesteps == 3

    def test_names_with_underscores_and_digits_are_read_whole(self):
        assert lag_layout(["12-1MOM__lag10", "a__b__lag10"]) == LagLayout(("12-1MOM", "a__b"), (10,))

    def test_columns_without_lags_have_no_layout(self):
        assert lag_layout(["CAP", 3, "lag0", "__lag1x"]) is None
        assert lag_layout([]) is None


class TestValidation:
    @pytest.mark.parametrize(
        "columns",
        [
            ["CAP__lag3", "CAP"],
            ["CAP__lag0", "CAP__lag3"],
            ["CAP__lag3", "BETA__lag3", "CAP__lag0"],
            ["CAP__lag3", "BETA__lag3", "BETA__lag0", "CAP__lag0"],
            ["CAP__lag3", "CAP__lag0", "BETA__lag3", "BETA__lag0"],
            ["CAP__lag3", "CAP__lag3"],
        ],
        ids="|".join,
    )
    def test_columns_in_another_layout_are_refused(self, columns):
        with pytest.raises(PanelError, match="oldest lag first"):
            lag_layout(columns)
