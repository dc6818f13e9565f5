"""A headless Chromium over the DevTools protocol, just enough to press, click, drag and look."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip


def find_chromium() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One page."""

    def __init__(self, width: int = 1200, height: int = 900) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [find_chromium(), *FLAGS, f"--user-data-dir={self._folder.name}", f"--window-size={width},{height}"]
        self._process = subprocess.Popen([*command, "about:blank"], stderr=subprocess.PIPE, text=True)
        line = next(line for line in self._process.stderr if "DevTools listening on" in line)
        port = line.rsplit(":", 1)[1].split("/")[0]
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = connect(address, max_size=None)
        self._numbers = itertools.count(1)
        self.errors: list[str] = []
        """What the page complained about: exceptions, and errors on its console."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command and its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            self._note(answer)
            if answer.get("id") == number:
                return answer.get("result", {})

    def open(self, url: str) -> None:
        """Goes to a page."""
        self.call("Page.navigate", url=url)

    def script(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression: str, seconds: float = 30.0) -> Any:
        """Waits until a JavaScript expression is true, and returns it."""
        return self.until(lambda: self.script(expression), expression, seconds)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        """Waits until `condition` is true, and returns it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"this did not happen in time: {what}"
            time.sleep(0.05)
        return found

    def screenshot(self) -> np.ndarray:
        """RGB (H, W, 3) of the page."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

    def press(self, key: str, code: str, number: int) -> None:
        """A key, by its name, its place and its number."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number)

    def mouse(self, kind: str, x: float, y: float, held: bool = False) -> None:
        """A mouse event: "Moved", "Pressed" or "Released"."""
        button = "none" if kind == "Moved" and not held else "left"
        self.call(
            "Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, button=button, buttons=int(held), clickCount=1
        )

    def click(self, x: float, y: float) -> None:
        """A click at a pixel of the page."""
        self.mouse("Moved", x, y)
        self.mouse("Pressed", x, y, held=True)
        self.mouse("Released", x, y)

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A drag with the left button."""
        self.mouse("Moved", x, y)
        self.mouse("Pressed", x, y, held=True)
        for share in (0.25, 0.5, 0.75, 1.0):
            self.mouse("Moved", x + share * (to_x - x), y + share * (to_y - y), held=True)
            time.sleep(0.05)
        self.mouse("Released", to_x, to_y)

    def close(self) -> None:
        """Ends the browser."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(10)
        self._process.stderr.close()
        self._folder.cleanup()

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"].get("exception", parameters)))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            self.errors.append(str([argument.get("value") for argument in parameters["args"]]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
