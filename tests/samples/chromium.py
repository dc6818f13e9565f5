"""A real browser for tests: Debian's Chromium without a window, driven over its DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-watchdog",  # it kills a renderer, and with it the canvas, that two busy cores keep waiting
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
)
EVENTS_OF_TROUBLE = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


def executable() -> str | None:
    """The browser to drive: $ENDOGS_CHROMIUM, or the first one on the path; None when there is none."""
    given = os.environ.get("ENDOGS_CHROMIUM")
    return given or next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser process with a fresh profile and one page."""

    def __init__(self, width: int, height: int) -> None:
        from websockets.sync.client import connect

        path = executable()
        assert path is not None
        self.profile = tempfile.TemporaryDirectory(prefix="endogs-chromium-", ignore_cleanup_errors=True)
        command = [
            path,
            *FLAGS,
            f"--user-data-dir={self.profile.name}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self.size = width, height
        self.numbers = itertools.count(1)
        self.requests: list[str] = []
        self.trouble: list[str] = []
        try:
            self.socket = connect(self._page_address(), max_size=None)
        except TimeoutError:
            self._end()
            raise
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def _page_address(self) -> str:
        port_file = Path(self.profile.name) / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip():
                port = port_file.read_text().split()[0]
                try:
                    targets = json.load(urlopen(f"http://127.0.0.1:{port}/json"))
                except OSError:
                    targets = []
                pages = [target for target in targets if target["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
            time.sleep(0.1)
        raise TimeoutError("Chromium did not start within 30 seconds")

    def call(self, method: str, **parameters):
        """Sends one command and returns its result; what the page complains about meanwhile goes to `trouble`."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=120))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert", "warning")
        ):
            self.trouble.append(json.dumps(parameters)[:2000])
        if method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.trouble.append(parameters["entry"]["text"])

    def resize(self, width: int, height: int, touch: bool = False) -> None:
        self.size = width, height
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)

    def open(self, address: str) -> None:
        self.trouble.clear()
        self.requests.clear()
        self.call("Page.navigate", url=address)
        for _ in range(600):
            if self.run("document.readyState") == "complete":
                return
            time.sleep(0.05)
        raise TimeoutError(f"{address} did not load")

    def run(self, script: str):
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:1000])
        return result["result"].get("value")

    def screenshot(self, box: dict | None = None) -> np.ndarray:
        """The window, or the box {x, y, width, height} of it, as (H, W, 3) uint8 RGB."""
        clip = {} if box is None else {"clip": {**box, "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", **clip)["data"]
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(image[..., ::-1])

    def mouse(self, kind: str, x: float, y: float, button: str = "left", **more) -> None:
        """kind: mousePressed, mouseReleased, mouseMoved or mouseWheel."""
        held = {"left": 1, "right": 2, "none": 0}[button] if kind != "mouseReleased" else 0
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=held, clickCount=1, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self) -> None:
        self.socket.close()
        self._end()

    def _end(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.profile.cleanup()
