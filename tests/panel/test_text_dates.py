"""Dates that are text: what is read, what is refused, and what is left alone."""

import itertools

import pandas as pd
import pytest

from skdrfm.exceptions import PanelError, SplitError
from skdrfm.panel._text_dates import check_text_dates

MONTHS = pd.period_range("2007-01", "2008-12", freq="M")


def labels(form, periods=MONTHS):
    """Distinct sorted labels of periods."""
    return pd.Index(
        sorted(
            {
                form.format(y=p.year, yy=p.year - 2000, m=p.month, q=p.quarter, b=p.strftime("%b"), B=p.strftime("%B"))
                for p in periods
            }
        )
    )


@pytest.mark.parametrize(
    "form",
    [
        "{y}-{m:02}",
        "{y}{m:02}",
        "{y}/{m:02}/28",
        "{y}-{m:02}-28T09:30",
        "{y}",
        "{y}Q{q}",
        "{y}-Q{q}",
        "{yy:02}Q{q}",
        "{y}M{m:02}",
        "{y}-{m:02} {b}",
        "A{q} of {m:02}",
        "t{m:02}",
        "word",
    ],
)
def test_text_in_the_order_of_time_passes(form):
    assert check_text_dates(labels(form)) is None


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("{y}-{m}", "Got '2007-12' sorted before '2007-2'"),
        ("{y}-{m}-28", "Got '2007-12-28' sorted before '2007-2-28'"),
        ("{y}-01-31 {m}:00", "Got '2007-01-31 12:00' sorted before '2007-01-31 1:00'"),
        ("{y}/{m}", "Got '2007/12' sorted before '2007/2'"),
        ("{y} {m}", "Got '2007 12' sorted before '2007 2'"),
        ("{y}M{m}", "Got '2007M12' sorted before '2007M2'"),
        ("{y}{m}", "Got '200712' sorted before '20072'"),
        ("t{m}", "Got 't12' sorted before 't2'"),
        ("M{m:02}-{y}", "Got 'M01-2008' sorted before 'M02-2007'"),
        ("{b}-{y}", "Got 'Apr-2008' sorted before 'Aug-2007'"),
        ("{b} {yy:02}", "Got 'Apr 08' sorted before 'Aug 07'"),
        ("{B} {m}, {y}", "Got 'April 4, 2008' sorted before 'August 8, 2007'"),
        ("{y}{b}", "Got '2007Dec' sorted before '2007Feb'"),
        ("{b}", "Got 'Dec' sorted before 'Feb'"),
        ("{m:02}/28/{y}", "Got '01/28/2007', '01/28/2008', '02/28/2007' and 21 more"),
        ("28-{b}-{y}", "Got '28-Apr-2007'"),
        ("{m:02}{y}", "Got '012007'"),
        ("28{m:02}{y}", "Got '28012007'"),
        ("{q}Q{yy:02}", "Got '1Q07'"),
        ("Q{q} {y}", "Got 'Q1 2007'"),
    ],
)
def test_text_in_another_order_is_refused_with_an_example(form, message):
    with pytest.raises(PanelError, match=f"must be ISO 8601, the year first .* order is that of time. {message}"):
        check_text_dates(labels(form))


def test_years_of_two_digits_are_of_two_centuries():
    with pytest.raises(PanelError, match="'Jan-00' sorted before 'Jan-99'"):
        check_text_dates(pd.Index(["Jan-00", "Jan-99"]))
    assert check_text_dates(pd.Index(["Jan-69", "Jun-69"])) is None


@pytest.mark.parametrize(
    "plain",
    [[], ["a"], ["a", "b", "may"], ["", "b"], ["decade 1", "mayor 2"], ["2007.0833", "2007.1667", "2007.25"]],
    ids=repr,
)
def test_labels_that_are_no_dates_are_left_alone(plain):
    assert check_text_dates(pd.Index(plain, dtype=object)) is None


def test_offsets_of_time_zones_count():
    with pytest.raises(PanelError, match="sorted before"):
        check_text_dates(pd.Index(["2007-01-01T09:00-02:00", "2007-01-01T10:00+05:00"]))


def test_the_error_may_be_another():
    with pytest.raises(SplitError, match="Convert them with pd.to_datetime"):
        check_text_dates(labels("{y}-{m}"), error=SplitError)


@pytest.mark.parametrize("sample", list(itertools.combinations(range(0, 24, 5), 2)))
def test_pairs_of_months_are_refused_exactly_if_their_order_changes(sample):
    for form in ("{y}-{m}", "{b} {y}", "{y}m{m}"):
        earlier, later = (labels(form, MONTHS[[place]])[0] for place in sample)
        if earlier < later:
            check_text_dates(pd.Index([earlier, later]))
        else:
            with pytest.raises(PanelError, match=f"Got '{later}' sorted before '{earlier}'"):
                check_text_dates(pd.Index([later, earlier]))
