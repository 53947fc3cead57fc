"""Show the text below a public constant in the module that defines it.

Python keeps no docstring for a tuple or a mapping, and autodoc looks for the text in the package that exports the name
and not in the private module that defines it.
"""

import re
import sys
from functools import cache
from typing import Any

from numpydoc.numpydoc import mangle_signature
from sphinx.application import Sphinx
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

# A name with a trailing underscore in running text: not inside a literal, and not escaped.
_LEARNED = re.compile(r"(?<![\w`\\.*:])([a-z][a-z_]*[a-z]_)(?![\w`\\:*])")


@cache
def documented_constants(package: str) -> dict[str, list[str]]:
    """Find the texts below all assignments in the modules of a package that are loaded."""
    found: dict[str, list[str]] = {}
    for module in sorted(name for name in sys.modules if name == package or name.startswith(f"{package}.")):
        try:
            analyzer = ModuleAnalyzer.for_module(module)
            analyzer.analyze()
        except PycodeError:
            continue
        found |= {name: lines for (owner, name), lines in analyzer.attr_docs.items() if not owner}
    return found


def take_text(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Replace the docstring of a constant's type by the text below the constant."""
    package, _, constant = name.rpartition(".")
    if what in {"data", "attribute"} and package.startswith("skdrfm"):
        text = documented_constants(package).get(constant)
        if text is not None:
            lines[:] = text
        elif type(value).__doc__ and type(value).__module__ == "builtins":
            lines[:] = []


def spare_constants(app: Sphinx, config: Any) -> None:
    """Keep numpydoc from giving constants that can be called, as scorers can, a signature that autodoc cannot place."""
    listeners = app.events.listeners["autodoc-process-signature"]
    for listener in [found for found in listeners if found.handler is mangle_signature]:
        listeners.remove(listener)
        app.connect("autodoc-process-signature", signature_of_callables)


def signature_of_callables(app: Sphinx, what: str, *rest: Any) -> Any:
    """Leave data alone, and hand everything else to numpydoc."""
    return None if what in {"data", "attribute"} else mangle_signature(app, what, *rest)


def quote_learned(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Set names such as n_features_in_ as code: a trailing underscore would be a link otherwise."""
    if name.startswith("skdrfm"):
        lines[:] = [line if line.startswith("**") else _LEARNED.sub(r"``\1``", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", take_text, priority=100)  # before numpydoc
    app.connect("config-inited", spare_constants)
    app.connect("autodoc-process-docstring", quote_learned, priority=900)  # after numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
