"""Text in the panels: viser reads them as markdown, and HTML in it as HTML."""

from endogs.plain_text import plain

SAFE = set(" -,:")
"""Punctuation that means nothing inside of a line."""
LINKING = set("/@.")
"""Without these in one piece, viser's markdown sees no addresses, which it would make links of."""


def as_markdown(text: object, longest: int = 500) -> str:
    """Markdown that shows `text` as it is, on one line, at most `longest` letters of it.

    Punctuation becomes character references, which markdown never takes for markup
    (https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references).
    """
    return "".join(_shown(letter) for letter in plain(text, longest))


def _shown(letter: str) -> str:
    if letter.isalnum() or letter in SAFE:
        return letter
    return f"{'<wbr>' * (letter in LINKING)}&#{ord(letter)};"
