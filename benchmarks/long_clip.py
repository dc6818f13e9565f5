"""Memory, time and disk of a long clip's fit by segment, and what its seams cost.

    python benchmarks/long_clip.py CLIP OUT [reconstruct's options ...]

Runs `endogs reconstruct CLIP --out OUT` with the options, looks at its memory every second, and prints a table of the
segments: processor seconds for each of its new frames, the largest resident size while it was fitted, the size of its
file; then the PSNR of held-out frames in the overlaps beside that of the others, and the jitter of tracks in both.
With --only-measure the scene in OUT is measured and nothing is fitted.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from endogs.export.tracks import export_tracks
from endogs.scene.chain import SceneChain
from endogs.scene.scene_file import load_scene, segment_file

LOOK_SECONDS = 1.0
TRACKS = 300
CLOCK_TICKS = 100


class Watched:
    """A process's resident size and processor seconds, by the segment that it says it is at."""

    def __init__(self, command: list[str]) -> None:
        self.peaks: dict[int, float] = {}
        self.spent: dict[int, float] = {}
        self.segment = 0
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        assert self.process.stderr is not None
        for line in self.process.stderr:
            sys.stderr.write(line)
            if line.startswith("segment "):
                self.segment = int(line.split()[1])
            else:
                self.spent[self.segment] = self._processor_seconds()
        self.status = self.process.wait()

    def _processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def _look(self) -> None:
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            try:
                sizes = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except (OSError, ValueError):
                return
            resident = float(sizes.get("VmRSS", "0").split()[0]) / 1e6
            self.peaks[self.segment] = max(self.peaks.get(self.segment, 0.0), resident)
            time.sleep(LOOK_SECONDS)


def print_segments(chain: SceneChain, watched: Watched, out: Path) -> None:
    """A row a segment."""
    print("| segment | frames | processor seconds a new frame | GB resident, at most | MB on disk |")
    print("|---|---|---|---|---|")
    for k, segment in enumerate(chain.segments, 1):
        new = segment.last - (chain.segments[k - 2].last if k > 1 else -1)
        seconds = watched.spent.get(k, 0.0) - watched.spent.get(k - 1, 0.0)
        size = segment_file(out, k - 1).stat().st_size / 1e6
        peak = watched.peaks.get(k, float("nan"))
        print(f"| {k} | {segment.first} to {segment.last} | {seconds / new:.2f} | {peak:.2f} | {size:.0f} |")


def print_seams(chain: SceneChain, out: Path) -> None:
    """Held-out frames and tracks in the overlaps beside all others."""
    in_overlap = np.zeros(len(chain.times), bool)
    for before, after in pairwise(chain.segments):
        in_overlap[after.first : before.last + 1] = True
    rows = json.loads((out / "metrics.json").read_text())["per_frame"]
    psnr = {row["frame"]: row["psnr"] for row in rows if row["psnr"] is not None}
    frames = np.array(sorted(psnr))
    values = np.array([psnr[frame] for frame in frames])
    neighbours = [
        value - np.mean(values[[k - 1, k + 1]])
        for k, value in enumerate(values)
        if in_overlap[frames[k]] and 0 < k < len(values) - 1
    ]
    print()
    print("| | in overlaps | elsewhere |\n|---|---|---|")
    seam, others = values[in_overlap[frames]], values[~in_overlap[frames]]
    print(f"| PSNR of held-out frames, dB | {seam.mean():.2f} | {others.mean():.2f} |")
    print(f"| to the held-out frames before and after, dB: mean, worst | {np.mean(neighbours):+.2f}, ", end="")
    print(f"{np.min(neighbours):+.2f} | |")
    jitter = track_jitter(chain)
    for name, share in (("median", 0.5), ("95 %", 0.95)):
        found = [
            np.quantile(jitter[:, mask][np.isfinite(jitter[:, mask])], share) for mask in (in_overlap, ~in_overlap)
        ]
        print(f"| jitter of tracks, pixels, {name} | {found[0]:.3f} | {found[1]:.3f} |")


def track_jitter(chain: SceneChain) -> np.ndarray:
    """(P, F) by how many pixels a visible track misses the middle of the frames before and after; NaN unknown."""
    with tempfile.TemporaryDirectory() as folder:
        export_tracks(chain, Path(folder) / "tracks.npz", count=TRACKS)
        held = np.load(Path(folder) / "tracks.npz")
        positions, visible = held["positions"].astype(float), held["visible"]
    seen = (
        np.einsum("fij,fpj->fpi", chain.world_to_camera[:, :3, :3], positions) + chain.world_to_camera[:, None, :3, 3]
    )
    pixels = seen[..., :2] / seen[..., 2:] * chain.K[:, None, [0, 1], [0, 1]]
    jitter = np.full(visible.shape, np.nan)
    bend = np.linalg.norm(pixels[1:-1] - (pixels[2:] + pixels[:-2]) / 2, axis=-1)
    jitter[1:-1] = np.where(visible[1:-1] & visible[2:] & visible[:-2], bend, np.nan)
    return jitter.T


def main() -> None:
    """Fit and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only-measure", action="store_true")
    options, further = parser.parse_known_args()
    if not options.only_measure:
        command = [sys.executable, "-m", "endogs", "reconstruct", str(options.clip), "--out", str(options.out)]
        watched = Watched([*command, *further])
        if watched.status:
            sys.exit(watched.status)
    chain = load_scene(options.out)
    if not isinstance(chain, SceneChain):
        sys.exit(f"{options.out}: the clip was fitted in one piece")
    if not options.only_measure:
        print_segments(chain, watched, options.out)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file()) / 1e6
    minutes = (chain.times[-1] - chain.times[0]) / 60
    print(f"\n{size:.0f} MB for {minutes:.2f} minutes of video, {len(chain.times)} frames.")
    print_seams(chain, options.out)


if __name__ == "__main__":
    main()
