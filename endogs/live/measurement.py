"""Distance and stretch between two points of the tissue over a clip."""

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from endogs.live.material import MaterialPoint, follow
from endogs.scene import Scene


@dataclass(frozen=True)
class Measurement:
    """Two points of the tissue followed through the clip."""

    times: NDArray[np.float64]
    """(F,) seconds."""
    first: NDArray[np.float64]
    """(F, 3) world units."""
    second: NDArray[np.float64]
    """(F, 3) world units."""
    units: str
    """"mm" or "relative"."""
    reference_time: float
    """Seconds; the stretch there is 1."""
    reference_distance: float
    """Straight distance at the reference time."""

    @property
    def distances(self) -> NDArray[np.float64]:
        """(F,) straight distances, world units."""
        return np.asarray(np.linalg.norm(self.first - self.second, axis=1))

    @property
    def stretch(self) -> NDArray[np.float64]:
        """(F,) distances over the one at the reference time; NaN where that is 0."""
        if self.reference_distance <= 0:
            return np.full(len(self.times), np.nan)
        return self.distances / self.reference_distance

    def distance_at(self, time: float) -> float:
        """Distance at `time`, interpolated linearly between the clip's frames."""
        return float(np.interp(time, self.times, self.distances))


def measure(scene: Scene, first: MaterialPoint, second: MaterialPoint, reference_time: float) -> Measurement:
    """Follows two points through the frames of the scene's clip."""
    times = np.append(scene.times, reference_time)
    a, b = follow(scene, first, times), follow(scene, second, times)
    reference = float(np.linalg.norm(a[-1] - b[-1]))
    return Measurement(scene.times, a[:-1], b[:-1], scene.units, reference_time, reference)


def measurement_csv(measurement: Measurement) -> str:
    """A table with a line per frame: frame, seconds, both points, distance and stretch; the header names the unit."""
    unit = "mm" if measurement.units == "mm" else "relative"
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    points = [f"{axis}{point}_{unit}" for point in (1, 2) for axis in "xyz"]
    table.writerow(
        ["frame", "time_s", *points, f"distance_{unit}", f"stretch_since_{measurement.reference_time:.4f}_s"]
    )
    rows = zip(
        measurement.times,
        measurement.first,
        measurement.second,
        measurement.distances,
        measurement.stretch,
        strict=True,
    )
    for frame, (time, a, b, distance, stretch) in enumerate(rows):
        table.writerow([frame, f"{time:.6f}", *(f"{v:.6f}" for v in (*a, *b, distance, stretch))])
    return out.getvalue()
