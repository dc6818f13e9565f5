"""A nerfstudio data set: transforms.json with cameras and the paths of images, masks and depth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_files import is_file, read_json
from endogs.clip.cameras.calibration_names import nearly_known, not_understood
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.lenses import Brown, KannalaBrandt, Lens
from endogs.clip.cameras.pose_conventions import world_to_camera
from endogs.clip.cameras.undistortion import undistort
from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import depth_files
from endogs.clip.files.frame_images import image_files
from endogs.clip.files.frame_seconds import frame_seconds
from endogs.clip.files.image_files import IMAGE_SUFFIXES, check_sizes, image_size, natural_key
from endogs.clip.files.mask_files import mask_files
from endogs.clip.files.number_files import LARGEST, json_numbers
from endogs.clip.files.selection import Selection
from endogs.clip.files.transparency import without_transparent
from endogs.clip.files.written_paths import resolved
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.plain_text import plain

KIND = "nerfstudio"
LANDMARKS: tuple[str, ...] = ("transforms*.json",)
FILES = ("transforms.json", "transforms_all.json", "transforms_train.json")
"""The first that is there is read, with the frames of PARTS where it is that of the training frames."""
PARTS = ("transforms_val.json", "transforms_test.json")
CONVENTION = "camera-to-world-opengl"
PERSPECTIVE = ("", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
FISHEYE = ("OPENCV_FISHEYE", "FISHEYE_OPENCV")
"""The second is REIM-NeRF's name of the same lens."""
UNREAD = ("distmap_path", "rgb_mask", "distmap", "normal_file_path", "semantic_path", "timestamp", "fps")
"""Entries that tell of depth, masks or time in forms that are not read: stamps come in units of many kinds."""
# fmt: off
READ = (
    "fl_x", "fl_y", "fx", "fy", "cx", "cy", "w", "h", "k1", "k2", "k3", "k4", "p1", "p2", "camera_model",
    "is_fisheye", "camera_angle_x", "camera_angle_y", "file_path", "mask_path", "depth_file_path", "transform_matrix",
    "time", "applied_scale", "depth_unit_scale_factor", "scene_scale",
)
# fmt: on
"""Entries that are read."""
OTHERS = (
    "ply_file_path",
    "lidar_file_path",
    "camera_angle",
    "applied_transform",
    "aabb_scale",
    "camera_id",
    "colmap_im_id",
)
"""Entries of the format that look like those, and are others."""
SAME_FOCAL = 0.05
"""Relative difference of two focal lengths that are still called one: a lens that bends has other angles."""
METRES = 1000.0
"""Millimetres per unit of the poses, when there is depth: nerfstudio then takes them for metres."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    return f"no {FILES[0]}" if _file(path) is None else None


@dataclass(frozen=True)
class _Frame:
    """One entry of frames, with what the file says for all of them."""

    image: Path
    mask: Path | None
    depth: Path | None
    matrix: NDArray[np.float64]
    values: dict[str, Any]


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames in order of and at their `time` (`frame_seconds`), where all have one, and otherwise of their names.

    Facts from nerfstudio's documentation (docs.nerf.studio/quickstart/data_conventions.html): `transform_matrix` is
    camera-to-world with OpenGL's camera axes; `fl_x`, `fl_y`, `cx`, `cy`, `w`, `h`, `camera_model` and the distortion
    stand at the top or in each frame, pixel centres at +0.5; `camera_angle_x` in place of `fl_x` is Instant NGP's.
    Masks are black where nothing is to be learned: there instruments are. With `depth_file_path` poses are metres and
    become millimetres, and depth is in millimetres unless --depth-unit-mm, or the file's depth_unit_scale_factor in
    metres, says otherwise; without depth lengths are
    relative. Distorted cameras are undistorted, as long as all frames share one. Raises InputError for entries that
    are missing or not what they should be, camera models that are not read, and files that are not there.

    Where frames are divided into transforms_train.json, _val and _test, as NeRF's synthetic scenes are, all of them are
    read. REIM-NeRF's (RViMLab, Psychogyios and others 2023, doi:10.1007/978-3-031-43996-4_51) say fx and fy in place
    of fl_x and fl_y, and `scene_scale`, by which millimetres were multiplied.
    """
    file = _file(path)
    assert file is not None
    notes: list[str] = []
    frames = _frames(file)
    if file.name == FILES[2]:
        parts = [path / name for name in PARTS if (path / name).is_file()]
        frames = _in_order([frame for one in (file, *parts) for frame in _frames(one)])
        notes.append(f"the frames of {', '.join(one.name for one in (file, *parts))} are read as one clip.")
    scene_scale = _number(frames[0].values, "scene_scale", file, 0.0)
    seconds = frame_seconds([frame.values.get("time") for frame in frames], options.fps, notes)
    kept = Selection(options).indices(seconds.tolist(), path)
    frames = [frames[i] for i in kept]
    images = [frame.image for frame in frames]
    width, height = image_size(images[0])
    check_sizes(images, width, height, images[0])

    cameras = [_camera(frame, width, height, file) for frame in frames]
    lenses = [lens for _, lens in cameras if lens is not None]
    if lenses and (len(lenses) < len(frames) or any(_differs(lens, lenses[0]) for lens in lenses)):
        raise InputError(f"{file}: frames with different distortions: undistort the images first.")
    K = np.stack([K for K, _ in cameras])
    if not lenses:
        set_focal_length(K, options.focal)

    value = 0 if options.mask_instrument_value is None else options.mask_instrument_value
    mask_paths = [frame.mask for frame in frames if frame.mask is not None]
    depth_paths = [frame.depth for frame in frames if frame.depth is not None]
    for name, found in (("mask_path", mask_paths), ("depth_file_path", depth_paths)):
        if found and len(found) != len(frames):
            raise InputError(f"{file}: {len(found)} of {len(frames)} frames have a {name}: all or none must have one.")
    masks = mask_files(mask_paths, (width, height), value, notes, named=options.mask_values) if mask_paths else None
    depths, quantized = (
        depth_files(depth_paths, (width, height), notes, options.depth_is) if depth_paths else (None, False)
    )
    factor = _number(frames[0].values, "depth_unit_scale_factor", file, 1 / METRES)
    if factor <= 0:
        raise InputError(f"{file}: depth_unit_scale_factor is {factor:g} but must be positive: correct it.")
    unit = options.depth_unit_mm or METRES * factor
    matrices = np.stack([frame.matrix for frame in frames])
    if scene_scale > 0:
        matrices[:, :3, 3] /= scene_scale
        notes.append(
            f"lengths over scene_scale ({scene_scale:.4g}) are taken for millimetres, as REIM-NeRF writes them."
        )
    elif depths is not None:
        matrices[:, :3, 3] *= METRES
        if options.depth_unit_mm is None:
            stated = "millimetres" if "depth_unit_scale_factor" not in frames[0].values else f"steps of {unit:.4g} mm"
            notes.append(f"depth: taken for {stated} and poses for metres, as nerfstudio does.")
    notes += [*_misspelt(frames[0].values, file), *_two_focals(frames[0].values, width, file)]
    named = sorted(name for name in UNREAD if name in frames[0].values)
    if named:
        notes.append(f"not used of {file.name}: {', '.join(named)}.")
    recording = Recording(
        source=path,
        kind=KIND,
        width=width,
        height=height,
        times=seconds[kept],
        K=K,
        world_to_camera=world_to_camera(matrices, CONVENTION),
        images=image_files(images, notes),
        masks=without_transparent(images, masks, notes, keep_outside=False)[0],
        mask_instrument_value=value,
        depths=depths,
        depth_unit=unit,
        depth_is_quantized=quantized,
        units="mm" if depths is not None or scene_scale > 0 else "relative",
        pose_unit_mm=1 / scene_scale if scene_scale > 0 else METRES if depths is not None else None,
        file_poses=matrices,
        file_pose_convention=CONVENTION,
        notes=notes,
    )
    return undistort(recording, lenses[0], options) if lenses else recording


