"""SimCol3D, rendered colonoscopies: FrameBuffer_NNNN.png and Depth_NNNN.png in Frames_S1/, poses and cam.txt above it.

Rau and others 2023, "SimCol3D: 3D reconstruction during colonoscopy challenge", doi:10.1016/j.media.2024.103195; data
doi.org/10.5522/04/24077763. Facts from its tools, github.com/anitarau/simcol (data_helpers/visualize_3D_data.py):

- SavedPosition_S1.txt and SavedRotationQuaternion_S1.txt hold a row per frame, x y z in cm and the quaternion x y z w
  of the camera in the world, both in Unity's left-handed axes.
- Depth is 16-bit along the camera's axis: 20 cm are 255 x 256.
- cam.txt holds K, row by row. Its principal point is the middle of the image where pixel centres are at +0.5.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from endogs.clip.cameras.focal_lengths import set_focal_length
from endogs.clip.cameras.pose_conventions import world_to_camera
from endogs.clip.cameras.trajectory_files import frame_number, rows_of_frames
from endogs.clip.config import ClipOptions
from endogs.clip.files.frame_folders import read_frame_files
from endogs.clip.files.image_files import list_images
from endogs.clip.files.number_files import read_matrix, read_table
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import rigid, rotation_from_quaternion

KIND = "simcol"
LANDMARKS: tuple[str, ...] = ("SavedPosition*.txt", "FrameBuffer_*.png")
CENTIMETRE = 10.0
"""Millimetres."""
DEPTH_UNIT_MM = 20 * CENTIMETRE / (255 * 256)
CONVENTION = "camera-to-world-unity"


def why_not(path: Path, options: ClipOptions) -> str | None:
    """Why `path` has not this layout, None when it has."""
    if not path.is_dir():
        return "not a folder"
    frames = _sequences(path)
    if not frames:
        return "no FrameBuffer_NNNN.png, in the folder or in its Frames_*/"
    if len(frames) > 1:
        return f"several sequences: give one, such as {frames[0]}"
    return None if _beside(frames[0], "SavedPosition").is_file() else f"no {_beside(frames[0], 'SavedPosition').name}"


def read(path: Path, options: ClipOptions) -> Recording:
    """The frames with depth where it is there, and the poses of the folder above; mm.

    Raises InputError for files that are missing or hold something else.
    """
    folder = _sequences(path)[0]
    images = list_images(folder, (".png",))
    colours = [file for file in images if file.name.startswith("FrameBuffer_")]
    depths = [file for file in images if file.name.startswith("Depth_")]
    positions = read_table(_beside(folder, "SavedPosition"), 3)
    turned_file = _beside(folder, "SavedRotationQuaternion")
    quaternions = read_table(turned_file, 4)
    if len(quaternions) != len(positions) or (np.abs(np.linalg.norm(quaternions, axis=1) - 1) > 0.05).any():
        raise InputError(
            f"{turned_file}: must hold a unit quaternion for each of the {len(positions)} rows of "
            f"{_beside(folder, 'SavedPosition').name}: copy it again."
        )
    notes: list[str] = []
    rows = rows_of_frames(len(positions), None, colours, None, _beside(folder, "SavedPosition"), notes)
    numbers = {frame_number(image) for image in colours}
    depths = [file for file in depths if frame_number(file) in numbers]
    usable = None if (rows >= 0).all() else rows >= 0
    frames = read_frame_files(path, colours, options, fps=None, depths=depths, usable=usable)
    kept = rows[frames.kept]
    matrices = rigid(rotation_from_quaternion(quaternions[kept][:, [3, 0, 1, 2]]), CENTIMETRE * positions[kept])
    K = read_matrix(folder.parent / "cam.txt", ((3, 3),))
    if not (min(K[0, 0], K[1, 1]) > 0 and 0 < K[0, 2] < frames.width and 0 < K[1, 2] < frames.height):
        raise InputError(
            f"{folder.parent / 'cam.txt'}: is no camera of images of {frames.width} x {frames.height}: take the "
            "calibration of these images."
        )
    set_focal_length(K, options.focal)
    return replace(
        frames.recording(path, KIND, K, world_to_camera(matrices, CONVENTION)),
        depth_unit=options.depth_unit_mm or DEPTH_UNIT_MM,
        units="mm",
        file_poses=matrices,
        file_pose_convention=CONVENTION,
        poses_are_quaternions=True,
        pose_unit_mm=CENTIMETRE,
        notes=[*frames.notes, *notes],
    )


def _sequences(path: Path) -> list[Path]:
    """The folder itself when it holds frames, or those inside that do."""
    if any(path.glob("FrameBuffer_*.png")):
        return [path.resolve()]
    return sorted(folder for folder in path.glob("Frames_*") if any(folder.glob("FrameBuffer_*.png")))


def _beside(folder: Path, name: str) -> Path:
    """The file above a sequence's folder that has its name, such as SavedPosition_S1.txt for Frames_S1."""
    return folder.parent / f"{name}_{folder.name.removeprefix('Frames_')}.txt"
