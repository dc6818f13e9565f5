"""What a command says never stops what it does: standard streams that are closed, full, broken or narrow.

A pipe whose reader has left, a full disk behind `> log`, a stream that the caller closed and a locale of ASCII would
else end a fit of an hour in the middle, and a closed stream's number would go to the next file that is opened, for a
library's words to be written into it.
"""

import io
import os
import sys
from errno import EPIPE
from typing import cast


class _Lasting(io.FileIO):
    """An open file that takes all bytes, and remembers why the first could not be written."""

    failure: OSError | None = None

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Writes what can be written."""
        if self.failure is None:
            try:
                return super().write(data) or 0
            except OSError as error:
                self.failure = error
        return len(data)


_lasting: list[_Lasting] = []


def prepare() -> None:
    """Makes the process's own streams last; those that somebody has put in their place (a test, a notebook) stay."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is not own or (
            isinstance(own, io.TextIOWrapper) and isinstance(getattr(own.buffer, "raw", None), _Lasting)
        ):
            continue
        encoding, lines = (own.encoding, own.line_buffering) if own is not None else ("utf-8", False)
        if own is not None:
            own.flush()
        raw = _Lasting(number, "w", closefd=False)
        _lasting.append(raw)
        buffered = io.BufferedWriter(cast("io.RawIOBase", raw))
        lasting = io.TextIOWrapper(
            buffered, encoding, errors="backslashreplace", line_buffering=lines or name == "stderr"
        )
        setattr(sys, name, lasting)
        setattr(sys, f"__{name}__", lasting)


def unsaid() -> str:
    """Why something could not be said, empty when all was; a reader who has seen enough is no reason."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    failures = [raw.failure for raw in _lasting if raw.failure is not None and raw.failure.errno != EPIPE]
    return (failures[0].strerror or str(failures[0])) if failures else ""
