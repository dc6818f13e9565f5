"""SCARED as its tools prepare it: rectified views, disparity and reprojection matrices beside frame_data/.

`data/` holds left_finalpass/ and perhaps right_finalpass/ (frame_data000000.png ...), frame_data/ and
reprojection_data/ (the same names in JSON) and perhaps disparity/ (float TIFF, pixels of the rectified left view, 0 =
unknown), as https://github.com/EikoLoki/MICCAI_challenge_preprocess writes and EndoSurf
(https://github.com/Ruyi-Zha/endosurf) and its successors read them. The rectified camera is that of the reprojection
matrix Q of cv2.stereoRectify: [X Y Z W] = Q [column row disparity 1], so f = Q[2, 3], the principal point is
-Q[:2, 3] with pixel centres at integers, and Z = Q[2, 3] / (Q[3, 2] disparity + Q[3, 3]).

Poses are those of the camera before rectification, and are turned with it here; EndoSurf leaves that out. Disparity is
taken for the rectified view's, as its name says; the first of these tools computes it from points that it does not
turn, which displaces it by the rectifying rotation, a fraction of a degree. `endogs.clip.layouts.scared_video` reads
the original."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endogs.clip.cameras.baselines import check_baseline
from endogs.clip.cameras.lenses import HALF_PIXEL
from endogs.clip.cameras.scared_calibration import read_frame_data, rectifying_rotation
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import FrameFolders, read_frame_files
from endogs.clip.files.image_files import list_images
from endogs.clip.files.number_files import LARGEST, entry, read_json
from endogs.clip.files.pairing import pair_with_images
from endogs.clip.recording import FrameReader, Recording
from endogs.errors import InputError

KIND = "scared"
LANDMARKS: tuple[str, ...] = ("data/left_finalpass", "left_finalpass", "data/reprojection_data")

Array = NDArray[np.float64]


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    data = data_folder(path)
    if not list_images(data / "left_finalpass"):
        return "no images in data/left_finalpass/"
    missing = [name for name in ("frame_data", "reprojection_data") if not list_images(data / name, (".json",))]
    return f"no JSON files in {' and '.join(f'data/{name}/' for name in missing)}" if missing else None


def data_folder(path: Path) -> Path:
    """The folder data/ of a keyframe, or the folder itself when that is what was named."""
    return path / "data" if (path / "data").is_dir() else path


def read(path: Path, options: ClipOptions) -> Recording:
    """The rectified left views with depth from disparity, moving cameras and, where there are any, right views; mm."""
    data = data_folder(path)
    images = list_images(data / "left_finalpass")
    frames = read_frame_files(
        path,
        images,
        options,
        fps=None,
        depths=list_images(data / "disparity", (".tiff", ".tif", ".png")),
        right_images=list_images(data / "right_finalpass"),
    )
    notes = list(frames.notes)
    described = _described(data / "frame_data", images, frames.kept, notes)
    matrices = _described(data / "reprojection_data", images, frames.kept, notes)
    Q = np.stack([read_reprojection(file) for file in matrices])
    size = (frames.width, frames.height)

    in_files, turns = [], []
    turned = 0
    for file, matrix in zip(described, Q, strict=True):
        frame = read_frame_data(file)
        rotation = rectifying_rotation(frame, matrix, size)
        turned += rotation is not None
        in_files.append(frame.world_to_camera)
        turns.append(np.eye(4))
        if rotation is not None:
            turns[-1][:3, :3] = rotation
    if turned < len(described):
        notes.append(
            f"poses: the calibration in frame_data/ does not lead to the camera in reprojection_data/ for "
            f"{len(described) - turned} frames, whose poses are taken as they are, not turned by the rectification."
        )

    K = np.zeros((len(Q), 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = Q[:, 2, 3] if options.focal is None else options.focal
    K[:, :2, 2] = -Q[:, :2, 3]
    K[:, 2, 2] = 1
    K += HALF_PIXEL
    baselines = 1 / Q[:, 3, 2]
    right, baseline = _right_views(frames, Q, baselines, matrices[0], notes)
    depths: FrameReader | None = None if frames.depths is None else DisparityDepths(frames.depths, Q)
    if frames.depths is None:
        notes.append("disparity/ holds no files, so depth is not given.")
    return replace(
        frames.recording(path, KIND, K, np.stack(turns) @ np.stack(in_files)),
        depths=depths,
        depth_unit=options.depth_unit_mm or 1.0,
        units="mm",
        pose_unit_mm=1.0,
        right_images=right,
        baseline=baseline,
        file_poses=np.stack(in_files),
        file_pose_convention="world-to-camera-opencv",
        turn=np.stack(turns),
        notes=notes,
    )


class DisparityDepths:
    """Depth from disparity, when read."""

    def __init__(self, disparities: FrameReader, Q: Array) -> None:
        """`Q` (F, 4, 4) are the frames' reprojection matrices."""
        self.disparities, self.Q = disparities, Q

    def read(self, index: int) -> NDArray[Any]:
        """float32 (H, W) z-depth in the units of Q, 0 = unknown."""
        disparity = self.disparities.read(index).astype(np.float64)
        Q = self.Q[index]
        known = np.isfinite(disparity) & (disparity > 0)
        w = Q[3, 2] * np.where(known, disparity, 1) + Q[3, 3]
        depth = np.where(known & (w > 0), Q[2, 3] / np.where(w > 0, w, 1), 0)
        return np.where(depth <= LARGEST, depth, 0).astype(np.float32)


def read_reprojection(path: Path) -> Array:
    """Q (4, 4) of a file of reprojection_data/; InputError when it is no reprojection matrix of a right camera."""
    Q = entry(read_json(path), "reprojection-matrix", (4, 4), path)
    if not (Q[2, 3] > 0 and Q[3, 2] > 0 and Q[2, 3] <= LARGEST * min(1.0, Q[3, 2])):
        raise InputError(
            f"{path}: reprojection-matrix has focal length {Q[2, 3]:g} and inverse baseline {Q[3, 2]:g}, which must "
            "both be positive and of usual size: write it again as cv2.stereoRectify returns it."
        )
    return Q


def _described(folder: Path, images: list[Path], kept: list[int], notes: list[str]) -> list[Path]:
    """The JSON files of the chosen images; InputError when their numbers do not match."""
    paired = pair_with_images(images, list_images(folder, (".json",)), notes)
    return [paired[i] for i in kept]


def _right_views(
    frames: FrameFolders, Q: Array, baselines: Array, path: Path, notes: list[str]
) -> tuple[FrameReader | None, float | None]:
    """Right views and the distance to them, none with a note when they cannot be used."""
    if frames.right_images is None:
        return None, None
    if np.abs(Q[:, 3, 3]).max() > 1e-9:
        notes.append(
            f"{len(frames.kept)} right views are not used: their principal point is another "
            "(cv2.CALIB_ZERO_DISPARITY was not set)."
        )
        return None, None
    if np.ptp(baselines) > 0.01 * baselines.mean():
        notes.append(
            f"{len(frames.kept)} right views are not used: the distance between the cameras differs from frame to "
            "frame."
        )
        return None, None
    check_baseline(float(baselines.mean()), path)
    return frames.right_images, float(baselines.mean())
