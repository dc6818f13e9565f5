"""What the pose matrices in files may mean, and how they become `world_to_camera` with OpenCV's axes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.recording import Recording
from endogs.geometry import invert_rigid

Array = NDArray[np.float64]

SHORT = {axes: f"camera-to-world-{axes}" for axes in ("opencv", "opengl", "llff")}
"""Names without a direction."""
AXES = {
    "opencv": np.eye(4),
    "opengl": np.diag([1.0, -1.0, -1.0, 1.0]),
    "llff": np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]),
    "unity": np.diag([1.0, -1.0, 1.0, 1.0]),
}
"""(4, 4) from OpenCV's camera axes (right, down, forward) to the file's: right, up, backward; down, right, backward;
and right, up, forward, which is left-handed, as is its world."""
CONVENTIONS = tuple(
    f"{direction}-{axes}{transposed}"
    for transposed in ("", "-transposed")
    for axes in AXES
    for direction in ("camera-to-world", "world-to-camera")
)
"""Every convention, the plainest first; "transposed" says that rows and columns of the rotation are exchanged."""


def full_name(convention: str) -> str:
    """The convention with its direction."""
    return SHORT.get(convention, convention)


def world_to_camera(matrices: Array, convention: str) -> Array:
    """`world_to_camera` (F, 4, 4), OpenCV axes, of rigid matrices (F, 4, 4) that mean what `convention` says."""
    matrices = np.array(matrices, np.float64)
    convention = full_name(convention)
    if convention.endswith("-transposed"):
        matrices[:, :3, :3] = matrices[:, :3, :3].swapaxes(1, 2)
        convention = convention.removesuffix("-transposed")
    axes = AXES[convention.rsplit("-", 1)[1]]
    camera_to_world = invert_rigid(matrices) if convention.startswith("world-to-camera") else matrices
    camera_to_world = camera_to_world @ axes
    if np.linalg.det(axes[:3, :3]) < 0:  # a mirrored camera needs a mirrored world to be a rotation again
        camera_to_world = axes @ camera_to_world
    return invert_rigid(camera_to_world)


def poses_in_file(recording: Recording) -> tuple[Array, str]:
    """The pose matrices (F, 4, 4) as the file holds them and the convention by which they were read."""
    if recording.file_poses is not None:
        return recording.file_poses, full_name(recording.file_pose_convention)
    camera = (
        recording.world_to_camera
        if recording.turn is None
        else invert_rigid(recording.turn) @ recording.world_to_camera
    )
    return invert_rigid(camera), "camera-to-world-opencv"


def read_as(recording: Recording, convention: str) -> Array:
    """`world_to_camera` (F, 4, 4) of the recording's frames if its files' poses meant what `convention` says."""
    poses = world_to_camera(poses_in_file(recording)[0], convention)
    return poses if recording.turn is None else recording.turn @ poses


def with_pose_convention(recording: Recording, options: ClipOptions) -> Recording:
    """The recording with its poses read by `options.pose_convention`, unless that is left to the layout."""
    if options.pose_convention == "auto":
        return recording
    matrices, convention = poses_in_file(recording)
    wanted = full_name(options.pose_convention)
    if wanted == convention:
        return recording
    if np.ptp(recording.world_to_camera, axis=0).max() < 1e-9:
        note = "--pose-convention changes nothing: the camera stands still."
        return replace(recording, notes=[*recording.notes, note])
    poses = read_as(recording, wanted)
    return replace(recording, world_to_camera=poses, file_poses=matrices, file_pose_convention=wanted)
