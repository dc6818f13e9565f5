"""Whether there is memory for a picture, asked before it is drawn: a file of a kilobyte may ask for any size."""

from endogs.camera import Camera
from endogs.memory_budget import require_memory

SMALL = 4_000_000
"""Pixels of a picture that every machine has room for; 4K has eight million."""
PIXEL_BYTES = 64
"""Of a picture while it is drawn and turned into bytes: colour, depth, alpha and tiles, and float32 copies of them."""


def require_room(camera: Camera) -> None:
    """Raises InputError when the memory there is does not hold a picture of this camera."""
    pixels = camera.width * camera.height
    if pixels > SMALL:
        what = f"a picture of {camera.width} x {camera.height} pixels"
        require_memory(
            PIXEL_BYTES * pixels,
            what,
            "draw smaller ones where a command has --scale, or use a machine with more memory",
        )
