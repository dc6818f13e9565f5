"""One way to import open3d: late, and also on a machine without the system's libusb."""

import ctypes
from types import ModuleType

from endogs.errors import InputError


def import_open3d() -> ModuleType:
    """The `open3d` package (about half a second the first time).

    Its Linux wheels link against libusb-1.0 (for depth cameras that nobody uses here), which a bare machine lacks.
    The `libusb-package` wheel ships that library; loaded first, it satisfies the link by its name.

    Raises InputError, one sentence, when a system library is missing all the same.
    """
    try:
        import open3d
    except ImportError as first_failure:
        try:
            import libusb_package

            ctypes.CDLL(str(libusb_package.get_library_path()))
            import open3d
        except (ImportError, OSError):
            raise InputError(
                f"open3d cannot be loaded ({first_failure}); install what is missing, on Debian or Ubuntu with "
                "`apt-get install libusb-1.0-0 libgl1 libegl1 libx11-6 libidn2-0`."
            ) from first_failure
    return open3d
