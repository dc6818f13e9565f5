"""What the pose matrices in files may mean, and how they become `world_to_camera` with OpenCV's axes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from endogs.clip.config import ClipOptions
from endogs.clip.recording import Recording
from endogs.errors import InputError
from endogs.geometry import invert_rigid, rotation_from_quaternion

Array = NDArray[np.float64]

SHORT = {axes: f"camera-to-world-{axes}" for axes in ("opencv", "opengl", "llff")}
"""Names without a direction."""
AXES = {
    "opencv": np.eye(4),
    "opengl": np.diag([1.0, -1.0, -1.0, 1.0]),
    "llff": np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]),
    "unity": np.diag([1.0, -1.0, 1.0, 1.0]),
    "ros": np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]),
    "ned": np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    "pytorch3d": np.diag([-1.0, -1.0, 1.0, 1.0]),
}
"""(4, 4) from OpenCV's camera axes (right, down, forward) to the file's: right, up, backward; down, right, backward;
right, up, forward, which is left-handed, as is its world; forward, left, up (ROS's REP 103, a robot's body); forward,
right, down (aircraft, TartanAir); and left, up, forward."""
VARIANTS = ("", "-transposed", "-wxyz", "-transposed-negated")
"""What may be wrong besides: rows and columns of the rotation exchanged, w in front where a quaternion should end with
it, and an inverse of which only the rotation is one, [R^T | -t]."""
CONVENTIONS = tuple(
    f"{direction}-{axes}{variant}"
    for variant in VARIANTS
    for axes in AXES
    for direction in ("camera-to-world", "world-to-camera")
)
"""Every convention, the plainest first."""


def full_name(convention: str) -> str:
    """The convention with its direction."""
    return SHORT.get(convention, convention)


def world_to_camera(matrices: Array, convention: str) -> Array:
    """`world_to_camera` (F, 4, 4), OpenCV axes, of rigid matrices (F, 4, 4) that mean what `convention` says."""
    matrices = np.array(matrices, np.float64)
    name, variant = _parts(full_name(convention))
    if "transposed" in variant:
        matrices[:, :3, :3] = matrices[:, :3, :3].swapaxes(1, 2)
    if "negated" in variant:
        matrices[:, :3, 3] *= -1
    if "wxyz" in variant:  # what was read as x y z w is w x y z
        matrices[:, :3, :3] = rotation_from_quaternion(_xyzw(matrices[:, :3, :3]))
    axes = AXES[name.rsplit("-", 1)[1]]
    camera_to_world = invert_rigid(matrices) if name.startswith("world-to-camera") else matrices
    camera_to_world = camera_to_world @ axes
    if np.linalg.det(axes[:3, :3]) < 0:  # a mirrored camera needs a mirrored world to be a rotation again
        camera_to_world = axes @ camera_to_world
    return invert_rigid(camera_to_world)


def candidates(recording: Recording) -> list[str]:
    """The conventions that the files of `recording` may have, the plainest first: wxyz only where there are
    quaternions."""
    return [name for name in CONVENTIONS if recording.poses_are_quaternions or not name.endswith("-wxyz")]


def _parts(convention: str) -> tuple[str, str]:
    """The direction with the axes, and the variant."""
    name = "-".join(convention.split("-")[:4])
    return name, convention.removeprefix(name)


def _xyzw(rotations: Array) -> Array:
    """Unit quaternions (N, 4), w last, of rotations (N, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(rotations).as_quat(), np.float64)


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
    if wanted not in candidates(recording):
        raise InputError(
            f"{recording.source}: --pose-convention {wanted} is for poses with quaternions, and those of this "
            f"{recording.kind} are matrices: leave out -wxyz."
        )
    if np.ptp(recording.world_to_camera, axis=0).max() < 1e-9:
        note = "--pose-convention changes nothing: the camera stands still."
        return replace(recording, notes=[*recording.notes, note])
    poses = read_as(recording, wanted)
    return replace(recording, world_to_camera=poses, file_poses=matrices, file_pose_convention=wanted)


def with_pose_unit(recording: Recording, options: ClipOptions) -> Recording:
    """The recording with its poses in millimetres, when `options.pose_unit_mm` says what those in the files count in.

    Where nothing said what lengths are, depth whose unit is not given either is taken to count in the same.
    """
    unit = options.pose_unit_mm
    if unit is None:
        return recording
    if np.ptp(recording.world_to_camera, axis=0).max() < 1e-9:
        note = "--pose-unit-mm changes nothing: the camera stands still."
        return replace(recording, notes=[*recording.notes, note])
    factor = unit / (recording.pose_unit_mm or 1.0)
    poses, in_file = recording.world_to_camera.copy(), poses_in_file(recording)[0].copy()
    poses[:, :3, 3] *= factor
    in_file[:, :3, 3] *= factor
    depth_follows = recording.units == "relative" and options.depth_unit_mm is None
    return replace(
        recording,
        world_to_camera=poses,
        file_poses=in_file,
        file_pose_convention=poses_in_file(recording)[1],
        pose_unit_mm=unit,
        depth_unit=recording.depth_unit * (factor if depth_follows else 1.0),
        units="mm",
    )
