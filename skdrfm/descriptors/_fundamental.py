"""Descriptors of reports and market value: quality, value and size."""

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.descriptors._inputs import DescriptorInputs


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, NaN where the denominator is unknown or not positive: a ratio to a negative base has no meaning."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def return_on_equity(inputs: DescriptorInputs) -> FloatArray:
    """ROE: net income of twelve months / net assets."""
    return _ratio(inputs.trailing("net_income"), inputs.latest("net_assets"))


def return_on_assets(inputs: DescriptorInputs) -> FloatArray:
    """ROA: operating profit of twelve months / total assets."""
    return _ratio(inputs.trailing("operating_profit"), inputs.latest("total_assets"))


def accruals(inputs: DescriptorInputs) -> FloatArray:
    """ACCRUALS: (operating cash flow - operating profit) of twelve months / total assets."""
    surplus = inputs.trailing("operating_cash_flow") - inputs.trailing("operating_profit")
    return _ratio(surplus, inputs.latest("total_assets"))


def leverage(inputs: DescriptorInputs) -> FloatArray:
    """LEVERAGE: total liabilities / total assets."""
    return _ratio(inputs.latest("total_liabilities"), inputs.latest("total_assets"))


def sales_yield(inputs: DescriptorInputs) -> FloatArray:
    """PSR: sales of twelve months / market value."""
    return _ratio(inputs.trailing("sales"), inputs.market_value)


def earnings_yield(inputs: DescriptorInputs) -> FloatArray:
    """PER: net income of twelve months / market value, losses included."""
    return _ratio(inputs.trailing("net_income"), inputs.market_value)


def book_to_market(inputs: DescriptorInputs) -> FloatArray:
    """PBR: net assets / market value, unknown where net assets are not positive."""
    net_assets = inputs.latest("net_assets")
    return _ratio(np.where(net_assets > 0, net_assets, np.nan), inputs.market_value)


def cash_flow_yield(inputs: DescriptorInputs) -> FloatArray:
    """PCFR: operating cash flow of twelve months / market value."""
    return _ratio(inputs.trailing("operating_cash_flow"), inputs.market_value)


def size(inputs: DescriptorInputs) -> FloatArray:
    """CAP: logarithm of the market value."""
    market_value: FloatArray = np.log(inputs.market_value)
    return market_value
