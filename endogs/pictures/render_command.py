"""`endogs render`: a scene's colour and depth as a video or as pictures, from the scene file alone."""

import sys
from pathlib import Path

import cv2
import numpy as np

from endogs import native
from endogs.errors import InputError
from endogs.output import new_folder
from endogs.pictures.config import RenderScene
from endogs.pictures.drawing_device import drawing_device
from endogs.pictures.film import Frames, film
from endogs.pictures.video import frame_rate, pixel_aspect, write_video
from endogs.plain_text import plain
from endogs.scene import Scene
from endogs.scene.appearance import Light
from endogs.scene.relight import relit
from endogs.scene.scene_file import load_scene

FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".avi", ".mov", ".mkv", ".webm", ".m4v")
"""Endings of files that are not written: nobody means a folder by them."""
TOLERANCE = 1e-6
"""Seconds by which a time may miss the clip's range through rounding."""


@native.cores_for_kernels()
def run_render(config: RenderScene) -> list[Path]:
    """Render what `config` asks for and return the files written."""
    if config.out.suffix.lower() in FILE_ENDINGS:
        raise InputError(f"{config.out}: give a name in .mp4 for a video, or a folder's name for PNG pictures")
    scene = load_scene(config.scene).to(drawing_device(config.device, config.backend))
    scene = in_light(scene, config)
    times = np.asarray(config.time or scene.times, np.float64)
    first, last = float(scene.times[0]), float(scene.times[-1])
    outside = times[(times < first - TOLERANCE) | (times > last + TOLERANCE)]
    if outside.size:
        raise InputError(
            f"--time {outside[0]:g} is outside the scene; its clip runs from {first:g} to {last:.6g} seconds."
        )
    is_video = config.out.suffix.lower() == ".mp4"
    if config.out.exists() and config.out.is_dir() == is_video:
        raise InputError(
            f"{config.out}: there is a {'folder' if is_video else 'file'} of this name; choose another --out"
        )
    frames, comment = film(scene, times.tolist(), config.what, config.scale, config.backend)
    if is_video:
        are_in_order = len(times) > 1 and bool((np.diff(times) > 0).all())
        rate = frame_rate(times if are_in_order else scene.times)
        written = [config.out]
        aspect = pixel_aspect(np.asarray(scene.K[0]))
        write_video(
            config.out, frames, rate, comment=comment, times=times if are_in_order else None, pixel_aspect=aspect
        )
    else:
        written = write_pictures(config.out, frames)
    print(f"wrote {plain(config.out)} ({len(times)} frame{'s' * (len(times) != 1)})")
    return written


def in_light(scene: Scene, config: RenderScene) -> Scene:
    """The scene under the light that was asked for. Raises InputError where it has no light."""
    if config.even_exposure:
        if scene.part_at(float(scene.times[0])).appearance.exposure is None:
            print("note: --even-exposure changes nothing: the scene's exposure is even", file=sys.stderr)
        scene = scene.steady()
    wanted = config.light
    if not wanted.changes:
        return scene
    offset, intensity = wanted.offset or (0.0, 0.0, 0.0), 1.0 if wanted.intensity is None else wanted.intensity
    return relit(scene, Light(offset, intensity, wanted.ambient_only, wanted.specular), config.scene)


def write_pictures(folder: Path, frames: Frames) -> list[Path]:
    """Write RGB frames as 000000.png, 000001.png, ... into a new folder that appears when all are there."""
    names = []
    with new_folder(folder) as partial:
        for i, frame in enumerate(frames):
            names.append(f"{i:06d}.png")
            png = cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))[1]
            (partial / names[-1]).write_bytes(png.tobytes())
    return [folder / name for name in names]
