"""What the displays of explanations share: the checks of what they draw, and labels."""

from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray
from skdrfm.exceptions import NonFiniteError, PanelError
from skdrfm.explanation import Explanation
from skdrfm.utils.validation import check_finite


def check_rows(explanation: Explanation) -> None:
    """Refuse what is no explanation, and one without rows, or with numbers that cannot be averaged."""
    if not isinstance(explanation, Explanation):
        raise PanelError(
            f"The explanation must be an Explanation. Got {type(explanation).__name__}. Pass what explain gives, or "
            "the attribute explanation of a result."
        )
    if not explanation.values.size:
        raise PanelError(
            f"The explanation must have at least one row and one descriptor. Got {explanation!r}. Explain some rows "
            "first."
        )
    faults: BoolArray = ~np.isfinite(explanation.values)
    if faults.any():
        names = [explanation.descriptor_names[j] for j in np.unique(np.nonzero(faults)[2])]
        n_rows = len(np.unique(np.nonzero(faults)[0]))
        raise NonFiniteError(
            f"The relevances of the explanation must be finite. Got {int(faults.sum())} NaN or infinite values in "
            f"{n_rows} rows (descriptors: {', '.join(names)}). Explain rows without missing values."
        )
    check_finite(explanation.predictions, what="The predictions of the explanation")
    check_finite(explanation.intercept, what="The intercept of the explanation")


def check_dates(explanation: Explanation) -> pd.Index:
    """Dates of the rows of an explanation; refuse one without."""
    if explanation.index is None or "date" not in explanation.index.names:
        raise PanelError(
            "The explanation must be indexed by (date, asset). Got rows without dates. Explain a DataFrame with "
            "this index, or pass the numbers by date to the constructor of the display."
        )
    dates = explanation.index.get_level_values("date")
    missing = int(np.sum(dates.isna()))
    if missing:
        raise PanelError(
            f"The explanation must have the date of every row. Got {missing} rows without one ({len(dates)} rows in "
            "all). Leave them out: explanation[explanation.index.get_level_values('date').notna()]."
        )
    return dates


def signed_percents(values: Any) -> list[str]:
    """Decimals as percents with a sign, all with as many digits as the largest needs to show two."""
    largest = 100 * float(np.abs(np.asarray(values)).max())
    digits = 2 if largest == 0 else max(2, 1 - int(np.floor(np.log10(largest))))
    return [f"{100 * value:+z.{min(digits, 12)}f} %".replace("-", "−") for value in values]
