"""Strangers' text as text: what a file says of itself never steers a terminal."""

import unicodedata
from pathlib import Path


def is_text(path: Path) -> bool:
    """Whether a file's name is UTF-8; many libraries open no file of another one, which Unix allows."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def plain(text: object, longest: int = 2000) -> str:
    """`str(text)` on one line, with control and format characters written as escapes, e.g. ESC as `\\x1b`.

    Everything that a terminal or a browser would obey rather than show is escaped: C0 and C1 controls, line breaks,
    bidirectional overrides (CVE-2021-42574) and bytes of file names that are not text. Longer texts are cut.
    """
    shown = "".join(letter if _is_shown(letter) else _escaped(letter) for letter in str(text))
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"  # Zs: spaces of other widths


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
