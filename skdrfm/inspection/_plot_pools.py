"""What the displays of pooled contributions share: how many groups are drawn, their names, and axes for bars."""

from collections.abc import Iterable
from typing import Any

from skdrfm.exceptions import PanelError
from skdrfm.panel._plot import new_axes
from skdrfm.utils.validation import check_whole


def check_n_groups(n_groups: Any, display: object) -> None:
    """Refuse a number of groups to draw that is neither None nor a whole number from 1."""
    if n_groups is not None:
        check_whole(n_groups, "n_groups", owner=type(display).__name__, other="or None", error=PanelError)


def pool_names(labels: Iterable[Any]) -> list[str]:
    """Names of groups, descriptors or lags, or of pairs with a lag, as `pooled` labels them."""
    return [f"{label[0]}, lag {label[1]}" if isinstance(label, tuple) else str(label) for label in labels]


def axes_of_bars(ax: Any, names: list[str]) -> Any:
    """Axes with a named place for each horizontal bar, the first on top; None makes some that are high enough."""
    ax = new_axes(max(2.4, 1.4 + 0.28 * len(names))) if ax is None else ax
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    return ax
