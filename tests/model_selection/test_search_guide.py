"""The page on tuning runs, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

pytest.importorskip("keras_tuner")

PAGE = Path(__file__).parents[2] / "docs" / "tuning.md"
BLOCKS = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


def run_page(page):
    """Output of each Python block, and the text block that follows it, if any."""
    blocks = BLOCKS.findall(page.read_text(encoding="utf-8"))
    namespace = {"__name__": "page"}
    for position, (kind, code) in enumerate(blocks):
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(page), "exec"), namespace)
            following = blocks[position + 1] if position + 1 < len(blocks) else ("python", "")
            yield printed.getvalue(), following[1] if following[0] == "text" else ""


def lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_page_on_tuning_prints_what_it_says():
    for printed, shown in run_page(PAGE):
        assert lines(printed) == lines(shown)
