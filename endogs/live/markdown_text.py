"""Text in the panels: viser reads them as markdown, and HTML in it as HTML."""

from endogs.plain_text import plain

SAFE = set(" -.,:")
"""Punctuation that means nothing inside of a line."""


def as_markdown(text: object, longest: int = 500) -> str:
    """Markdown that shows `text` as it is, on one line, at most `longest` letters of it.

    Punctuation becomes character references, which markdown never takes for markup
    (https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references).
    """
    shown = (letter if letter.isalnum() or letter in SAFE else f"&#{ord(letter)};" for letter in plain(text, longest))
    return "".join(shown)
