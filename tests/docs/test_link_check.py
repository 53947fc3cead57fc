"""The check of internal links finds what leads nowhere and nothing else."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sphinx")

SCRIPT = Path(__file__).parents[2] / "docs" / "_extensions" / "link_check.py"


def _load_script():
    spec = importlib.util.spec_from_file_location("link_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, **pages):
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")


def found(folder):
    return list(_load_script().broken_links(folder))


def test_links_that_lead_somewhere_are_left_alone(tmp_path):
    write(
        tmp_path,
        one='<h1 id="top">1</h1><a href="two.html#part">x</a><a href="#top">x</a><a href="https://example.org/#x">x</a>',
        two='<h2 id="part">2</h2><a href="one.html?highlight=x">x</a><img src="data:image/png;base64,AAAA">',
    )
    assert found(tmp_path) == []


@pytest.mark.parametrize("target", ["gone.html", "two.html#gone", "#gone", "../outside.html"])
def test_a_link_that_leads_nowhere_is_found(tmp_path, target):
    write(tmp_path, one=f'<a href="{target}">x</a>', two='<h2 id="part">2</h2>')
    assert found(tmp_path) == [("one.html", target)]


def test_a_missing_picture_is_found(tmp_path):
    write(tmp_path, one='<img src="images/gone.png">')
    assert found(tmp_path) == [("one.html", "images/gone.png")]
