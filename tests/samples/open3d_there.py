"""Phantoms are made with open3d, which a machine may lack, or lack a library of."""

import pytest

from endogs.errors import InputError
from endogs.open3d_library import import_open3d


def require_open3d() -> None:
    """Skip the test where open3d cannot be loaded, whichever test has loaded what before."""
    try:
        import_open3d()
    except InputError as error:
        pytest.skip(str(error))