def _misspelt(values: dict[str, Any], file: Path) -> list[str]:
    """A sentence for entries that are nearly those that are read; the format has many that change nothing here."""
    return not_understood(nearly_known(values, READ, (*UNREAD, *OTHERS)), READ, file.name)


def _two_focals(values: dict[str, Any], width: int, file: Path) -> list[str]:
    """A sentence when fl_x and camera_angle_x, of which fl_x is read, say different things."""
    focal = _focal({name: value for name, value in values.items() if name != "camera_angle_x"}, "x", 0.0, file)
    size = _number(values, "w", file, width)
    if focal is None or "camera_angle_x" not in values:
        return []
    angle = _number(values, "camera_angle_x", file, 0.0)
    other = size / 2 / np.tan(angle / 2) if 0 < angle < np.pi else np.inf
    if abs(other / focal - 1) < SAME_FOCAL:
        return []
    return [
        f"{file.name}: fl_x {focal:.1f} and camera_angle_x {angle:.4g}, which is {other:.1f} pixels, disagree; fl_x is "
        "used: is it of another picture size?"
    ]


def _file(path: Path) -> Path | None:
    """The file with the frames, None when there is none."""
    return next((path / name for name in FILES if (path / name).is_file()), None)


def _in_order(frames: list[_Frame]) -> list[_Frame]:
    """Frames in the natural order of their images' names; one that stands in two files counts once."""
    once = {frame.image: frame for frame in frames}
    return sorted(once.values(), key=lambda frame: [natural_key(Path(part)) for part in frame.image.parts])


