"""Options of `endogs view`; importing this file imports neither torch nor numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from endogs.options import Options, Range


@dataclass(frozen=True)
class View(Options):
    """Look at a scene in the browser: play it, turn it, measure on it, save what you see."""

    scene: Positional[Path]
    """Scene file, or the folder that reconstruct wrote."""
    clip: Path | None = None
    """The clip, to see the input beside the render; by default the one that the scene was fitted to, if it is there."""
    host: str = "127.0.0.1"
    """Address to serve at. Only this machine by default; any other address asks for a token, which the URL holds."""
    port: Annotated[int, Range(0, 65_535)] = 8080
    """Port to serve at; where it is taken, the next free one."""
