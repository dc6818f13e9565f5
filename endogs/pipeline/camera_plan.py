"""A clip's cameras as `--camera` asks for them, and the plan of a fit with them."""

from dataclasses import replace

from endogs.clip import Clip
from endogs.pipeline.camera_search import FoundCameras, find_cameras, unfit_pair
from endogs.pipeline.plan import Plan, resolve
from endogs.pipeline.pose_prior import read_pose_prior
from endogs.pipeline.prepared_fit import say
from endogs.tracking.tracker import DepthSource


def with_cameras(clip: Clip, plan: Plan) -> tuple[Clip, Plan, FoundCameras]:
    """The clip with the cameras that `--camera` asks for, and the plan for it.

    Raises InputError as `read_pose_prior`, `find_cameras` and `resolve` do.
    """
    prior = read_pose_prior(plan.options.prior, clip)
    # A fit that measures depth with right views, as if there were no depth files, finds its camera so too.
    depth: DepthSource | None = "stereo" if plan.options.depth == "stereo" and clip.has_right else None
    if depth == "stereo" and unfit_pair(clip) is not None:
        depth = "none"  # the depth prior will refuse such a pair, and say why
    # Smoke and darkness never change the tracker's map, no more than frames that are held out.
    held_out = sorted({*plan.split.unseen, *clip.tissueless})
    found = find_cameras(clip, plan.options.camera, held_out, prior, depth)
    say(found.notes)
    known = set(plan.notes)
    if found.clip is not clip:
        plan = resolve(plan.options, found.clip)
        say([note for note in plan.notes if note not in known])
    return found.clip, replace(plan, cameras=found.source), found
