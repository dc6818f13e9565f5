"""Random fields over the tissue: smooth noise and cell patterns, the same at every resolution."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth_noise(
    rng: np.random.Generator, extent: tuple[float, float], shape: tuple[int, int], wavelength: float, octaves: int = 1
) -> Field:
    """Value noise (shape) over a rectangle of `extent` (width, height) mm: mean about 0, deviation about 1.

    Each octave halves the wavelength (mm) and the amplitude. A random lattice, turned by a random angle so that its
    axes do not show, is interpolated with cubics; the lattice does not depend on `shape`, so neither does the field.
    """
    total = np.zeros(shape, np.float32)
    power = 0.0
    diagonal = float(np.hypot(*extent))
    for octave in range(octaves):
        spacing = 0.5 * wavelength / 2**octave
        cells = int(np.ceil(diagonal / spacing)) + 4
        lattice = rng.standard_normal((cells, cells)).astype(np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle) / spacing, np.sin(angle) / spacing
        pitch_x, pitch_y = extent[0] / shape[1], extent[1] / shape[0]
        # Maps output pixels (x, y) to lattice coordinates; the middle of the rectangle meets that of the lattice.
        matrix = np.array([[cos * pitch_x, -sin * pitch_y, 0.0], [sin * pitch_x, cos * pitch_y, 0.0]])
        matrix[:, 2] = cells / 2 - matrix[:, :2] @ (np.array([shape[1], shape[0]]) / 2 - 0.5)
        amplitude = 0.5**octave
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        field = cv2.warpAffine(lattice, matrix, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_WRAP)
        total += np.float32(amplitude) * field
        power += amplitude**2
    # Cubic interpolation of unit white noise loses about a third of its deviation.
    return total / np.float32(0.67 * np.sqrt(power))


def cells(
    rng: np.random.Generator, extent: tuple[float, float], shape: tuple[int, int], size: float
) -> tuple[Field, Field]:
    """A pattern of rounded lobules about `size` mm wide over a rectangle of `extent` (width, height) mm.

    Returns two fields (shape): the bulge, 0 in the furrows to 1 in the middle of a lobule; and a value in [0, 1) that
    is constant within a lobule.
    """
    from scipy.spatial import cKDTree

    count = int(extent[0] * extent[1] / size**2) + 4
    seeds = rng.uniform((0, 0), extent, (count, 2))
    tint = rng.random(count).astype(np.float32)
    # Evaluated on a coarse raster of its own, fine enough for a furrow, then enlarged.
    pitch = size / 6
    coarse = int(np.ceil(extent[1] / pitch)), int(np.ceil(extent[0] / pitch))
    y, x = np.mgrid[: coarse[0], : coarse[1]]
    points = np.stack([(x + 0.5) * extent[0] / coarse[1], (y + 0.5) * extent[1] / coarse[0]], -1)
    distance, nearest = cKDTree(seeds).query(points, k=2)
    bulge = np.clip((distance[..., 1] - distance[..., 0]) / (0.6 * size), 0, 1)
    bulge = np.sqrt(1 - (1 - bulge) ** 2).astype(np.float32)
    size_cv = (shape[1], shape[0])
    enlarged = cv2.resize(cv2.GaussianBlur(bulge, (0, 0), 0.8), size_cv, interpolation=cv2.INTER_LINEAR)
    return enlarged, cv2.resize(tint[nearest[..., 0]], size_cv, interpolation=cv2.INTER_LINEAR)


def closed_noise(
    rng: np.random.Generator, extent: tuple[float, float], shape: tuple[int, int], wavelength: float, octaves: int = 1
) -> Field:
    """`smooth_noise` whose last column is followed by its first, for tubes.

    A wider field's surplus is laid over its beginning, with weights that keep the deviation.
    """
    overlap = max(1, min(shape[1] // 2, round(2 * wavelength * shape[1] / extent[0])))
    width = shape[1] + overlap
    wide = smooth_noise(rng, (extent[0] * width / shape[1], extent[1]), (shape[0], width), wavelength, octaves)
    field = wide[:, : shape[1]].copy()
    share = np.sqrt(np.linspace(0, 1, overlap, endpoint=False, dtype=np.float32))
    field[:, :overlap] = share * field[:, :overlap] + np.sqrt(1 - share**2) * wide[:, shape[1] :]
    return field
