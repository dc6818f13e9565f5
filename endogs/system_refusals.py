"""The system's reasons for refusing a safetensors file, as the exceptions that they are everywhere else."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

_REASON = re.compile(r"\(os error (\d+)\)")


@contextmanager
def system_errors() -> Iterator[None]:
    """Around safetensors' calls: a full disk and the like raise OSError, with its number, instead of SafetensorError.

    The library (0.4 to 0.8) writes Rust's "No space left on device (os error 28)" into the text of its own exception.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        found = _REASON.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
