"""Formulas as MathML, which browsers draw themselves: no script, no font and no network is needed."""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def to_mathml(node: nodes.Element, *, as_block: bool) -> str:
    """Turn the LaTeX of a node into MathML; what the converter does not know is a warning."""
    try:
        return str(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        logger.warning("formula cannot be drawn: %s", error, location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def visit_inline(self: Any, node: nodes.math) -> None:
    """Draw a formula in a line."""
    self.body.append(to_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """Draw a formula of its own."""
    # A wide formula scrolls inside its own box, so it must be reachable by keyboard.
    self.body.append(f'<div class="math-block" tabindex="0">{to_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
