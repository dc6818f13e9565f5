"""What a command says never stops what it does: standard streams that are closed, full, broken or narrow.

A pipe whose reader has left, a full disk behind `> log`, a stream that the caller closed and a locale of ASCII would
else end a fit of an hour in the middle, and a closed stream's number would go to the next file that is opened, for a
library's words to be written into it.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


_own: dict[str, _Lasting] = {}


def prepare() -> None:
    """Makes the process's own streams last; those that somebody has put in their place (a test, a notebook) stay."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream, given = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is not given or name in _own:
            continue
        _own[name] = raw = _Lasting(number, "w", closefd=False)
        lasting = _text_over(raw, given, name == "stderr")
        setattr(sys, name, lasting)
        setattr(sys, f"__{name}__", lasting)


def _text_over(raw: _Lasting, given: io.TextIOWrapper | None, by_line: bool) -> io.TextIOWrapper:
    """Text over the file, buffered as the given stream is."""
    if given is None:  # it was closed when Python started
        return io.TextIOWrapper(io.BufferedWriter(cast("io.RawIOBase", raw)), "utf-8", errors="backslashreplace")
    given.flush()
    unbuffered = isinstance(given.buffer, io.FileIO)  # python -u
    buffer = cast("io.BufferedWriter", raw) if unbuffered else io.BufferedWriter(cast("io.RawIOBase", raw))
    return io.TextIOWrapper(
        buffer,
        given.encoding,
        errors="backslashreplace",
        line_buffering=given.line_buffering or by_line,
        write_through=unbuffered,
    )


@contextmanager
def all_letters() -> Iterator[None]:
    """Inside, streams that somebody has put in place write letters that they do not know as escapes."""
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
            changed.append(stream)
    try:
        yield
    finally:
        for stream in changed:
            stream.reconfigure(errors="strict")


def unsaid() -> str:
    """Why something could not be said, empty when all was; a reader who has seen enough is no reason."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    failures = [raw.failure for raw in _own.values() if raw.failure is not None and raw.failure.errno != EPIPE]
    return (failures[0].strerror or str(failures[0])) if failures else ""
