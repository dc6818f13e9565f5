"""Synthetic endoscopic clips with exact truth: depth, instruments, poses, tracks and light."""

from pathlib import Path

from endogs.phantom.config import Phantom
from endogs.plain_text import plain

__all__ = ["Phantom", "run"]


def run(config: Phantom) -> Path:
    """`endogs phantom`: makes the clip, showing progress; returns its folder.

    Raises InputError as `endogs.phantom.writer.write_phantom` does.
    """
    from rich.console import Console
    from rich.progress import Progress

    from endogs.phantom.writer import write_phantom

    console = Console()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("rendering the phantom", total=config.frames)
        folder = write_phantom(
            config,
            lambda done, total: bar.update(task, completed=done),
            lambda sentence: print(plain(sentence), flush=True),
        )
    size = f"{config.frames} frames of {config.width}x{config.height}"
    camera = "moving" if config.camera_moves else "still"
    truth = folder / "truth"
    anatomy = "" if config.anatomy == "abdomen" else f", {config.anatomy}"
    print(f"{plain(folder)}: {size}{anatomy}, {config.view}, {camera} camera, truth in {plain(truth)}")
    return folder
