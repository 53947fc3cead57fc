"""The descriptor panel from bars, reports and the market, point in time."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skdrfm._typing import BoolArray, FloatArray, IntArray
from skdrfm.descriptors._bars import MonthlyBars, to_monthly
from skdrfm.descriptors._catalogue import resolve_descriptors
from skdrfm.descriptors._inputs import DescriptorInputs
from skdrfm.descriptors._reports import Reports
from skdrfm.descriptors._spec import DESCRIPTORS, DescriptorSpec
from skdrfm.exceptions import PanelError

logger = logging.getLogger(__name__)

# Months between two rows, and the ordinal of the month of the row within them (ordinal 0 is January 1970).
_FREQUENCIES = {"M": (1, 0), "Q": (3, 2), "Y": (12, 11)}
_OF_RETURNS = ("60VOL", "BETA", "SKEW")


def compute_descriptors(
    bars: "pd.DataFrame | pd.Series[Any]",
    fundamentals: pd.DataFrame | None = None,
    market: "pd.Series[Any] | None" = None,
    *,
    names: Sequence[str | DescriptorSpec] = DESCRIPTORS,
    frequency: str = "M",
    publication_lag: Any = 3,
    min_periods: int | Mapping[str, int] | None = None,
    max_report_age: int = 18,
) -> pd.DataFrame:
    r"""Compute firm characteristics at the end of each month from what was known by then.

    Windows count calendar months of each asset, so a gap in its history never stretches a return. Reports count
    from the day on which they became public, with the figures that they then had. Prices enter through ratios
    alone and shares through market value, so splits leave no trace.

    Parameters
    ----------
    bars : DataFrame or Series indexed by (date, asset)
        Daily or monthly bars in any order. Needed: ``return`` (decimal total return since the asset's last bar) or
        ``adj_close`` (adjusted for splits and dividends; only its ratios are used). Further: ``close`` and ``volume``
        (or ``dollar_volume``, or ``illiq``) for ILLIQ; ``market_value``, or ``shares`` on the split basis of ``close``,
        for value and size. A Series holds decimal returns.
    fundamentals : DataFrame, default=None
        One row for each version of a report: ``asset``, ``period_end``, ``available`` (the first day on which it was
        public, NaT where unknown), ``months`` and ``cash_flow_months`` (3, 6, 9 or 12: the months that income and cash
        flow cover, 3 if absent), the flows ``sales``, ``operating_profit``, ``net_income``,
        ``operating_cash_flow``, and the balances ``total_assets``, ``total_liabilities``, ``net_assets``,
        ``shares``. As from `skdrfm.datasets.read_fundamentals`.
    market : Series indexed by month, default=None
        Decimal market excess return of each month, for BETA.
    names : sequence of str or DescriptorSpec, default=DESCRIPTORS
        Descriptors to compute.
    frequency : {"M", "Q", "Y"}, default="M"
        Rows at the end of every month, quarter or year. Windows always count months.
    publication_lag : int, Timedelta or DateOffset, default=3
        From the end of a period to its publication where ``available`` is unknown; an int counts months.
    min_periods : int or mapping of str to int, default=None
        Returns that must be known for 60VOL, BETA and SKEW, or a number for each descriptor. None: 24, and 6 months
        for ILLIQ.
    max_report_age : int, default=18
        Months from the end of a period after which its report counts no more.

    Returns
    -------
    DataFrame of shape (n_rows, n_descriptors), indexed by (date, asset)
        Raw descriptors in float64, NaN where unknown; one row for each month, at its last calendar day, in which the
        asset has a bar. ``attrs["compute_descriptors"]`` counts rows, assets and months that have a row, missing cells
        by descriptor, rows with non-positive net assets, rows whose newest report is too old, reports of assets without
        bars, and bars without volume.

    Raises
    ------
    PanelError
        If a table is not what it must be, a descriptor is unknown, or its inputs are absent.
    NonFiniteError
        If a table holds infinity.

    See Also
    --------
    skdrfm.descriptors.descriptor_specs : Formula, unit, sign and source of each descriptor.
    skdrfm.preprocessing.CrossSectionalRankScaler : The usual next step.

    Notes
    -----
    Flows are those of twelve months: the sum of the last four quarters, each as it was known at the date; year-to-date
    figures are turned into quarters by the difference to the report before, also where that was amended.
    The ratio to net assets that are zero or negative has no meaning and is NaN (ROE, PBR). PSR, PER, PBR and PCFR are
    yields: the fundamental over market value, as in the paper, in spite of their names.

    References
    ----------
    Nakagawa, Ito, Abe and Izumi (2019), https://arxiv.org/abs/1901.11493, Table 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.descriptors import compute_descriptors
    >>> dates = pd.to_datetime(["2020-01-31", "2020-02-14", "2020-02-28", "2020-03-31"])
    >>> index = pd.MultiIndex.from_product([dates, ["A"]], names=["date", "asset"])
    >>> bars = pd.DataFrame({"adj_close": [10.0, 12.0, 11.0, 11.0], "market_value": [1e9, 1.2e9, 1.1e9, 1.1e9]}, index)
    >>> compute_descriptors(bars, names=["1MOM", "CAP"]).round(2)
                      1MOM    CAP
    date       asset
    2020-01-31 A       NaN  20.72
    2020-02-29 A       0.1  20.82
    2020-03-31 A       0.0  20.82
    """
    specs = resolve_descriptors(names)
    if frequency not in _FREQUENCIES:
        raise PanelError(f"'frequency' must be one of {', '.join(map(repr, _FREQUENCIES))}. Got {frequency!r}.")
    if not _is_integer(max_report_age, 0):
        raise PanelError(f"'max_report_age' must be an integer >= 0. Got {max_report_age!r}.")
    minimum = _resolve_min_periods(specs, min_periods)
    monthly = to_monthly(bars)
    reports = None if fundamentals is None else Reports(fundamentals, monthly, publication_lag, int(max_report_age))
    inputs = DescriptorInputs(monthly, reports, market, minimum)
    _check_needs(specs, inputs.available())
    shown = monthly.present & _is_row(monthly, frequency)[:, np.newaxis]
    month, asset = np.nonzero(shown)
    values = np.empty((len(specs), len(month)))
    place = month * len(monthly.assets) + asset
    for j, spec in enumerate(specs):
        np.take(_computed(spec, inputs, monthly.present.shape), place, out=values[j], mode="clip")
    out = pd.DataFrame(values.T, index=_index(monthly, month, asset), columns=[spec.name for spec in specs], copy=False)
    counts = _counts(out, shown, monthly, reports, inputs)
    out.attrs["compute_descriptors"] = counts
    logger.info("compute_descriptors: %s", counts)
    return out


def _is_integer(value: Any, minimum: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | np.integer) and int(value) >= minimum


def _resolve_min_periods(specs: Sequence[DescriptorSpec], given: Any) -> dict[str, int]:
    minimum = {spec.name: spec.min_periods for spec in specs if spec.min_periods is not None}
    if given is None:
        return minimum
    if not isinstance(given, Mapping) and not _is_integer(given, 1):
        raise PanelError(f"'min_periods' must be an integer >= 1, or a mapping of them by descriptor. Got {given!r}.")
    chosen: dict[str, Any] = (
        dict(given) if isinstance(given, Mapping) else {name: given for name in _OF_RETURNS if name in minimum}
    )
    for name, value in chosen.items():
        if name not in minimum:
            raise PanelError(
                f"'min_periods' must be an integer, or name some of {', '.join(minimum) or 'no descriptor'}. "
                f"Got {name!r}."
            )
        if not _is_integer(value, 1):
            raise PanelError(f"'min_periods' must be integers >= 1. Got {value!r} for {name}.")
        minimum[name] = int(value)
    return minimum


def _check_needs(specs: Sequence[DescriptorSpec], available: set[str]) -> None:
    absent = {need: spec.name for spec in reversed(specs) for need in spec.needs if need not in available}
    if not absent:
        return
    possible = [spec.name for spec in specs if set(spec.needs) <= available]
    missing = ", ".join(f"{need!r} (for {name})" for need, name in sorted(absent.items()))
    raise PanelError(
        f"The bars, fundamentals and market must hold what the descriptors need. Missing: {missing}. Pass it, or "
        f"names={possible!r}, which can be computed."
    )


def _is_row(monthly: MonthlyBars, frequency: str) -> BoolArray:
    every, place = _FREQUENCIES[frequency]
    is_row: BoolArray = monthly.months % every == place
    return is_row


def _computed(spec: DescriptorSpec, inputs: DescriptorInputs, shape: tuple[int, ...]) -> FloatArray:
    values: FloatArray = np.asarray(spec.compute(inputs), dtype=np.float64)
    if values.shape != shape:
        raise PanelError(
            f"The descriptor {spec.name!r} must be computed as an array of shape (n_months, n_assets) = {shape}. Got "
            f"shape {values.shape}."
        )
    if np.isinf(values).any():
        raise PanelError(
            f"The descriptor {spec.name!r} must be finite, or NaN where it is unknown. Got "
            f"{int(np.isinf(values).sum())} infinite values. Leave out zero denominators."
        )
    return values


def _index(monthly: MonthlyBars, month: IntArray, asset: IntArray) -> pd.MultiIndex:
    ends = pd.PeriodIndex(monthly.months.astype("datetime64[M]"), freq="M").to_timestamp(how="end").normalize()
    # Months and assets are sorted and met one by one, so the index is built from codes without looking at labels.
    codes: list[Any] = [month, asset]
    levels: list[Any] = [ends, monthly.assets]
    return pd.MultiIndex(levels=levels, codes=codes, names=["date", "asset"], verify_integrity=False)


def _counts(
    out: pd.DataFrame,
    shown: BoolArray,
    monthly: MonthlyBars,
    reports: Reports | None,
    inputs: DescriptorInputs,
) -> dict[str, Any]:
    non_positive = 0
    if reports is not None and "net_assets" in reports.items:
        non_positive = int((shown & (inputs.latest("net_assets") <= 0)).sum())
    return {
        "n_rows": len(out),
        "n_assets": int(shown.any(axis=0).sum()),
        "n_months": int(shown.any(axis=1).sum()),
        "missing": {str(name): int(np.isnan(out[name].to_numpy()).sum()) for name in out.columns},
        "non_positive_net_assets": non_positive,
        "reports_too_old": 0 if reports is None else reports.count_too_old(shown),
        "reports_without_bars": 0 if reports is None else reports.n_without_bars,
        "zero_volume_bars": monthly.zero_volume_bars,
    }
