from skdrfm.utils._words import plural


def test_numbers_come_with_the_right_form_of_what_they_count():
    assert (plural(0, "row"), plural(1, "row"), plural(2000, "row")) == ("0 rows", "1 row", "2,000 rows")
    assert (plural(1, "row has", "rows have"), plural(2, "row has", "rows have")) == ("1 row has", "2 rows have")
