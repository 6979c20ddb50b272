"""HTML in which nothing a user wrote can become markup.

Text is escaped when it is put into an element, always; only what an element returned goes in as it is. So no caller
has to remember.
"""

import html
import re

_EMPTY_ELEMENTS = {"img", "meta", "br", "hr"}
# Control characters and halves of surrogate pairs (from file names that are no UTF-8) cannot stand in an HTML file.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Make text safe inside an element or an attribute.

    Example:
        >>> escaped("<b> & 'c'")
        '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_NOT_TEXT.sub("\ufffd", text)))


def element(name: str, /, *children: str, **attributes: str) -> Markup:
    """Write one element; an underscore in an attribute's name is a hyphen, one at its end is left out.

    Example:
        >>> element("td", "a < b", class_="number")
        '<td class="number">a &lt; b</td>'
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"' for key, value in attributes.items())
    if name in _EMPTY_ELEMENTS:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Put pieces one after the other."""
    return Markup("".join(escaped(child) for child in children))
