"""Every public name stands in the API exactly once, and nothing else does."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import skdrfm

API = Path(__file__).parents[2] / "docs" / "api"
ENTRIES = re.compile(r"^\.\. autosummary::\n(?:   :.*\n)*\n((?:   \S+\n)+)", re.MULTILINE)


def documented():
    """Full names in the order of the pages, repetitions included."""
    for page in sorted(API.glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        module = re.search(r"^\.\. currentmodule:: (\S+)$", text, re.MULTILINE)[1]
        for block in ENTRIES.findall(text):
            yield from (f"{module}.{name}" for name in block.split())


def public():
    """Full names in ``__all__`` of each public module; the root re-exports names that are at home elsewhere."""
    for found in pkgutil.walk_packages(skdrfm.__path__, "skdrfm."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            module = importlib.import_module(found.name)
            yield from (f"{found.name}.{name}" for name in getattr(module, "__all__", ()))


def test_every_public_name_is_documented_and_nothing_else():
    assert set(documented()) == set(public())


def test_no_name_is_documented_twice():
    assert [name for name, count in Counter(documented()).items() if count > 1] == []


def test_the_table_of_root_names_says_where_each_is_at_home():
    rows = re.findall(
        r"^\| `skdrfm\.(\w+)` \| `(\S+)` \|$", (API / "index.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert dict(rows) == {name: f"{module}.{name}" for name, module in skdrfm._EXPORTS.items()}


def test_every_page_of_the_api_is_in_its_table_of_contents():
    listed = re.search(r"```\{toctree\}\n.*?\n\n(.*?)```", (API / "index.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert set(listed.split()) == {page.stem for page in API.glob("*.rst")}
