"""Check the internal links of the pages that were built: each must lead to a file, and each fragment to an id."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


class PageParser(HTMLParser):
    """Collect ids, and the targets of links, pictures, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what the tag names and where it leads."""
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.ids.add(value)
            elif value and name in {"href", "src"}:
                self.targets.add(value)


def parse(page: Path) -> PageParser:
    """Read one page."""
    parser = PageParser()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def broken_links(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield page and target of each link within the folder that leads nowhere."""
    folder = folder.resolve()
    found = (page for page in sorted(folder.rglob("*.html")) if "_static" not in page.relative_to(folder).parts)
    pages = {page.resolve(): parse(page) for page in found}
    for page, parser in pages.items():
        for target in sorted(parser.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = page if not parts.path else (page.parent / unquote(parts.path)).resolve()
            if not file.is_file() or (
                parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].ids
            ):
                yield page.relative_to(folder).as_posix(), target


def warn(app: Sphinx, exception: Exception | None) -> None:
    """Make each broken link a warning of the build."""
    if exception is None and app.builder.format == "html":
        for page, target in broken_links(Path(app.outdir)):
            logger.warning("%s: the link %s leads nowhere", page, target)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", warn, priority=900)  # after the gallery has linked names in code
    return {"parallel_read_safe": True, "parallel_write_safe": True}