def _frames(file: Path) -> list[_Frame]:
    """The frames of the file in order, their paths resolved."""
    found = read_json(file)
    entries = found.get("frames") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{file}: holds no list of frames: copy it again.")
    shared = {name: value for name, value in found.items() if name != "frames"}
    scale = _number(shared, "applied_scale", file, 1.0)
    if scale <= 0:
        raise InputError(f"{file}: applied_scale is {scale:g} but must be positive: correct it.")
    frames, lost = [], []
    for number, entry in enumerate(entries):
        if not isinstance(entry.get("file_path"), str):
            raise InputError(f"{file}: frame {number} has no file_path: add it.")
        image = _image(resolved(file.parent, entry["file_path"]))
        if image is None:
            lost.append(entry["file_path"])
            continue
        named = [entry[name] if isinstance(entry.get(name), str) else None for name in ("mask_path", "depth_file_path")]
        mask, depth = (None if name is None else resolved(file.parent, name) for name in named)
        lost += [name for name, one in zip(named, (mask, depth), strict=True) if one is not None and not is_file(one)]
        matrix = _matrix(entry, number, file)
        matrix[:3, 3] /= scale
        frames.append(_Frame(image, mask, depth, matrix, {**shared, **entry}))
    if lost:
        raise InputError(f"{file}: {len(lost)} of its files are missing ({lost[0][:200]}): copy them beside it.")
    times = [_number(entry, "time", file, 0.0) for entry in entries if entry.get("time") is not None]
    if len(set(times)) == len(entries):
        return [frames[i] for i in np.argsort(np.array(times, np.float64))]
    return _in_order(frames)


def _image(path: Path) -> Path | None:
    """The image at `path`, whose suffix may be left out; None when there is none."""
    if is_file(path):
        return path
    return next((other for suffix in IMAGE_SUFFIXES if is_file(other := path.parent / (path.name + suffix))), None)


