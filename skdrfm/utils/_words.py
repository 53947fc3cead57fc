"""Numbers in sentences."""


def plural(count: int, noun: str, more: str | None = None) -> str:
    """Write a number and what it counts.

    Parameters
    ----------
    count : int
        The number.
    noun : str
        What one is called.
    more : str, default=None
        What several are called; None: the noun with an s.

    Returns
    -------
    str
        Such as "1 row" and "2,000 rows".

    Examples
    --------
    >>> from skdrfm.utils._words import plural
    >>> plural(1, "row"), plural(2000, "row"), plural(2, "row is", "rows are")
    ('1 row', '2,000 rows', '2 rows are')
    """
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"
