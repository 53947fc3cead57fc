"""Which signals of Open Asset Pricing stand for the paper's descriptors, and how well."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from skdrfm._typing import FloatArray
from skdrfm.datasets._openap_common import NOT_SHIPPED, unsigned_fault
from skdrfm.descriptors import DESCRIPTORS
from skdrfm.exceptions import CoverageWarning, PanelError
from skdrfm.panel import check_panel_index
from skdrfm.utils.validation import describe_first

__all__ = ["OPENAP_TO_PAPER", "OpenAPMatch", "openap_to_paper"]

_TRANSFORMS: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        "raw": lambda raw: raw,
        "-raw": lambda raw: -raw,
        "exp(raw)": np.exp,
        "1 - 1/raw": lambda raw: 1 - 1 / raw,
    }
)


@dataclass(frozen=True)
class OpenAPMatch:
    """The signal that stands for one descriptor.

    Parameters
    ----------
    descriptor : str
        Name of the descriptor, one of ``DESCRIPTORS``.
    signal : str or None
        Name of the signal (column ``Acronym`` of SignalDoc), None where there is none.
    grade : {"exact", "proxy", "missing"}
        ``"exact"``: the same formula, up to annual reports in place of trailing quarters, the rule for short
        histories and the unit. ``"proxy"``: another formula for the same idea. ``"missing"``: no signal, compute it
        from returns with ``compute_descriptors``.
    reason : str
        What differs, or why there is none.
    sign : {1, -1}
        Column ``Sign`` of SignalDoc: the signed file holds ``sign * raw``.
    transform : {"raw", "-raw", "exp(raw)", "1 - 1/raw"}
        The descriptor as a formula of the raw signal, in the orientation of the paper.

    Examples
    --------
    >>> from skdrfm.datasets import OPENAP_TO_PAPER
    >>> match = OPENAP_TO_PAPER["LEVERAGE"]
    >>> match.signal, match.grade, match.sign, match.transform
    ('BookLeverage', 'proxy', -1, '1 - 1/raw')
    >>> match.convert([-2.0, -4.0]).tolist()
    [0.5, 0.75]
    """

    descriptor: str
    signal: str | None
    grade: Literal["exact", "proxy", "missing"]
    reason: str
    sign: Literal[1, -1] = 1
    transform: str = "raw"

    def convert(self, signed: Any) -> FloatArray:
        """Turn values of the signed signal into the descriptor.

        Parameters
        ----------
        signed : array-like of shape (n_samples,)
            Values of the signal times its sign.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            The descriptor; NaN where the formula has no finite value.
        """
        with np.errstate(divide="ignore", over="ignore"):
            values = _TRANSFORMS[self.transform](self.sign * np.asarray(signed, dtype=np.float64))
        return np.where(np.isfinite(values), values, np.nan)


_MATCHES = (
    OpenAPMatch("60VOL", None, "missing", "no signal has the volatility of 60 monthly returns"),
    OpenAPMatch("BETA", "Beta", "proxy", "60 monthly returns, but on an equally weighted market, at least 20 of them"),
    OpenAPMatch("SKEW", None, "missing", "ReturnSkew has the daily returns of one month, not 60 monthly ones"),
    OpenAPMatch("ROE", "RoE", "exact", "net income / common equity of the fiscal year"),
    OpenAPMatch("ROA", "OperProfRD", "proxy", "operating profit before R&D / total assets, without financial firms"),
    OpenAPMatch(
        "ACCRUALS",
        "Accruals",
        "proxy",
        "balance-sheet accruals / mean assets, less of which is more cash flow for the same profit",
        sign=-1,
        transform="-raw",
    ),
    OpenAPMatch(
        "LEVERAGE",
        "BookLeverage",
        "proxy",
        "total assets / book equity; equity here has deferred taxes in and preferred stock out",
        sign=-1,
        transform="1 - 1/raw",
    ),
    OpenAPMatch("12-1MOM", "Mom12m", "exact", "return over the months t-11..t-1; missing returns count as 0"),
    OpenAPMatch(
        "1MOM", "STreversal", "exact", "return of month t; not in the public file of all signals, so add it", sign=-1
    ),
    OpenAPMatch("60MOM", None, "missing", "LRreversal has the months t-36..t-13, MRreversal t-18..t-13"),
    OpenAPMatch("PSR", "SP", "exact", "sales of the fiscal year / market value"),
    OpenAPMatch(
        "PER", "EP", "proxy", "market value of six months ago; losses are missing, so it is not missing at random"
    ),
    OpenAPMatch(
        "PBR",
        "BM",
        "proxy",
        "log of book / market equity; in late releases tangible equity and the market value of the fiscal year end",
        transform="exp(raw)",
    ),
    OpenAPMatch(
        "PCFR", "cfp", "exact", "operating cash flow of the fiscal year / market value; estimated where not reported"
    ),
    OpenAPMatch(
        "CAP",
        "Size",
        "exact",
        "log of market value in millions; not in the public file of all signals, so add it",
        sign=-1,
    ),
    OpenAPMatch("ILLIQ", "Illiquidity", "exact", "mean of 12 monthly means of |return| / dollar volume"),
)

OPENAP_TO_PAPER: Mapping[str, OpenAPMatch] = MappingProxyType({match.descriptor: match for match in _MATCHES})
"""The match of each descriptor, in the order of the paper."""


def openap_to_paper(signals: pd.DataFrame, *, missing: Literal["warn", "ignore"] = "warn") -> pd.DataFrame:
    """Turn signals of Open Asset Pricing into those descriptors of the paper that they can stand for.

    Parameters
    ----------
    signals : DataFrame indexed by (date, asset)
        Signed signals, as ``read_openap_signals`` gives them. Columns that no descriptor needs are passed over.
    missing : {"warn", "ignore"}, default="warn"
        Whether to name the descriptors that are missing, and the proxies, in a warning. The attributes of the
        result tell them in both cases.

    Returns
    -------
    DataFrame of shape (n_samples, n_found), rows of ``signals``
        float64 descriptors in the order and orientation of the paper.
        ``attrs["openap_to_paper"]`` has ``grades`` and ``signals`` by column, ``missing`` (reason by descriptor) and
        ``undefined`` (by column: cells whose signal is known and whose formula has no finite value).

    Raises
    ------
    PanelError
        If the index is not (date, asset), a column comes twice, no needed signal is among the columns, the values
        are not signed, or ``missing`` is neither of the two.

    Warns
    -----
    CoverageWarning
        With ``missing="warn"``: at least 60VOL, SKEW and 60MOM have no signal; compute them from returns.

    Notes
    -----
    Names that look right and are wrong, found in earlier work on this paper:

    * ``betaVIX`` for 60VOL: a coefficient on changes of VIX over one month, no volatility.
    * ``ReturnSkew`` for SKEW: skewness of the daily returns of one month.
    * ``Leverage`` for LEVERAGE: liabilities over *market* equity, a value ratio.
    * ``AM`` for PBR: total *assets* over market equity.
    * log(``AM``) for CAP: no size at all.

    References
    ----------
    Nakagawa et al. (2019), Table 1. Chen and Zimmermann (2022), Critical Finance Review 11.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.datasets import openap_to_paper
    >>> index = pd.MultiIndex.from_product([[pd.Timestamp("2020-01-31")], ["10001", "10002"]], names=["date", "asset"])
    >>> signals = pd.DataFrame({"BookLeverage": [-2.0, -4.0], "Beta": [1.1, 0.7], "AM": [3.0, 1.0]}, index=index)
    >>> paper = openap_to_paper(signals, missing="ignore")
    >>> paper
                      BETA  LEVERAGE
    date       asset
    2020-01-31 10001   1.1      0.50
               10002   0.7      0.75
    >>> paper.attrs["openap_to_paper"]["grades"]
    {'BETA': 'proxy', 'LEVERAGE': 'proxy'}
    """
    if missing not in ("warn", "ignore"):
        raise PanelError(f"'missing' must be 'warn' or 'ignore'. Got {missing!r}.")
    check_panel_index(signals, name="signals")
    if not signals.columns.is_unique:
        twice = list(signals.columns[signals.columns.duplicated()])
        raise PanelError(f"The columns of signals must be distinct. Got twice: {describe_first(twice)}. Drop one.")
    found = [match for match in OPENAP_TO_PAPER.values() if match.signal in signals.columns]
    if not found:
        needed = [match.signal for match in _MATCHES if match.signal is not None]
        raise PanelError(
            f"signals must have a column that stands for a descriptor: {', '.join(needed)}. Got "
            f"{describe_first(list(signals.columns), 10)}. Read these names with read_openap_signals."
        )
    used = {str(match.signal): signals[match.signal].to_numpy(dtype=np.float64) for match in found}
    fault = _unsigned(signals, used)
    if fault:
        raise PanelError(fault)
    values = {match.descriptor: match.convert(used[str(match.signal)]) for match in found}
    out = pd.DataFrame(values, index=signals.index)
    absent = {name: _why_missing(OPENAP_TO_PAPER[name]) for name in DESCRIPTORS if name not in values}
    out.attrs["openap_to_paper"] = {
        "grades": {match.descriptor: match.grade for match in found},
        "signals": {match.descriptor: match.signal for match in found},
        "missing": absent,
        "undefined": {
            match.descriptor: int((np.isnan(values[match.descriptor]) & ~np.isnan(used[str(match.signal)])).sum())
            for match in found
        },
    }
    if missing == "warn":
        proxies = [match.descriptor for match in found if match.grade == "proxy"]
        warnings.warn(
            f"{len(found)} of {len(DESCRIPTORS)} descriptors come from the signals. Missing: "
            f"{'; '.join(f'{name} ({reason})' for name, reason in absent.items())}. "
            f"Proxies: {', '.join(proxies) or 'none'}. Compute the others from bars with compute_descriptors, or "
            "pass missing='ignore'.",
            CoverageWarning,
            stacklevel=2,
        )
    return out


def _unsigned(signals: pd.DataFrame, used: Mapping[str, Any]) -> str | None:
    """Tell whether the signals lack their sign: by what the reader noted, else by their values."""
    noted = signals.attrs.get("read_openap_signals", {}).get("signed")
    if noted is False:
        return "signals must be signed. Got raw ones, from signed=False. Read them with signed=True."
    return unsigned_fault(used, "signals")


def _why_missing(match: OpenAPMatch) -> str:
    if match.signal is None:
        return match.reason
    where = ", which the public file leaves out" if match.signal in NOT_SHIPPED else ""
    return f"no column {match.signal}{where}"
