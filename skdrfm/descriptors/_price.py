"""Descriptors of prices and volumes: risk, momentum and illiquidity."""

import numpy as np

from skdrfm._typing import FloatArray
from skdrfm.descriptors._inputs import LONG_WINDOW, DescriptorInputs
from skdrfm.descriptors._rolling import compound, rolling_mean_of_known, shift

YEAR = 12


def volatility(inputs: DescriptorInputs) -> FloatArray:
    """60VOL: standard deviation (ddof 1) of the returns of the last 60 months."""
    moments = inputs.moments
    enough = moments.count >= max(inputs.min_periods["60VOL"], 2)
    variance = np.divide(moments.squares, moments.count - 1, out=np.full_like(moments.squares, np.nan), where=enough)
    return np.sqrt(variance)


def beta(inputs: DescriptorInputs) -> FloatArray:
    """BETA: slope of the returns of the last 60 months on the market excess return of the same months."""
    moments = inputs.moments
    products, squares = moments.products, moments.market_squares
    assert products is not None
    assert squares is not None
    enough = (moments.count >= max(inputs.min_periods["BETA"], 2)) & (squares > 0)
    return np.divide(products, squares, out=np.full_like(products, np.nan), where=enough)


def skewness(inputs: DescriptorInputs) -> FloatArray:
    """SKEW: sample skewness of the returns of the last 60 months, n / ((n-1)(n-2)) sum(((r - mean) / std)^3)."""
    moments = inputs.moments
    n, squares = moments.count, moments.squares
    enough = (n >= max(inputs.min_periods["SKEW"], 3)) & (squares > 0)
    skew = np.full_like(squares, np.nan)
    n, squares = n[enough], squares[enough]
    skew[enough] = n * np.sqrt(n - 1) / (n - 2) * moments.cubes[enough] / (squares * np.sqrt(squares))
    return skew


def momentum_12_1(inputs: DescriptorInputs) -> FloatArray:
    """12-1MOM: return over the months t-11 to t-1."""
    return shift(compound(inputs.returns, YEAR - 1), 1)


def momentum_1(inputs: DescriptorInputs) -> FloatArray:
    """1MOM: return of month t."""
    returns: FloatArray = inputs.returns
    return returns


def momentum_60(inputs: DescriptorInputs) -> FloatArray:
    """60MOM: return over the months t-59 to t."""
    return compound(inputs.returns, LONG_WINDOW)


def illiquidity(inputs: DescriptorInputs) -> FloatArray:
    """ILLIQ: mean over the last 12 months of the monthly ratio of Amihud (2002), absolute return / dollar volume."""
    return rolling_mean_of_known(inputs.illiq, YEAR, inputs.min_periods["ILLIQ"])
