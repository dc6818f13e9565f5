"""The shareable player: a scene and everything that shows it, in one HTML file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from endogs.errors import InputError
from endogs.output import new_file
from endogs.scene import Scene

FIDELITY = 56.0
"""PSNR of the coded scene against the scene itself, dB, that the export aims at: it costs a scene of 38 dB 0.07 dB."""
FINEST = 0.2
"""The smallest factor by which all steps shrink to get there."""
CHECKED_FRAMES = 5
"""Frames on which the fidelity is measured."""
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
    fidelity: float
    """PSNR in dB of the page's Gaussians against the scene's, over frames of the clip, before any decimation's loss."""
    converted: str | None = None
    """The scene's kind of deformation, where the page has a spline in its place."""
    conversion: float = float("inf")
    """PSNR in dB of that spline against the scene's deformation, over the same frames; `fidelity` comes on top."""


def export_html(scene: Scene, path: Path, title: str, max_gaussians: int) -> ExportedPage:
    """Writes the page that plays a scene, for any browser with WebGL 2, with no server and no network.

    Colours that depend on the camera or the light are those that the clip's cameras saw, at an even exposure.
    A scene of more than `max_gaussians`, or too many control points for a graphics card, is reduced to those that
    contribute most to the clip's images; the page says so. A deformation that is no spline becomes one that passes
    through its frames. Raises InputError for a scene that holds nothing to see, and for a path that cannot be written.
    """
    from endogs.export.html.importance import contributions, decimated, ever_visible
    from endogs.export.html.overview import overview
    from endogs.export.html.page import assemble
    from endogs.export.html.payload import pack_scene, unpack_scene
    from endogs.scene.appearance.bake import baked
    from endogs.scene.deformation.as_spline import scene_as_spline

    scene = baked(scene)
    visible = ever_visible(scene)
    if not bool(visible.any()):
        raise InputError(f"{scene.called}: holds no Gaussian that can be seen; fit it again.")
    original = len(scene)
    scene = scene.select(visible)
    fitted, scene = scene, scene_as_spline(scene)
    weights = contributions(scene)
    knots = 1 if scene.deformation.spline_knots is None else scene.deformation.spline_knots.count
    reduced, weights = decimated(scene, weights, max(1, min(max_gaussians, MOST_NUMBERS // knots)))
    about = {"title": title, "original_count": original, **overview(scene)}
    if len(reduced) < len(scene):
        about["note"] = (
            f"The {len(reduced):,} Gaussians that contribute most of {original:,} are shown; images are softer than "
            "the scene's."
        )
    trial = _fidelity(reduced, unpack_scene(pack_scene(reduced, weights, about, level=1))[0])
    fineness = float(np.clip(10 ** ((trial - FIDELITY) / 20), FINEST, 1.0))
    payload = pack_scene(reduced, weights, about, fineness)
    fidelity = _fidelity(reduced, unpack_scene(payload)[0])
    page = assemble(title, payload).encode("utf-8")
    with new_file(path) as partial:
        partial.write_bytes(page)
    if fitted is scene:
        return ExportedPage(path, len(page), len(reduced), original, fidelity)
    kind, cost = fitted.deformation.kind, _fidelity(fitted, scene)
    return ExportedPage(path, len(page), len(reduced), original, fidelity, kind, cost)


def _fidelity(scene: Scene, coded: Scene) -> float:
    from endogs.render.backends import rasterize_packed

    errors = []
    for frame in np.unique(np.linspace(0, len(scene.times) - 1, CHECKED_FRAMES).round().astype(int)):
        time, camera = float(scene.times[frame]), scene.camera(int(frame))
        ours = rasterize_packed(scene.packed_at(time), camera).color
        theirs = rasterize_packed(coded.packed_at(time).to(ours.device), camera).color
        errors.append(float(((ours - theirs) ** 2).mean()))
    return float(-10 * np.log10(max(float(np.mean(errors)), 1e-10)))
