"""Videos of a scene, alone or together with its clip."""

from pathlib import Path

import cv2
import numpy as np

from endogs.clip import Clip
from endogs.errors import InputError
from endogs.export.config import ExportVideo
from endogs.export.orbit import orbiting
from endogs.pictures.beside_clip import beside_clip
from endogs.pictures.film import Frames, film, film_comment
from endogs.pictures.left_out_label import labelled
from endogs.pictures.scene_frames import picture, scene_depth_range
from endogs.pictures.source_clip import judged_masks, load_source_clip
from endogs.pictures.video import frame_rate, pixel_aspect, write_video
from endogs.scene import Scene

NEED_CLIP = ("side-by-side", "instruments-removed")
GROWTH = 3
"""Pixels by which instruments grow before they are replaced: their outlines blur and cast shadows."""
SOFTNESS = 2.0
"""Pixels (standard deviation) over which the rendering fades into the clip."""
ORBIT_SECONDS = 6.0
"""About what one round takes, and the length of the video for a scene of a single moment."""
ORBIT_DEGREES = 8.0
"""Largest angle of an orbit where nothing else is asked for."""
STILL_FPS = 25.0


def check_video(config: ExportVideo) -> None:
    """Raises InputError for options that do not go together."""
    if config.orbit_degrees is not None and config.what != "orbit":
        raise InputError(f"--orbit-degrees is not used by --what {config.what}; leave it out, or use orbit.")
    if config.masks != "fitted" and config.what != "instruments-removed":
        raise InputError(f"--masks is not used by --what {config.what}; leave it out, or use instruments-removed.")
    if config.clip is not None and config.what not in NEED_CLIP:
        raise InputError(f"--clip is not used by --what {config.what}; leave it out, or use {' or '.join(NEED_CLIP)}.")


def export_video(scene: Scene, config: ExportVideo, path: Path) -> int:
    """Writes the video that `config` asks for to `path` (MP4, H.264) and returns its number of pictures.

    Pictures are those of the clip's frames, or of moments 1 / fps apart. The file's comment says what is shown, its
    units, and the depths at the ends of the colour scale. Raises InputError as `check_video`, `load_source_clip` (only
    where the clip is needed) and `write_video` do, and for instruments-removed without instruments.
    """
    check_video(config)
    clip = load_source_clip(scene, config.scene, config.clip) if config.what in NEED_CLIP else None
    times, rate = _times(scene, config)
    if config.what == "orbit":
        frames, comment = _orbit(scene, times, config), film_comment(scene, config.what)
    elif clip is None:
        frames, comment = film(scene, times, "depth" if config.what == "depth" else "color", config.scale)
    elif config.what == "side-by-side":
        span = scene_depth_range(scene)
        frames = (beside_clip(scene, clip, time, config.scale, span) for time in times)
        comment = film_comment(scene, config.what, span)
    else:
        frames, comment = _without_instruments(scene, clip, times, config), film_comment(scene, config.what)
    shown_at = np.array(times) if config.fps is None and len(set(times)) == len(times) else None
    return write_video(path, frames, rate, config.crf, comment, shown_at, pixel_aspect(np.asarray(scene.K[0])))


def _times(scene: Scene, config: ExportVideo) -> tuple[list[float], float]:
    """Seconds of each picture, and pictures per second."""
    first, last = float(scene.times[0]), float(scene.times[-1])
    if config.what == "orbit" and last == first:
        rate = config.fps or STILL_FPS
        return [first] * round(ORBIT_SECONDS * rate), rate
    if config.fps is None:
        return [float(time) for time in scene.times], frame_rate(scene.times)
    return [first + i / config.fps for i in range(int((last - first) * config.fps + 1e-6) + 1)], config.fps


def _orbit(scene: Scene, times: list[float], config: ExportVideo) -> Frames:
    depth = picture(scene, times[0], min(1.0, 160 / max(scene.width, scene.height)))[1]
    if not (depth > 0).any():
        raise InputError(f"{scene.called}: its first frame shows nothing to turn around; fit it again.")
    distance = float(np.median(depth[depth > 0]))
    rounds = max(1, round((times[-1] - times[0]) / ORBIT_SECONDS))
    for i, time in enumerate(times):
        camera = scene.camera(scene.nearest_frame(time))
        phase = rounds * i / max(len(times) - 1, 1)
        moved = orbiting(camera, distance, phase, config.orbit_degrees or ORBIT_DEGREES)
        yield labelled(picture(scene, time, config.scale, camera=moved)[0], scene, time)


def _without_instruments(scene: Scene, clip: Clip, times: list[float], config: ExportVideo) -> Frames:
    tissue, scale = judged_masks(scene, clip, config.masks), config.scale
    if not any((~tissue(i) & ~clip.ignored).any() for i in range(len(clip))):
        raise InputError(f"{clip.source}: nothing says where instruments are, so there is nothing to remove.")
    grown = np.ones((2 * GROWTH + 1, 2 * GROWTH + 1), np.uint8)
    for time in times:
        frame = scene.nearest_frame(time)
        instrument = (~tissue(frame) & ~clip.ignored).astype(np.float32)
        weight = cv2.GaussianBlur(cv2.dilate(instrument, grown), (0, 0), SOFTNESS)
        weight = np.maximum(weight, instrument)[..., None] * ~clip.ignored[..., None]
        rendered = picture(scene, time)[0].astype(np.float32)
        image = np.clip(clip.image(frame) * (1 - weight) + rendered * weight + 0.5, 0, 255).astype(np.uint8)
        if scale != 1:
            size = (max(1, round(clip.width * scale)), max(1, round(clip.height * scale)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
        yield labelled(image, scene, time)
