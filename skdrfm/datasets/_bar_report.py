"""What bars say about their assets: gaps, jumps, stale prices and tickers that changed hands."""

import numpy as np
import pandas as pd

from skdrfm._typing import AnyArray, BoolArray, FloatArray
from skdrfm.exceptions import PanelError
from skdrfm.panel import check_panel_index

__all__ = ["bar_report"]

_JUMP = 0.5
# A gap is long against the usual distance of bars, daily or monthly; three weeks also outlast any closed exchange.
_LONG_GAP_DAYS, _LONG_GAP_TIMES = 20, 5
_LONG_QUIET_BARS = 20
_RARE = 0.2


def bar_report(bars: pd.DataFrame) -> pd.DataFrame:
    """Describe the bars of each asset, and name the assets that need a look.

    Vendors give a ticker that was freed to another firm, and download by ticker then returns the bars of the new one.
    Two traces of it are looked for: a jump of the price after a long gap or after a long time without trade, where
    two firms follow each other; and a stock that hardly ever trades, where a small firm stands for a large one that
    is gone. Both also occur in honest bars of small firms. What no bars can show is a new firm that trades well from
    its first day: compare ``first_date`` with the day on which the firm that you mean was listed.

    Parameters
    ----------
    bars : DataFrame of shape (n_bars, n_columns), indexed by (date, asset)
        Daily or monthly bars as returned by `read_bars`, in any order.

    Returns
    -------
    DataFrame of shape (n_assets, 8), indexed by asset
        - first_date, last_date : datetime64.
        - n_bars : int.
        - zero_volume_share : float, share of the bars with known volume that have volume 0; NaN without volume.
        - longest_gap_days : int, most calendar days from one bar to the next.
        - n_jumps : int, bars whose return since the bar before exceeds 50 % up or down. Returns come from ``return``,
          else ``adj_close``, else ``close``.
        - stale_share : float, share of the bars whose close (else adj_close) equals that of the bar before; NaN
          without prices.
        - suspects : str, empty or reasons joined by "; ": ``"gap then jump: reused ticker?"`` (a jump after a gap of
          more than 20 days and 5 times the median gap, or after 20 bars or more with volume 0 and one price) and
          ``"rarely trades: reused ticker?"`` (volume 0 in more than 20 % of the bars).

    Raises
    ------
    PanelError
        If the index is not (date, asset) with datetime64 dates, or there is no column ``return``, ``adj_close`` or
        ``close``.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdrfm.datasets import bar_report
    >>> dates = pd.to_datetime(["2020-01-02", "2020-01-03", "2020-01-06", "2020-06-30"])
    >>> index = pd.MultiIndex.from_product([dates, ["EP"]], names=["date", "asset"])
    >>> report = bar_report(pd.DataFrame({"close": [10.0, 10.0, 11.0, 40.0]}, index=index))
    >>> report[["longest_gap_days", "n_jumps", "suspects"]]
           longest_gap_days  n_jumps                       suspects
    asset
    EP                  176        1  gap then jump: reused ticker?
    """
    index = check_panel_index(bars, name="The table of bars")
    dates = index.get_level_values("date")
    if not isinstance(dates, pd.DatetimeIndex):
        raise PanelError(f"The dates of bars must be datetime64. Got {dates.dtype}. Convert them with pd.to_datetime.")
    if not {"return", "adj_close", "close"} & set(bars.columns):
        raise PanelError(
            f"Bars must have a column 'return', 'adj_close' or 'close'. Found: {', '.join(map(str, bars.columns))}."
        )
    codes, assets = pd.factorize(index.get_level_values("asset"), sort=True)
    order = np.lexsort((dates.to_numpy(), codes))
    codes, days = codes[order], dates[order].normalize()
    is_first = np.append(True, codes[1:] != codes[:-1])[: len(codes)]

    def column(name: str) -> FloatArray:
        nothing: FloatArray = np.full(len(order), np.nan)
        return bars[name].to_numpy(dtype=np.float64)[order] if name in bars else nothing

    price, volume = column("close" if "close" in bars else "adj_close"), column("volume")
    returns = (
        column("return") if "return" in bars else _changes(column("adj_close" if "adj_close" in bars else "close"))
    )
    has_jump = (np.abs(returns) > _JUMP) & ~is_first
    is_stale = np.append(False, price[1:] == price[:-1])[: len(codes)] & ~is_first
    gaps = np.append(0, np.diff(days.to_numpy()) / np.timedelta64(1, "D"))[: len(codes)]
    gaps[is_first] = np.nan

    table = pd.DataFrame({"gap": gaps, "jump": has_jump, "stale": is_stale, "known": ~np.isnan(volume)})
    table["zero"] = volume == 0
    by_asset = table.groupby(codes)
    sums, sizes = by_asset[["jump", "stale", "known", "zero"]].sum(), by_asset.size().to_numpy()
    starts = np.flatnonzero(is_first)
    zero_share = _ratio(sums["zero"].to_numpy(), sums["known"].to_numpy())
    usual = by_asset["gap"].median().to_numpy()[codes]
    after_gap = (gaps > _LONG_GAP_DAYS) & (gaps > _LONG_GAP_TIMES * usual)
    after_quiet = np.append(0, _run_lengths(is_stale & (volume == 0))[:-1])[: len(codes)] >= _LONG_QUIET_BARS
    changed = pd.Series(has_jump & (after_gap | after_quiet)).groupby(codes).any().to_numpy()
    return pd.DataFrame(
        {
            "first_date": days[starts],
            "last_date": days[starts + sizes - 1],
            "n_bars": sizes,
            "zero_volume_share": zero_share,
            "longest_gap_days": by_asset["gap"].max().fillna(0).astype("int64").to_numpy(),
            "n_jumps": sums["jump"].to_numpy(),
            "stale_share": _ratio(sums["stale"].to_numpy(), sizes) if not np.isnan(price).all() else np.nan,
            "suspects": [_reasons(*pair) for pair in zip(changed.tolist(), (zero_share > _RARE).tolist(), strict=True)],
        },
        index=pd.Index(assets, name="asset"),
    )


def _changes(prices: FloatArray) -> FloatArray:
    """Return over the price one row before; unknown where a price is not positive."""
    known = np.where(prices > 0, prices, np.nan)
    result: FloatArray = np.full(len(known), np.nan)
    result[1:] = known[1:] / known[:-1] - 1
    return result


def _run_lengths(flags: BoolArray) -> AnyArray:
    """Count the rows up to and with this one that carry the flag without a break."""
    position = np.arange(1, len(flags) + 1)
    last_break = np.maximum.accumulate(np.where(flags, 0, position)) if len(flags) else position
    return position - last_break


def _ratio(part: AnyArray, whole: AnyArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = part / whole
    return ratio


def _reasons(changed: bool, is_rare: bool) -> str:
    reasons = ["gap then jump: reused ticker?"] if changed else []
    return "; ".join(reasons + ["rarely trades: reused ticker?"] * bool(is_rare))
