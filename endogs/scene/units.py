"""A scene's length unit in words, as every file that is made of it says it."""

from endogs.scene.scene import Scene


def units_phrase(scene: Scene) -> str:
    """The scene's length unit in words."""
    return "millimetres" if scene.units == "mm" else "relative (median depth of the first frame is 100)"
