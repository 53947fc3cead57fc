"""Names that run from right to left inside sentences that do not: they must not reorder what stands beside them."""

import re
from typing import Any

from markupsafe import Markup, escape

from skdrfm.report._printable import RIGHT_TO_LEFT, printable

# Letters of scripts from right to left, and invisible characters that turn the direction of what follows.
_TURNS = f"{RIGHT_TO_LEFT}\u200e\u200f\u202a-\u202e\u2066-\u2069"
# A run ends with such a character, so that a number or a comma behind a name stays with the sentence.
_RUN = re.compile(rf"[{_TURNS}](?:[\s\d'.\-]*[{_TURNS}])*")
_ISOLATED = re.compile("[\u2066-\u2068]([^\u2066-\u2069]*)\u2069")


def turns(text: str) -> bool:
    """Whether a part of a text runs from right to left, or may.

    Parameters
    ----------
    text : str
        A name or a sentence.

    Returns
    -------
    bool
        True if it has a letter or an invisible character that turns the direction.

    Examples
    --------
    >>> from skdrfm.report._direction import turns
    >>> turns("Nakagawa"), turns("\u05d0\u05d1")
    (False, True)
    """
    return bool(_RUN.search(text))


def isolate(text: Any) -> Markup:
    """Escape a sentence for HTML and set apart what runs from right to left in it.

    Parameters
    ----------
    text : str
        The sentence. What stands between Unicode's isolates is set apart as a whole.

    Returns
    -------
    Markup
        With ``bdi`` elements.

    Examples
    --------
    >>> from skdrfm.report._direction import isolate
    >>> isolate("<b> & co")
    Markup('&lt;b&gt; &amp; co')
    >>> str(isolate("\u05d0\u05d1 12 %")) == "<bdi>\u05d0\u05d1</bdi> 12 %"
    True
    """
    sentence, parts, end = printable(text), [], 0
    for match in _ISOLATED.finditer(sentence):
        parts += [_isolate_runs(sentence[end : match.start()]), Markup("<bdi>{}</bdi>").format(match[1])]
        end = match.end()
    return Markup("").join([*parts, _isolate_runs(sentence[end:])])


def _isolate_runs(text: str) -> Markup:
    parts, end = [], 0
    for match in _RUN.finditer(text):
        parts += [escape(text[end : match.start()]), Markup("<bdi>{}</bdi>").format(match[0])]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
