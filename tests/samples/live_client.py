"""A browser's side of viser's protocol, enough to look at pictures: for tests that need no browser."""

import time
from collections import deque

import cv2
import msgspec
import numpy as np
import viser
import zstandard
from samples.live_scene import HEIGHT, WIDTH
from websockets.sync.client import connect

CANVAS = (2 * WIDTH, 2 * HEIGHT)


class LookingClient:
    """Connects, sends its camera, and reads what it is sent."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._unread: deque[dict] = deque()
        self._socket = connect(
            url.replace("http", "ws"),
            subprotocols=[f"viser-v{viser.__version__}"],
            additional_headers=headers or {},
            max_size=None,
            compression=None,
        )

    def look(self, position=(0.0, 0.0, 0.0), size=(320, 240), wxyz=(1.0, 0.0, 0.0, 0.0)) -> None:
        """Sends a camera."""
        message = {
            "type": "ViewerCameraMessage", "wxyz": wxyz, "position": position, "fov": 0.9, "near": 0.1, "far": 1000.0,
            "image_width": size[0], "image_height": size[1], "look_at": (0.0, 0.0, 60.0),
            "up_direction": (0.0, -1.0, 0.0),
        }  # fmt: skip
        self.send(message)

    def click(self, x: float, y: float) -> None:
        """Clicks at fractions of the canvas."""
        self.send(
            {
                "type": "ScenePointerMessage", "event_type": "click", "ray_origin": (0.0, 0.0, 0.0),
                "ray_direction": (0.0, 0.0, 1.0), "screen_pos": ((x, y),), "modifier": None,
            }
        )  # fmt: skip

    def send(self, message: dict) -> None:
        """Sends one message."""
        self._socket.send(msgspec.msgpack.encode(message))

    def messages(self, timeout: float = 30.0) -> list[dict]:
        """The next window of messages."""
        raw = self._socket.recv(timeout=timeout)
        size, packed = (int.from_bytes(raw[i : i + 8], "little") for i in (0, 8))
        content = zstandard.ZstdDecompressor().decompress(raw[16 : 16 + packed], max_output_size=size)
        decoded = msgspec.msgpack.decode(content)
        return decoded["messages"] if isinstance(decoded, dict) else decoded

    def next_message(self) -> dict:
        """The next message; none is lost between calls."""
        while not self._unread:
            self._unread.extend(self.messages())
        return self._unread.popleft()

    def wait_for(self, kind: str, accept=lambda message: True) -> dict:
        """The next message of a type that `accept` accepts."""
        for _ in range(4000):
            message = self.next_message()
            if message.get("type") == kind and accept(message):
                return message
        raise AssertionError(f"no {kind} came")

    def close(self, politely: bool = True) -> None:
        """Leaves, or just drops the line."""
        if politely:
            self._socket.close()
        else:
            self._socket.socket.close()


def picture(client):
    """The next picture that a client is sent, RGB."""
    sent = client.wait_for("BackgroundImageMessage", lambda message: message["rgb_data"])
    return cv2.imdecode(np.frombuffer(sent["rgb_data"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
