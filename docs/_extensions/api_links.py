"""Link inline code such as ``backtest(predictions, returns)`` to the page of that name in the API.

Pages then need no role that would show as raw text where Markdown is read without Sphinx.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from skdrfm import _EXPORTS

_NAME = re.compile(r"^([A-Za-z_][\w.]*)(\(.*\))?$", re.DOTALL)
# Names of layers and steps are words of other packages too: these are linked where they are written in full.
_IN_FULL_ONLY = ("skdrfm.lrp.", "skdrfm.networks.", "skdrfm.utils.", "skdrfm.explanation.linear", "skdrfm.study.")
_NEVER = {"explain", "save", "load", "turnover", "skewness", "kurtosis"}


def targets(env: BuildEnvironment) -> dict[str, str]:
    """Map what a page may write to the full name of an object."""
    known: dict[str, list[str]] = {}
    for full, entry in env.domains["py"].data["objects"].items():
        if entry.objtype == "module" or entry.aliased:
            continue
        package, name = full.rsplit(".", 1)
        known.setdefault(full, []).append(full)
        if _EXPORTS.get(name) == package:
            known.setdefault(f"skdrfm.{name}", []).append(full)
        is_top_level = entry.objtype in {"class", "data", "exception", "function"}
        if is_top_level and name not in _NEVER and not full.startswith(_IN_FULL_ONLY):
            known.setdefault(name, []).append(full)
        elif not is_top_level:
            known.setdefault(".".join(full.rsplit(".", 2)[1:]), []).append(full)
    for name in ("run_study", "StudyResult"):
        known.setdefault(name, []).append(f"skdrfm.study.{name}")
    return {written: found[0] for written, found in known.items() if len(set(found)) == 1}


class LinkNames(SphinxPostTransform):
    """Wrap literals that are public names into references."""

    default_priority = 20

    def run(self, **kwargs: Any) -> None:
        """Walk through the literals of a document."""
        if self.app.builder.format != "html":
            return
        names = targets(self.env)
        objects = self.env.domains["py"].data["objects"]
        for literal in list(self.document.findall(nodes.literal)):
            match = _NAME.match(literal.astext())
            full = names.get(match[1]) if match else None
            if full is None or full not in objects or _is_inside_link(literal):
                continue
            entry = objects[full]
            if entry.docname == self.env.docname:
                continue
            link = make_refnode(
                self.app.builder, self.env.docname, entry.docname, entry.node_id, literal.deepcopy(), full
            )
            literal.replace_self(link)


def _is_inside_link(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.reference | pending_xref | nodes.title):
            return True
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
