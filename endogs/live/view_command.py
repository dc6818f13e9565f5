"""`endogs view`: a finished scene in the browser."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.live.config import View
from endogs.live.markdown_text import as_markdown
from endogs.live.playback import Playback
from endogs.live.server import LiveServer
from endogs.live.studio import Studio
from endogs.live.tracked_overlay import find_tracked_points
from endogs.live.viewer_gui import ViewerGui
from endogs.pictures.source_clip import load_source_clip
from endogs.plain_text import plain
from endogs.scene import Scene
from endogs.scene.scene_file import load_scene


def run_view(config: View) -> None:
    """Serves until Ctrl-C. Raises InputError for a bad scene, clip or address."""
    show(config, threading.Event().wait)


def show(config: View, wait: Callable[[], object]) -> None:
    """Serves until `wait` returns or is interrupted. Raises InputError for a bad scene, clip or address."""
    scene = load_scene(config.scene)
    if len(scene) == 0:
        raise InputError(f"{config.scene}: the scene has no Gaussians, so there is nothing to see.")
    clip = find_clip(scene, config.scene, config.clip)
    studio = Studio(scene, clip, tracked=find_tracked_points(config.scene, len(scene.times)))
    server = LiveServer(config.host, config.port)
    try:
        ViewerGui(server.viser, studio, f"{describe(scene, clip)} · {len(scene):,} Gaussians")
        playback = Playback(studio)
        try:
            print(f"the view is at {server.url} until Ctrl-C", flush=True)
            wait()
        except KeyboardInterrupt:
            pass
        finally:
            playback.stop()
    finally:
        server.stop()


def find_clip(scene: Scene, path: Path, given: Path | None) -> Clip | None:
    """The scene's clip; where it is not there any more, None, said on standard error.

    Raises InputError when the clip that was `given` cannot be read or has other frames.
    """
    try:
        return load_source_clip(scene, path, given)
    except InputError as reason:
        if given is not None:
            raise
        print(f"note: without the input video: {plain(reason)}", file=sys.stderr)
        return None


def describe(scene: Scene, clip: Clip | None) -> str:
    """The heading of a scene's view, in markdown."""
    name = clip.name if clip is not None else scene.origin.clip_name or "scene"
    units = "millimetres" if scene.units == "mm" else "relative units"
    frames = len(scene.times)
    return f"**{as_markdown(name, 100)}** · {frames} frame{'s' * (frames != 1)} · {units}"
