"""A tracked camera's path as a picture: from two sides, and over time how many points agree and where it was lost."""

import numpy as np
from numpy.typing import NDArray

from endogs.evaluate.line_chart import Line, line_chart
from endogs.tracking.rigid_motion import centre
from endogs.tracking.trajectory import Trajectory

WIDTH, MAP_HEIGHT, STATE_HEIGHT = 1120, 460, 280
"""Pixels: the two maps stand beside each other, the states below both."""
MOST_POINTS = 4000
"""Points of a line; more than there are pixels show no more."""


def track_picture(trajectory: Trajectory) -> NDArray[np.uint8]:
    """An RGB picture of the largest map's path, as `placed` poses see it, and of each frame's points that agree."""
    centres = centre(trajectory.world_to_camera)
    keyframes = np.array([one.keyframe for one in trajectory.frames], bool) & trajectory.found
    every = max(1, -(-len(centres) // MOST_POINTS))
    unit = "mm" if trajectory.units == "mm" else "units"
    maps = []
    for up, name in ((1, "y"), (2, "z")):
        path = Line("path", centres[::every, 0].tolist(), centres[::every, up].tolist())
        start = centres[trajectory.found][:1]
        begin = Line("start", start[:, 0].tolist(), start[:, up].tolist())
        title = f"camera path: {name} (up) over x, {unit}; {int(keyframes.sum())} keyframes"
        maps.append(line_chart([path, begin], title, f"x, {unit}", (WIDTH // 2, MAP_HEIGHT), equal=True))
    times = trajectory.times[::every].tolist()
    found = trajectory.found[::every]
    agree = np.array([one.inliers for one in trajectory.frames], np.float64)[::every]
    lines = [
        Line("points that agree", times, np.where(found, agree, np.nan).tolist()),
        Line("no pose", times, np.where(found, np.nan, 0.0).tolist()),
    ]
    below = line_chart(lines, "points that agree with the pose", "seconds", (WIDTH, STATE_HEIGHT))
    return np.concatenate([np.concatenate(maps, 1), below], 0)
