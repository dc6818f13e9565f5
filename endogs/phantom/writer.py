"""Writes a phantom as a clip folder with its truth."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import read_bytes
from endogs.geometry import invert_rigid
from endogs.output import new_folder
from endogs.phantom.config import Phantom
from endogs.phantom.light import AMBIENT, FILM, TISSUE_WRAP, WATER_REFLECTANCE
from endogs.phantom.path import TRAJECTORY
from endogs.phantom.render import Studio, View
from endogs.phantom.tracks_file import tracks_file

DEPTH_UNIT_MM = 0.01
"""Millimetres per unit of the 16-bit depth pictures; 0 is unknown."""
LONGEST = 1 << 28
"""Bytes of a trajectory."""


def write_phantom(
    config: Phantom,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Renders the phantom and writes it to `config.out`; returns that folder.

    `progress(done, total)` is called after each frame, `tell` with sentences about a trajectory. Frames are written as
    they come, and none is kept. The folder appears only when it is complete. It holds

        images/000000.png ...        sRGB; images_right/ when stereo
        masks/000000.png             255 = instrument
        depth/000000.png             16 bits, 0.01 mm per unit, of what is seen, instruments included
        calibration.json             fx, fy, cx, cy (pixels), baseline_mm (stereo), fps, depth_unit_mm; of a fisheye
                                     also its size, model and distortion
        poses.tum                    one line a frame: time tx ty tz qx qy qz qw, T_world_camera of the left camera, mm
        truth/depth_without_instruments/000000.png   the tissue's depth, also behind the instruments
        truth/tracks.npz             positions (F, P, 3) float32 mm, visible (F, P) bool, times (F,) s
        truth/light.json             the lamp, the reflection model, and the exposure of each frame where it changes
        truth/phantom.json           the options that made it
        truth/trajectory.tum         the trajectory that was given, as it was
        truth/events.json            blackouts, smoke, blur and the jump, and the frames that they affect

    Raises InputError for an option out of range, a trajectory that cannot be followed, an `out` that already holds
    something, or one not writable.
    """
    config.check()
    with new_folder(config.out) as folder:
        _write_frames(config, folder, progress, tell)
    return config.out


def _write_frames(
    config: Phantom, folder: Path, progress: Callable[[int, int], None], tell: Callable[[str], None]
) -> None:
    studio = Studio(config)
    for note in studio.path.notes:
        tell(note)
    truth = folder / "truth"
    tissue_folder = truth / "depth_without_instruments"
    names = ["images", "masks", "depth"] + (["images_right"] if config.view == "stereo" else [])
    for path in [*(folder / name for name in names), tissue_folder]:
        path.mkdir(parents=True)
    poses, lamps, gains = [], [], []
    times = np.arange(config.frames) / config.fps
    with tracks_file(truth / "tracks.npz", config.frames, len(studio.track_vertices), times) as tracks:
        for index, frame in enumerate(studio.frames()):
            file = f"{index:06d}.png"
            _write_image(folder / "images" / file, frame.left)
            if frame.right is not None:
                _write_image(folder / "images_right" / file, frame.right)
            _write_png(folder / "masks" / file, frame.left.instrument.astype(np.uint8) * 255)
            _write_png(folder / "depth" / file, _depth_units(frame.left.depth))
            _write_png(tissue_folder / file, _depth_units(frame.left.tissue_depth))
            poses.append(tum_line(index / config.fps, invert_rigid(frame.world_to_camera)))
            lamps.append(frame.lamp.position.tolist())
            gains.append(frame.gain)
            tracks.add(frame.tracks, frame.visible)
            progress(index + 1, config.frames)

    (folder / "poses.tum").write_text("\n".join(["# time tx ty tz qx qy qz qw (T_world_camera, mm)", *poses]) + "\n")
    calibration = studio.optics.calibration()
    if config.view == "stereo":
        calibration["baseline_mm"] = config.baseline
    calibration |= {"fps": config.fps, "depth_unit_mm": DEPTH_UNIT_MM}
    _write_json(folder / "calibration.json", calibration)
    _write_json(truth / "light.json", light_description(config, studio, lamps, gains))
    _write_json(truth / "phantom.json", config.written())
    if config.trajectory is not None:
        (truth / TRAJECTORY).write_bytes(read_bytes(config.trajectory, LONGEST))
    if studio.events:
        _write_json(truth / "events.json", studio.events.written(config.frames))


def light_description(
    config: Phantom, studio: Studio, lamps: list[list[float]], gains: list[float]
) -> dict[str, object]:
    """The lamp and the reflection model, as in `endogs.phantom.light`, in JSON's types, with the lamp's places and the
    exposures of all frames."""
    entries = {
        "model": "radiance = intensity (reference_distance_mm / d)^2 [albedo/pi (wrapped cosine + ambient) + film]",
        "intensity": studio.intensity,
        "reference_distance_mm": studio.anatomy.reference_distance,
        "position_world_mm": lamps,
        "tissue_wrap_rgb": np.round(TISSUE_WRAP.astype(float), 6).tolist(),
        "ambient": AMBIENT,
        "film_reflectance": WATER_REFLECTANCE * config.wetness,
        "film_lobes_weight_roughness": FILM,
        "vignetting_corner_loss": config.vignetting,
        "response": "sRGB",
    }
    return entries | ({"exposure_gain": gains} if config.exposes_itself else {})


def tum_line(time: float, world_from_camera: NDArray[np.float64]) -> str:
    """A line of a TUM trajectory: seconds, translation, quaternion xyzw of T_world_camera (4, 4)."""
    from scipy.spatial.transform import Rotation

    quaternion = Rotation.from_matrix(world_from_camera[:3, :3]).as_quat()
    return " ".join(f"{value:.9f}" for value in (time, *(world_from_camera[:3, 3] + 0.0), *quaternion))


def _depth_units(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.clip(np.round(depth / DEPTH_UNIT_MM), 0, 65535).astype(np.uint16)


def _write_image(path: Path, view: View) -> None:
    _write_png(path, view.image[..., ::-1])


def _write_png(path: Path, image: NDArray) -> None:
    # Through memory, so that a full disk raises and a path in any script works on every system.
    done, encoded = cv2.imencode(".png", image)
    if not done:
        raise ValueError(f"cannot encode a picture of shape {image.shape} and type {image.dtype}")
    path.write_bytes(encoded.tobytes())


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
