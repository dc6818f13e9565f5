"""Dask, or a test is skipped: it is an extra of endogs."""

import pytest


def require_dask() -> None:
    """Skips where what `pip install "endogs[batch]"` brings is not there."""
    pytest.importorskip("distributed", reason='no Dask here: pip install "endogs[batch]"')
    pytest.importorskip("cryptography", reason='no cryptography here: pip install "endogs[batch]"')
