"""The tests' browser with what a viewer needs of it: waiting for what a server sends, keys by their place, drags."""

import time
from collections.abc import Callable
from typing import Any

from samples.chromium import Chromium


class ViewerPage(Chromium):
    """One page that shows the viewer."""

    def wait(self, script: str, seconds: float = 30.0) -> Any:
        """Waits until a JavaScript expression is true, and returns it."""
        return self.until(lambda: self.run(script), script, seconds)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
        """Waits until `condition` is true, and returns it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"this did not happen in time: {what}"
            time.sleep(0.05)
        return found

    def press(self, key: str, code: str, number: int) -> None:
        """A key, by its name, its place and its number."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number)

    def click(self, x: float, y: float) -> None:
        """A click where the pointer has gone before, as hands do it."""
        self.mouse("mouseMoved", x, y, "none")
        super().click(x, y)

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A drag with the left button."""
        self.mouse("mouseMoved", x, y, "none")
        self.mouse("mousePressed", x, y)
        for share in (0.25, 0.5, 0.75, 1.0):
            self.mouse("mouseMoved", x + share * (to_x - x), y + share * (to_y - y))
            time.sleep(0.05)
        self.mouse("mouseReleased", to_x, to_y)

    def _note(self, message: dict) -> None:
        parameters = message.get("params", {})
        level = parameters.get("type") or parameters.get("entry", {}).get("level")
        if level != "warning":  # viser's page warns of its own libraries and of software rendering
            super()._note(message)
