"""Values of options that click does not know."""

import math
import re
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem


class CommaList(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """Distinct names, or whole numbers, separated by commas.

    Parameters
    ----------
    kind : type, default=str
        Of the items: str or int.
    suggestions : sequence of str, default=()
        What a shell offers to complete; other names are not refused here.
    """

    def __init__(self, kind: type = str, suggestions: Sequence[str] = ()) -> None:
        self.kind = kind
        self.suggestions = suggestions
        self.name = "a,b,..." if kind is str else "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """Read the items of a text; those of a list are checked alike."""
        items: tuple[Any, ...] = ()
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",")]
            try:
                items = tuple(self.kind(part) for part in parts) if all(parts) else ()
            except ValueError:
                items = ()
        elif isinstance(value, list | tuple) and all(type(item) is self.kind and item != "" for item in value):
            items = tuple(value)
        if not items:
            kind = "names" if self.kind is str else "whole numbers"
            self.fail(f"must be {kind} separated by commas. Got {value!r}.", param, ctx)
        if len(set(items)) < len(items):
            self.fail(f"must name each item once. Got {value!r}.", param, ctx)
        return items

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer what may come after the last comma."""
        before, comma, last = incomplete.rpartition(",")
        taken = before.split(",")
        return [
            CompletionItem(before + comma + name)
            for name in self.suggestions
            if name.lower().startswith(last.lower()) and name not in taken
        ]


class Month(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A month such as 2009-01."""

    name = "yyyy-mm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the form."""
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", value, re.ASCII):
            self.fail(f"must be a month such as 2009-01. Got {value!r}.", param, ctx)
        return value


class Dates(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """A day, a month or a year, or all."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the form."""
        day = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
        if value != "all" and not re.fullmatch(day, str(value), re.ASCII):
            self.fail(f"must be a day, a month, a year or 'all', such as 2009-01-31. Got {value!r}.", param, ctx)
        return str(value)


class GroupAddition(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """Descriptors to add to a group, as in Size=LOGDV or Size=LOGDV,TURNOVER."""

    name = "group=a,b,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        """Read the name of the group and those of the descriptors."""
        if isinstance(value, tuple):
            return value
        group, equals, names = value.partition("=")
        if not equals or not group.strip():
            self.fail(f"must be a group and its descriptors, as in Size=LOGDV. Got {value!r}.", param, ctx)
        return group.strip(), CommaList().convert(names, param, ctx)


class FiniteRange(click.FloatRange):
    """A number in a range; NaN, which no comparison refuses, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"must be a number in the range {self._describe_range()}. Got {value!r}.", param, ctx)
        return number
