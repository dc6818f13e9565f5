"""A scene under another light than that of its clip."""

from dataclasses import replace
from pathlib import Path

from endogs.errors import InputError
from endogs.scene.appearance import Light
from endogs.scene.chain import SceneChain
from endogs.scene.scene import Scene


def relit(scene: Scene, light: Light, source: Path) -> Scene:
    """The scene, read from `source`, lit by `light`, evenly exposed.

    Raises InputError for a scene whose colours know no light.
    """
    if isinstance(scene, SceneChain):
        relit(scene.segment(0), light, source)
        return scene.mapped(lambda segment: relit(segment, light, source))
    colors = scene.appearance.lit
    if colors is None:
        raise InputError(f"{source}: the scene's colours know no light; fit it with --colors lit")
    return replace(scene, appearance=replace(scene.appearance.steady, colors=colors.relit(light)))
