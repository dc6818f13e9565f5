"""What C libraries say about a picture while they decode it for OpenCV or OpenEXR, which only the terminal would hear.

libjpeg and libpng write to the process's standard error and decode on, libtiff speaks through OpenCV's log. No setting
of OpenCV's hands these words over, so its standard error leads to a file while a picture is decoded.
"""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_WORDS = 64 * 1024
"""Bytes that are looked at of what was said."""
_SPOKEN = re.compile(
    rb"^(Corrupt JPEG data|Premature end of JPEG|Invalid SOS parameters|Inconsistent progression|Unsupported marker"
    rb"|Warning: unknown JFIF|Application transferred|libpng (warning|error)|\[ ?(WARN|ERROR|INFO|DEBUG|FATAL)\b"
    rb"|.*\(EXR_ERR_[A-Z_]+\)|ojph (warning|error)).*$"
)
"""Lines of jdmaster.h's and jerror.h's warnings in libjpeg, of libpng's, of OpenCV's log, and of OpenEXR's errors."""
_lock = threading.RLock()
_file: tuple[int, int] | None = None
"""The process that opened the file, and its descriptor: a child must not share a file's position with its parent."""


class Words:
    """Lines that decoders said."""

    def __init__(self) -> None:
        self.lines: list[str] = []


@contextmanager
def decoder_words() -> Iterator[Words]:
    """While entered, what decoders say goes into the lines that are yielded, complete when it is left.

    One thread at a time. What other threads say meanwhile is passed on when it is left. Without a standard error
    nothing is heard.
    """
    import cv2

    words = Words()
    with _lock:
        log: Any = cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_ERROR)
        try:
            kept = os.dup(2)
        except OSError:  # closed by who started this process
            kept = -1
        try:
            if kept >= 0:
                os.dup2(_target(), 2)
            yield words
        finally:
            log.setLogLevel(level)
            if kept >= 0:
                os.dup2(kept, 2)
                words.lines = _said(_target(), kept)
                os.close(kept)


def _target() -> int:
    global _file
    if _file is None or _file[0] != os.getpid():
        if hasattr(os, "memfd_create"):
            _file = (os.getpid(), os.memfd_create("decoders"))
        else:
            with tempfile.TemporaryFile() as opened:
                _file = (os.getpid(), os.dup(opened.fileno()))
    return _file[1]


def _said(source: int, kept: int) -> list[str]:
    """The decoders' lines in the file, which is emptied; all others are written to `kept`."""
    if os.lseek(source, 0, os.SEEK_CUR) == 0:
        return []
    os.lseek(source, 0, os.SEEK_SET)
    text = b"".join(iter(lambda: os.read(source, MOST_WORDS), b""))
    os.lseek(source, 0, os.SEEK_SET)
    os.ftruncate(source, 0)
    found = []
    for line in text.splitlines(keepends=True):
        if _SPOKEN.match(line.rstrip()):
            found.append(line[:MOST_WORDS].decode("utf-8", "replace").strip())
        else:
            os.write(kept, line)
    return found
