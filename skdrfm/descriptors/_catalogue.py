"""The descriptors known by name: the 16 of the paper, and those that users add."""

from collections.abc import Iterable
from typing import Any

from skdrfm.descriptors import _fundamental as fundamental
from skdrfm.descriptors import _price as price
from skdrfm.descriptors._items import ITEMS
from skdrfm.descriptors._spec import GROUPS, DescriptorSpec
from skdrfm.exceptions import PanelError
from skdrfm.utils.validation import describe_first

_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
_REPORT_LAG = 3


def _spec(
    name: str, compute: Any, formula: str, unit: str, sign: int, reference: str, *needs: str, **kwargs: Any
) -> DescriptorSpec:
    return DescriptorSpec(
        name=name,
        group=_GROUP_OF[name],
        formula=formula,
        unit=unit,
        sign=sign,
        lag=_REPORT_LAG if set(needs) & set(ITEMS) else 0,
        reference=reference,
        needs=needs,
        compute=compute,
        **kwargs,
    )


_PAPER: tuple[DescriptorSpec, ...] = (
    _spec(
        "60VOL",
        price.volatility,
        "standard deviation (ddof 1) of monthly returns, t-59..t",
        "decimal per month",
        -1,
        "Blitz and van Vliet (2007), Journal of Portfolio Management 34",
        "returns",
        min_periods=24,
    ),
    _spec(
        "BETA",
        price.beta,
        "slope of monthly returns on the market excess return, t-59..t",
        "ratio",
        1,
        "Fama and MacBeth (1973), Journal of Political Economy 81",
        "returns",
        "market",
        min_periods=24,
    ),
    _spec(
        "SKEW",
        price.skewness,
        "n / ((n-1)(n-2)) sum(((r - mean) / std)^3) of monthly returns, t-59..t",
        "number",
        -1,
        "Boyer, Mitton and Vorkink (2010), Review of Financial Studies 23",
        "returns",
        min_periods=24,
    ),
    _spec(
        "ROE",
        fundamental.return_on_equity,
        "net income of twelve months / net assets",
        "decimal per year",
        1,
        "Haugen and Baker (1996), Journal of Financial Economics 41",
        "net_income",
        "net_assets",
    ),
    _spec(
        "ROA",
        fundamental.return_on_assets,
        "operating profit of twelve months / total assets",
        "decimal per year",
        1,
        "Balakrishnan, Bartov and Faurel (2010), Journal of Accounting and Economics 50",
        "operating_profit",
        "total_assets",
    ),
    _spec(
        "ACCRUALS",
        fundamental.accruals,
        "(operating cash flow - operating profit) of twelve months / total assets",
        "decimal per year",
        1,
        "Sloan (1996), The Accounting Review 71, with the opposite sign",
        "operating_cash_flow",
        "operating_profit",
        "total_assets",
    ),
    _spec(
        "LEVERAGE",
        fundamental.leverage,
        "total liabilities / total assets",
        "ratio",
        -1,
        "Fama and French (1992), Journal of Finance 47 (book leverage)",
        "total_liabilities",
        "total_assets",
    ),
    _spec(
        "12-1MOM",
        price.momentum_12_1,
        "return over the months t-11..t-1",
        "decimal",
        1,
        "Jegadeesh and Titman (1993), Journal of Finance 48",
        "returns",
    ),
    _spec(
        "1MOM",
        price.momentum_1,
        "return of month t",
        "decimal",
        -1,
        "Jegadeesh (1990), Journal of Finance 45",
        "returns",
    ),
    _spec(
        "60MOM",
        price.momentum_60,
        "return over the months t-59..t",
        "decimal",
        -1,
        "De Bondt and Thaler (1985), Journal of Finance 40",
        "returns",
    ),
    _spec(
        "PSR",
        fundamental.sales_yield,
        "sales of twelve months / market value",
        "ratio",
        1,
        "Barbee, Mukherji and Raines (1996), Financial Analysts Journal 52",
        "sales",
        "market_value",
    ),
    _spec(
        "PER",
        fundamental.earnings_yield,
        "net income of twelve months / market value",
        "ratio",
        1,
        "Basu (1977), Journal of Finance 32",
        "net_income",
        "market_value",
    ),
    _spec(
        "PBR",
        fundamental.book_to_market,
        "net assets / market value",
        "ratio",
        1,
        "Rosenberg, Reid and Lanstein (1985), Journal of Portfolio Management 11",
        "net_assets",
        "market_value",
    ),
    _spec(
        "PCFR",
        fundamental.cash_flow_yield,
        "operating cash flow of twelve months / market value",
        "ratio",
        1,
        "Desai, Rajgopal and Venkatachalam (2004), The Accounting Review 79",
        "operating_cash_flow",
        "market_value",
    ),
    _spec(
        "CAP",
        fundamental.size,
        "log(market value)",
        "log of currency",
        -1,
        "Banz (1981), Journal of Financial Economics 9",
        "market_value",
    ),
    _spec(
        "ILLIQ",
        price.illiquidity,
        "mean over t-11..t of the monthly mean of |return| / dollar volume",
        "1 / currency",
        1,
        "Amihud (2002), Journal of Financial Markets 5",
        "illiq",
        min_periods=6,
    ),
)
_REGISTRY: dict[str, DescriptorSpec] = {spec.name: spec for spec in _PAPER}


