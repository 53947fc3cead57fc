"""The configuration of the site stays short, and its chapters are the folders of the gallery."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CONF = ROOT / "docs" / "conf.py"


def test_the_configuration_has_fewer_than_120_lines():
    assert len(CONF.read_text(encoding="utf-8").splitlines()) < 120


def test_every_folder_with_a_gallery_header_is_a_chapter():
    headers = {header.parent.name for header in (ROOT / "examples").glob("*/GALLERY_HEADER.txt")}
    assert all(f'"{name}",' in CONF.read_text(encoding="utf-8") for name in headers)
