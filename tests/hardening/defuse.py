"""Opens what standard input lists, within ROOM bytes beyond what the program itself takes, and tells how each ended.

Input: JSON [[reader, path], ...]. Output: a JSON line [name of the exception or "read", its text] for each.
"""

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from endogs.bounded_arrays import read_npz
from endogs.clip import load_clip
from endogs.evaluate.tum_file import read_tum
from endogs.phantom.visibility import PhantomTruth
from endogs.pipeline.recipe import load_recipe
from endogs.priors.depth.learned_input import read_preprocessing
from endogs.priors.depth.model_licence import read_licence

ROOM = 700 << 20


def look(path: Path) -> None:
    clip = load_clip(path)
    for i in (0, len(clip) - 1):
        clip.image(i), clip.tissue_mask(i), clip.depth(i)


READERS: dict[str, Callable[[Path], object]] = {
    "clip": look,
    "recipe": load_recipe,
    "tracks": lambda path: read_npz(path, ("positions", "visible")),
    "trajectory": read_tum,
    "phantom": PhantomTruth.read,
    "preprocessing": read_preprocessing,
    "licence": read_licence,
}


def main() -> None:
    cases = json.load(sys.stdin)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
    for reader, path in cases:
        ending = ["read", ""]
        try:
            READERS[reader](Path(path))
        except Exception as error:
            ending = [type(error).__name__, str(error)]
        print(json.dumps(ending), flush=True)


if __name__ == "__main__":
    main()
