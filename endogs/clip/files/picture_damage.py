"""Which of a decoder's words mean that a picture is damaged, though it was decoded to its end."""

import re
from collections.abc import Sequence

FEW_BYTES = 16
"""Bytes that cameras leave between a JPEG's last row and its end, as many do; more are rows that were not decoded."""
_JPEG = re.compile(
    r"premature end|bad Huffman code|found marker|Inconsistent progression|Bogus|unsupported marker", re.IGNORECASE
)
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_TIFF = re.compile(
    r"decod|strip|tile|scanline|code table|yet in table|corrupt|read error|not enough data|zlib|inflate", re.IGNORECASE
)


def damage(words: Sequence[str], data: bytes) -> str:
    """What is wrong with the picture in `data`, by the lines `words` of its decoder; empty where it is whole.

    Bytes after the last row of a JPEG are padding where they are few or all alike (T.81 allows none, cameras write
    them), and left-over rows else.
    """
    for line in words:
        passed = _EXTRANEOUS.search(line)
        if passed is not None:
            count, marker = int(passed[1]), int(passed[2], 16)
            in_pixels = 0xD0 <= marker <= 0xD9 or marker in (0xC4, 0xDA)  # restarts, the end, the next scan
            if in_pixels and count > FEW_BYTES and not (marker == 0xD9 and _is_padding(data, count)):
                return f"{count} bytes of its pixels are left over"
        elif line.startswith("[ERROR"):
            if _TIFF.search(line):
                return line.rsplit("TIFF_Error ", 1)[-1].rstrip(".")
        elif _JPEG.search(line):
            return line.removeprefix("Corrupt JPEG data: ").rstrip(".")
    return ""


def oddity(words: Sequence[str]) -> str:
    """What a JPEG's decoder passed over without harm; empty where it passed over nothing."""
    passed = next((found for line in words if (found := _EXTRANEOUS.search(line))), None)
    return f"{passed[1]} bytes that belong to no row" if passed is not None else ""


def reason(words: Sequence[str]) -> str:
    """The last words of a decoder that gave up, in brackets and after a blank; empty where it said nothing."""
    said = [re.sub(r"^(libpng error: |Corrupt JPEG data: |\[.*?\] global \S+ (TIFF_Error )?)", "", w) for w in words]
    return f" ({said[-1][:120].rstrip('.')})" if said else ""


def _is_padding(data: bytes, count: int) -> bool:
    end = data.rfind(b"\xff\xd9")
    return count <= end and len(set(data[end - count : end])) == 1
