"""The Hamlyn videos as rectified for Endo-Depth-and-Motion: image01/, image02/, depth01/, depth02/, intrinsics.txt.

Recasens et al. 2021, https://github.com/UZ-SLAMLab/Endo-Depth-and-Motion: rectified left (01) and right (02) views,
depth as uint16 PNG in mm, 0 = unknown, saturated at 300 mm. intrinsics.txt is a 3 x 3 or 3 x 4 matrix with pixel
centres at integers, extrinsics.txt a 3 x 4 or 4 x 4 one whose upper right number is the distance between the cameras
in mm. Its tracking data has color/ and depth/ instead. There are no poses: the cameras stand still in the sequences
that are reconstructed. rectified01.zip unpacks to rectified01/rectified01/, which is found.
"""

from dataclasses import replace
from pathlib import Path

from endogs.clip.cameras.baselines import check_baseline
from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.guessed_camera import still_poses
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.clip.config import ClipOptions
from endogs.clip.files.depth_files import DEPTH_SUFFIXES, SaturatedDepths
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.image_files import list_images
from endogs.clip.files.number_files import read_matrix
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

KIND = "hamlyn"
LANDMARKS: tuple[str, ...] = ("intrinsics.txt", "*/intrinsics.txt")

SATURATED_MM = 300.0
"""Depth files hold this where the depth is this or more."""


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    root = _root(path)
    if not (root / "intrinsics.txt").is_file():
        return "no intrinsics.txt"
    if any(list_images(root / name) for name in ("image01", "color")):
        return None
    return "no images in image01/ or color/"


def read(path: Path, options: ClipOptions) -> Recording:
    """The left views with depth and, where the distance between the cameras is known, right views; mm."""
    root = _root(path)
    left, depth = ("image01", "depth01") if list_images(root / "image01") else ("color", "depth")
    frames = read_frame_files(
        path,
        list_images(root / left),
        options,
        fps=None,
        depths=list_images(root / depth, DEPTH_SUFFIXES),
        right_images=list_images(root / "image02"),
    )
    notes = list(frames.notes)
    file = root / "intrinsics.txt"
    K = read_matrix(file, ((3, 3), (3, 4), (4, 4)))[:3, :3] + HALF_PIXEL
    if not (K[0, 0] > 0 and K[1, 1] > 0 and 0 < K[0, 2] < frames.width and 0 < K[1, 2] < frames.height):
        raise InputError(
            f"{file}: {K[0, 0]:g}, {K[1, 1]:g} and {K[0, 2]:g}, {K[1, 2]:g} are no focal lengths and principal point "
            f"of images of {frames.width} x {frames.height}: take the calibration of these images."
        )
    set_focal_length(K, options.focal)
    baseline = None
    if (root / "extrinsics.txt").is_file():
        baseline = abs(float(read_matrix(root / "extrinsics.txt", ((4, 4), (3, 4)))[0, 3]))
    if frames.right_images is not None and not baseline:
        notes.append(
            f"{len(frames.kept)} right views are not used: extrinsics.txt, which says how far apart the cameras are, "
            "is not there."
        )
    elif frames.right_images is not None and baseline:
        check_baseline(baseline, root / "extrinsics.txt")
    unit = options.depth_unit_mm or 1.0
    depths: FrameReader | None = None
    if frames.depths is not None:
        depths = SaturatedDepths(frames.depths, SATURATED_MM / unit)
    notes.append("there are no poses: the camera is taken to stand still.")
    return replace(
        frames.recording(path, KIND, K, still_poses(len(frames.kept))),
        poses_are_given=False,
        depths=depths,
        depth_unit=unit,
        units="mm",
        right_images=frames.right_images if baseline else None,
        baseline=baseline or None,
        notes=notes,
    )


def _root(path: Path) -> Path:
    """The sequence's folder, which may lie in one of the same name."""
    inner = path / path.resolve().name
    return inner if inner.is_dir() and not (path / "intrinsics.txt").is_file() else path
