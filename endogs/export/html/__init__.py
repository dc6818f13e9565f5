"""The shareable player: a scene and everything that shows it, in one HTML file."""

from dataclasses import dataclass
from pathlib import Path

from endogs.output import new_file
from endogs.scene import Scene

MOST_NUMBERS = 8_000_000
"""Control points that a page may hold: 256 MB of the viewer's graphics memory."""


@dataclass(frozen=True)
class ExportedPage:
    """What was written."""

    path: Path
    """The page."""
    size: int
    """Its bytes."""
    gaussians: int
    """Gaussians in it."""
    original_gaussians: int
    """Gaussians in the scene."""
    seconds: float
    """How long it plays."""
    fidelity: float
    """PSNR in dB of the page's Gaussians against the scene's, over frames of the clip, before any decimation's loss."""
    converted: str | None = None
    """What the page has a spline in the place of: a kind of deformation, or segments; or "light", where colours that
    depend on the camera became the Gaussians' own."""
    conversion: float = float("inf")
    """PSNR in dB of what the page has against the scene's own pictures, over the same frames, of segments over their
    seams too and with any decimation's loss; `fidelity` comes on top."""
    advice: str | None = None
    """Where the clip is long for a page: what it lost, and how much of it would lose little."""


def export_html(
    scene: Scene,
    path: Path,
    title: str,
    max_gaussians: int,
    start: float | None = None,
    end: float | None = None,
    megabytes: float | None = None,
) -> ExportedPage:
    """Writes the page that plays a scene, for any browser with WebGL 2, with no server and no network.

    It shows the clip's frames from `start` to `end`, seconds; by default all. Colours that depend on the camera or the
    light are those that the clip's cameras saw, at an even exposure. A scene of more than `max_gaussians`, of too many
    control points for a graphics card, or of more than so many `megabytes` (10^6 bytes) is reduced to those that
    contribute most to the clip's images; the page says so. A deformation that is no spline becomes one that passes
    through its frames, and segments become one that is fitted to what they show. Raises InputError for a scene that
    holds nothing to see, for a range that holds no frames, where too little of the pictures would be left, and for a
    path that cannot be written.
    """
    from endogs.export.html.chain_part import only_segment
    from endogs.export.html.draft import draft, within_size
    from endogs.export.html.part_of_time import frames_between, part_of_time
    from endogs.export.html.showable import Showable, WholeScene
    from endogs.export.html.showable_chain import ShowableChain
    from endogs.scene.chain import SceneChain

    frames = frames_between(scene, start, end)
    made: Showable
    if isinstance(scene, SceneChain):
        alone = only_segment(scene, frames)
        made = ShowableChain(scene, frames) if alone is None else WholeScene(alone)
    else:
        made = WholeScene(scene if len(frames) == len(scene.times) else part_of_time(scene, frames))
    most = max(1, min(max_gaussians, MOST_NUMBERS // made.knots))
    advice = made.advice(most, MOST_NUMBERS)
    page = draft(made, title, most) if megabytes is None else within_size(made, title, most, megabytes)
    with new_file(path) as partial:
        partial.write_bytes(page.data)
    seconds = float(scene.times[frames[-1]] - scene.times[frames[0]])
    about = (path, len(page.data), len(page.scene), made.original, seconds, page.fidelity)
    if made.became is None:
        return ExportedPage(*about, advice=advice)
    return ExportedPage(*about, made.became, made.conversion(page.scene), advice)
