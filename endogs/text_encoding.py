"""Text in whatever encoding the program that wrote it chose: UTF-8, Windows' UTF-16, or Western Europe's one byte.

Byte order marks say the first two and UTF-32 (The Unicode Standard, 23.8); UTF-16 without one is seen by its zeros, as
in texts of numbers nearly every second byte is one.
"""

import codecs

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
LOOKED_AT = 4096
"""Bytes in which zeros are counted."""
MANY = 0.3
"""Share of the bytes at odd or at even places that are zero in UTF-16, and none at the others."""
ENDS = "\0\x1a"
"""What old programs write after a text: zeros, and DOS's end of file."""


def decoded(data: bytes) -> str:
    """The text that `data` holds, without byte order mark, and with line feeds for lines' ends.

    What is no UTF-8 is taken for Windows-1252, in which bytes that mean nothing become U+FFFD.
    """
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), None) or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252" if encoding.startswith("utf-8") else encoding, errors="replace")
    return text.rstrip(ENDS).replace("\r\n", "\n").replace("\r", "\n")


def _unmarked(data: bytes) -> str:
    """The encoding of text without a byte order mark."""
    some = data[: LOOKED_AT - LOOKED_AT % 2]
    odd, even = some[1::2].count(0), some[::2].count(0)
    if len(data) % 2 == 0 and max(odd, even) > MANY * len(some) / 2 and min(odd, even) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"
