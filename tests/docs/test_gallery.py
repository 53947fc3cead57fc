"""The gallery has its six chapters, and each example keeps to the form of the others."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/plot_*.py"))
CHAPTERS = ("first_steps", "panel_and_descriptors", "models", "explanations", "portfolios", "tuning_and_scale")
DRAWS = re.compile(r"\.plot(\.\w+)?\(")


def code_lines(cell):
    return [line for line in cell.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_a_header_and_an_example(chapter):
    folder = ROOT / "examples" / chapter
    assert (folder / "GALLERY_HEADER.txt").is_file()
    assert any(example.parent == folder for example in EXAMPLES)


def test_no_example_lies_outside_the_chapters():
    assert {example.parent.name for example in EXAMPLES} == set(CHAPTERS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_has_a_title_cells_and_an_early_figure(example):
    text = example.read_text(encoding="utf-8")
    title, line = ast.get_docstring(ast.parse(text)).splitlines()[:2]
    assert set(line) == {"="}
    assert len(line) == len(title)
    cells = text.split("\n# %%\n")
    assert len(cells) >= 4
    lines = code_lines(cells[1])
    assert any(DRAWS.search(line) for line in lines), "The first cell draws nothing."
    statements = ast.parse(cells[1]).body
    # Imports stand together at the top; the story itself reaches its first figure within 20 lines.
    assert len([node for node in statements if not isinstance(node, ast.Import | ast.ImportFrom)]) <= 20


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_the_table_of_examples_names_it(example):
    table = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"`{example.relative_to(ROOT / 'examples').as_posix()}`" in table