def _matrix(entry: dict[str, Any], number: int, file: Path) -> NDArray[np.float64]:
    if "transform_matrix" not in entry:
        there = plain(", ".join(map(str, list(entry)[:6])))
        raise InputError(f"{file}: frame {number} has no transform_matrix, but {there}: give it that name.")
    matrix = json_numbers(entry.get("transform_matrix")).copy()
    if matrix.shape == (3, 4):
        matrix = np.concatenate([matrix, [[0, 0, 0, 1]]])
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(f"{file}: transform_matrix of frame {number} must hold 4 x 4 finite numbers: correct it.")
    rotation = matrix[:3, :3]
    skewed = np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(rotation) < 0
    if skewed or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InputError(
            f"{file}: transform_matrix of frame {number} is no rigid motion (is it transposed?): correct it."
        )
    return matrix


def _camera(frame: _Frame, width: int, height: int, file: Path) -> tuple[NDArray[np.float64], Lens | None]:
    """K (3, 3) and the lens, None without distortion, of a frame in pixels of its image."""
    values = frame.values
    stated = [_number(values, name, file, size) for name, size in (("w", width), ("h", height))]
    scale = np.array([width, height]) / stated
    if abs(scale[0] / scale[1] - 1) > 0.01:
        raise InputError(
            f"{file}: w and h are {stated[0]:g} x {stated[1]:g} but {frame.image.name} is {width} x {height}, of "
            "another aspect: correct them."
        )
    fx = _focal(values, "x", stated[0], file)
    if fx is None:
        raise InputError(f"{file}: neither fl_x nor camera_angle_x says what the focal length is: add one.")
    fy = _focal(values, "y", stated[1], file) or fx
    cx, cy = (_number(values, name, file, size / 2) for name, size in zip(("cx", "cy"), stated, strict=True))
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]) * [[scale[0]], [scale[1]], [1]]
    k1, k2, k3, k4, p1, p2 = (_number(values, name, file, 0.0) for name in ("k1", "k2", "k3", "k4", "p1", "p2"))
    model = str(values.get("camera_model", ""))
    if values.get("is_fisheye") is True and model not in FISHEYE:  # Instant NGP's word for the same lens
        model = FISHEYE[0]
    if model in FISHEYE:
        return K, KannalaBrandt(K, (k1, k2, k3, k4))
    if model not in PERSPECTIVE:
        known = ", ".join((*PERSPECTIVE[1:], *FISHEYE))
        raise InputError(f"{file}: camera_model {model} is not one of {known}: undistort the images first.")
    if k4:
        raise InputError(f"{file}: k4 is {k4:g}, which a perspective camera has not: is camera_model OPENCV_FISHEYE?")
    return K, Brown(K, (k1, k2, p1, p2, k3)) if any((k1, k2, k3, p1, p2)) else None


def _focal(values: dict[str, Any], axis: str, size: float, file: Path) -> float | None:
    name = next((name for name in (f"fl_{axis}", f"f{axis}") if name in values), None)
    if name is None and f"camera_angle_{axis}" not in values:
        return None
    if name is not None:
        focal = _number(values, name, file, 0.0)
    else:
        focal = size / 2 / np.tan(_number(values, f"camera_angle_{axis}", file, 0.0) / 2 or np.nan)
    angle = values.get(f"camera_angle_{axis}")
    if name is None and isinstance(angle, int | float) and angle > np.pi:
        raise InputError(
            f"{file}: camera_angle_{axis} is {angle:g} but must be radians, below 3.1416: {np.radians(angle):.4f} if "
            "it is degrees."
        )
    if not focal > 0:
        raise InputError(f"{file}: fl_{axis} or camera_angle_{axis} must be positive: correct it.")
    return float(focal)


def _number(values: dict[str, Any], name: str, file: Path, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise InputError(f"{file}: {name} is {value!r} but must be a number: correct it.")
    return float(value)


def _differs(one: Lens, other: Lens) -> bool:
    rays = np.array([[0.0, 0, 1], [0.3, 0.1, 1], [-0.2, 0.4, 1]])
    return type(one) is not type(other) or not np.array_equal(one.project(rays), other.project(rays), equal_nan=True)