def descriptor_specs() -> dict[str, DescriptorSpec]:
    """Return all descriptors known by name.

    Returns
    -------
    dict of str to DescriptorSpec
        The 16 of the paper in its order, then those registered; a new dict.

    Examples
    --------
    >>> from skdrfm.descriptors import descriptor_specs
    >>> descriptor_specs()["ILLIQ"].formula
    'mean over t-11..t of the monthly mean of |return| / dollar volume'
    """
    return dict(_REGISTRY)


def register_descriptor(spec: DescriptorSpec, *, overwrite: bool = False) -> None:
    """Make a descriptor known by name for the rest of the process.

    A descriptor that is used once needs no name: `compute_descriptors` also takes the `DescriptorSpec` itself.

    Parameters
    ----------
    spec : DescriptorSpec
        The descriptor.
    overwrite : bool, default=False
        Whether it may replace one of the same name. Those of the paper are never replaced.

    Raises
    ------
    PanelError
        If spec is no `DescriptorSpec`, or the name is taken.

    Examples
    --------
    >>> import numpy as np
    >>> from skdrfm.descriptors import DescriptorSpec, register_descriptor, unregister_descriptor
    >>> spec = DescriptorSpec(
    ...     "DVOL", "Size", "log(dollar volume)", "log of currency", -1, 0, "Brennan et al. (1998)",
    ...     needs=("dollar_volume",), compute=lambda inputs: np.log(inputs.dollar_volume),
    ... )
    >>> register_descriptor(spec)
    >>> unregister_descriptor("DVOL")
    """
    if not isinstance(spec, DescriptorSpec):
        raise PanelError(f"'spec' must be a DescriptorSpec. Got a {type(spec).__name__}.")
    if spec.name in _GROUP_OF or (spec.name in _REGISTRY and not overwrite):
        whose = "the paper's descriptors are never replaced" if spec.name in _GROUP_OF else "it is registered already"
        way_out = "Choose another name" + ("." if spec.name in _GROUP_OF else ", or pass overwrite=True.")
        raise PanelError(f"A descriptor must have a name of its own. Got {spec.name!r}: {whose}. {way_out}")
    _REGISTRY[spec.name] = spec


def unregister_descriptor(name: str) -> None:
    """Forget a registered descriptor.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    PanelError
        If no such descriptor was registered, or it is one of the paper's.

    Examples
    --------
    >>> from skdrfm.descriptors import unregister_descriptor
    >>> unregister_descriptor("CAP")
    Traceback (most recent call last):
        ...
    skdrfm.exceptions.PanelError: 'name' must be a registered descriptor. Got 'CAP'; registered: none.
    """
    own = [known for known in _REGISTRY if known not in _GROUP_OF]
    if name not in own:
        raise PanelError(
            f"'name' must be a registered descriptor. Got {name!r}; registered: {', '.join(own) or 'none'}."
        )
    del _REGISTRY[name]


def resolve_descriptors(names: Any) -> tuple[DescriptorSpec, ...]:
    """Turn names and specs into specs."""
    given: list[Any] = [names] if isinstance(names, str | DescriptorSpec) else list(names)
    unknown = [name for name in given if not isinstance(name, DescriptorSpec) and name not in _REGISTRY]
    if unknown or not given:
        raise PanelError(
            f"'names' must hold names among {', '.join(_REGISTRY)}, or DescriptorSpec objects. Got "
            f"{describe_first(unknown) if unknown else 'none'}. Add a descriptor of your own with "
            "skdrfm.descriptors.register_descriptor."
        )
    specs = tuple(name if isinstance(name, DescriptorSpec) else _REGISTRY[name] for name in given)
    columns = [spec.name for spec in specs]
    if len(set(columns)) < len(columns):
        raise PanelError(f"'names' must differ. Got {', '.join(columns)}.")
    return specs


def groups_of(names: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """Group descriptors for contributions by group.

    Parameters
    ----------
    names : iterable of str or DescriptorSpec
        Descriptors.

    Returns
    -------
    dict of str to tuple of str
        Names by group, as `Explanation.by_group` takes them.

    Raises
    ------
    PanelError
        If a name is unknown.

    Examples
    --------
    >>> from skdrfm.descriptors import groups_of
    >>> groups_of(["CAP", "BETA", "ILLIQ"])
    {'Size': ('CAP', 'ILLIQ'), 'Risk': ('BETA',)}
    """
    groups: dict[str, list[str]] = {}
    for spec in resolve_descriptors(names):
        groups.setdefault(spec.group, []).append(spec.name)
    return {group: tuple(members) for group, members in groups.items()}
