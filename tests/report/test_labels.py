import datetime

import pandas as pd
import pytest

from skdrfm.report._labels import kind_of, labels_from

MOMENTS = pd.to_datetime(["2001-01-31", "2001-02-28", "2001-01-31"])
INDICES = [
    pd.Index(["NA", "TRUE", "001", "", "NA"]),
    pd.Index(["NA", "TRUE"], dtype=object),
    pd.Index([200101, 200102], dtype="int32"),
    pd.Index([1.5, 0.1]),
    pd.Index([1, 2], dtype="Int64"),
    pd.Index([datetime.date(2001, 1, 31)], dtype=object),
    MOMENTS.as_unit("s"),
    MOMENTS.as_unit("ns") + pd.Timedelta(nanoseconds=1),
    # Winter and summer time.
    pd.to_datetime(["2001-01-31 09:30", "2001-07-31 09:30"]).tz_localize("America/New_York"),
    pd.PeriodIndex(["2001-01", "2001-02"], freq="M"),
    pd.PeriodIndex(["2001-01-03", "2001-02-05"], freq="W"),
    pd.PeriodIndex(["2001Q1", "2001Q2"], freq="Q"),
]


@pytest.mark.parametrize("labels", INDICES, ids=lambda labels: str(labels.dtype))
def test_labels_come_back_from_the_text_of_a_file(labels, tmp_path):
    pd.Series(1.0, index=labels).to_csv(tmp_path / "labels.csv")
    texts = pd.read_csv(tmp_path / "labels.csv", dtype=str, keep_default_na=False).iloc[:, 0]
    found = labels_from(texts, kind_of(labels))
    pd.testing.assert_index_equal(found, labels, exact=True)


def test_categories_come_back_as_what_they_are_made_of():
    assert kind_of(pd.CategoricalIndex([2, 1])) == "int64"


@pytest.mark.parametrize("labels", [[1, "A"], [True, False], [pd.Timedelta(1), pd.Timedelta(2)], [1 + 2j]])
def test_what_text_cannot_tell_has_no_kind(labels):
    assert kind_of(pd.Index(labels)) is None


@pytest.mark.parametrize(
    ("texts", "kind"), [(["soon"], "int64"), (["1.5"], "int64"), (["soon"], "period[M]"), (["1"], "?")]
)
def test_text_that_is_no_such_label_is_refused(texts, kind):
    with pytest.raises((ValueError, TypeError)):
        labels_from(texts, kind)
