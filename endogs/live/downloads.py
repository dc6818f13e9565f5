"""What a viewer gives away: files as bytes, which the browser saves on the user's own machine."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.export.points import export_points
from endogs.live.viewpoint import Viewpoint, camera_json
from endogs.scene import Scene

if TYPE_CHECKING:
    import viser

PART = 32 * 1024
"""Bytes of a file that are sent at a time. viser joins up to 128 of them into one message, of which it makes copies."""
MOST_UNSENT = 256_000_000
"""Bytes of files that may wait for slow browsers, unless it is a single file."""


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """A PNG of an RGB picture (H, W, 3)."""
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise ValueError(f"cannot encode a picture of shape {image.shape}")
    return bytes(encoded.tobytes())


def points_bytes(scene: Scene, time: float) -> bytes:
    """The PLY point cloud of `endogs export points` at `time` seconds. Raises InputError as that does."""
    with tempfile.TemporaryDirectory() as folder:
        (file,) = export_points(scene, [time], Path(folder) / "points.ply")
        return file.read_bytes()


def camera_bytes(view: Viewpoint, time: float, units: str) -> bytes:
    """JSON of the camera, as in `endogs.live.viewpoint.camera_json`."""
    return (json.dumps(camera_json(view, time, units), indent=1) + "\n").encode()


def offer(server: "viser.ViserServer", client: "viser.ClientHandle", name: str, content: bytes) -> bool:
    """Sends a file to a browser, which saves it as `name`.

    False when the browser has not yet taken the last one, or when too much waits for the others.
    """
    from endogs.live.backend import unsent_bytes

    waiting = unsent_bytes(server)
    if client.client_id in waiting or (waiting and sum(waiting.values()) + len(content) > MOST_UNSENT):
        return False
    client.send_file_download(name, content, chunk_size=PART, save_immediately=True)
    return True
