import numpy as np
import pandas as pd
import pytest

from skdrfm.report._study_tables import study_tables
from skdrfm.report._tables import (
    COLUMNS,
    earned_months,
    format_table,
    row_counts,
    suspicious_figures,
)
from skdrfm.study import PUBLISHED, TABLE_COLUMNS


def table(**rows):
    return pd.DataFrame(rows, index=list(TABLE_COLUMNS)).T


GOOD = (10.0, 12.0, 0.8, 0.07, 0.09, 0.04, 0.6)
POOR = (-3.0, 20.0, -0.1, 0.08, 0.11, -0.01, -2.0)


class TestReferenceValues:
    def test_figures_are_rounded_as_in_the_paper(self):
        shown = format_table(PUBLISHED)
        assert shown.loc["LSTM"].tolist() == ["13.20", "15.01", "0.88", "0.07492", "0.09830"]

    def test_a_missing_figure_is_shown_as_such_and_zero_has_no_sign(self):
        shown = format_table(table(A=(np.nan, 1.0, -0.001, 0.1, 0.1, np.inf, -0.004)))
        assert shown.loc["A"].tolist() == ["n/a", "1.00", "0.00", "0.10000", "0.10000", "n/a", "0.00"]

    def test_predicted_returns_are_earned_in_the_month_after_the_prediction(self, study):
        assert study.realised.index.get_level_values("date").min() == pd.Timestamp("2002-04-30")
        assert earned_months(study) == ("2002-05", "2002-10")


class TestProperties:
    def test_every_column_of_the_table_can_be_read(self):
        assert tuple(COLUMNS) == TABLE_COLUMNS
        assert all(column.reading.endswith(".") for column in COLUMNS.values())

    def test_row_counts_add_up(self, study):
        counts = dict(row_counts(study))
        parts = [count for label, count in counts.items() if label.startswith(("dropped", "left out", "walked"))]
        assert counts["given"] == sum(parts) == 33 * 12
        assert counts["dropped: history shorter than the lags"] == 3 * 12
        assert counts["predicted out of sample"] == 6 * 12

    def test_rows_outside_the_months_asked_for_are_counted(self, study):
        from dataclasses import replace

        rows = {**study.manifest["rows"], "walked": study.manifest["rows"]["walked"] - 5}
        counts = dict(row_counts(replace(study, manifest={**study.manifest, "rows": rows})))
        assert counts["left out: outside the test months and their training windows"] == 5

    def test_dates_without_a_portfolio_stay_in_the_quantile_returns(self, study):
        from dataclasses import replace

        backtest = study.backtests["Linear"]
        gappy = replace(
            backtest,
            quantile_returns=backtest.quantile_returns.drop(index="2002-06-30").reindex(backtest.n_names.index),
        )
        returns = study_tables(replace(study, backtests={"Linear": gappy}))["quantile_returns"]["return"]
        assert len(returns) == 6 * 3
        assert returns.isna().sum() == 3


class TestSuspicion:
    @pytest.mark.parametrize(
        ("position", "value", "suspicious"),
        [(6, 2.01, True), (6, 1.99, False), (5, 0.151, True), (5, -0.151, True), (5, 0.149, False), (5, np.nan, False)],
    )
    def test_only_figures_beyond_belief_are_suspicious(self, position, value, suspicious):
        row = list(GOOD)
        row[position] = value
        sentences = suspicious_figures(table(A=row, B=POOR))
        assert [sentence.startswith("A: ") for sentence in sentences] == [True] * suspicious
