"""All numbers of the tracker: one set for every clip."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackingConfig:
    """Lengths in pixels are those of the looking view."""

    longest: int = 400
    """Frames are halved until the longer side of what shows tissue is at most this."""
    corners: int = 600
    """Corners that are followed at once."""
    apart: float = 6.0
    """Pixels between corners."""
    quality: float = 0.01
    """Weakest corner, as a share of the strongest."""
    window: int = 15
    """Side of the patches that are followed."""
    levels: int = 3
    """Pyramid levels above the finest one."""
    returns: float = 0.7
    """Pixels within which a point followed there and back must come back."""
    patch: int = 13
    """Side of the patches that are compared with the keyframe's."""
    correlation: float = 0.7
    """Least normalized correlation with the keyframe's patch."""
    rim: int = 6
    """Pixels by which the tissue mask is eroded."""
    highlight: float = 0.96
    """Luma from which a pixel is a highlight."""
    highlight_rim: int = 5
    """Pixels by which highlights are dilated."""
    dark: float = 0.05
    """Luma below which a pixel is dark."""
    unusable: float = 0.6
    """Share of dark or saturated pixels beyond which a frame says nothing."""
    blurred: float = 0.45
    """Sharpness, as a share of the last frames' median, below which a frame makes no keyframe."""

    veiled: float = 0.6
    """The same for its colour."""
    inliers: int = 40
    """Points that must agree on a pose."""
    fewest: int = 20
    """The same where nearly all agree."""
    clear_share: float = 0.75
    """Share of the points followed that is nearly all."""
    inlier_share: float = 0.4
    """Share of the points followed that must agree on a pose."""
    coverage: float = 0.2
    """Share of the cells of the usable picture that must hold such points."""
    noise: float = 0.35
    """Pixels that following a corner errs at least."""
    gate: float = 4.0
    """Pixels beyond which a point never counts as agreeing."""
    deviation: float = 0.1
    """Standard deviation of a frame's place, by the median depth, beyond which its pose is not known."""

    parallax: float = 0.04
    """Motion since the last keyframe, by the median depth, for another one."""
    turn: float = 8.0
    """Degrees since the last keyframe for another one."""
    covered: float = 0.88
    """Share of the last keyframe's covered cells below which there is another one."""
    live: float = 0.7
    """Share of the last keyframe's points that are still followed, below which there is another one."""
    steady: float = 0.01
    """Motion since the last keyframe, by the median depth, below which points that go missing are no reason for another
    one: what hides them so fast is smoke or an instrument."""
    steady_turn: float = 2.0
    """The same in degrees."""
    steady_wait: int = 12
    """Frames for which that holds."""
    longest_wait: int = 45
    """Frames after which there is another keyframe."""
    adjustment: int = 5
    """Iterations of bundle adjustment at each keyframe; 0 leaves poses and points as they are."""
    final_adjustment: int = 8
    """The same at the end, when all keyframes are adjusted together."""
    adjusted: int = 8
    """Newest keyframes that bundle adjustment moves."""
    held: int = 6
    """Older keyframes that see the same points and hold them in place."""
    triangulated: float = 0.8
    """Degrees between rays from which on a point is placed."""
    start_points: int = 50
    """Points that a start from one eye must place."""
    start_parallax: float = 0.008
    """Motion of points that turning does not explain, by the picture's width, from which a start is tried."""
    start_window: int = 8
    """Frames that a start is made from."""
    start_wait: int = 90
    """Frames after which a start that does not succeed begins anew."""

    damping: float = 0.9
    """Of the velocity, for each frame that is predicted."""
    new_map: int = 45
    """Lost frames after which another map is begun."""
    prior_deforming: float = 0.15
    """Probability that a point deforms before anything is known."""
    evidence: float = 0.2
    """Most that a frame adds to or takes from the logarithm of the odds of deforming; 0 lets all points count alike."""
    forgotten: float = 60.0
    """Frames after which evidence of deforming has faded."""

    disparity_noise: float = 0.3
    """Pixels that stereo matching errs."""
    depth_noise: float = 0.01
    """Share of a given depth by which it errs."""
