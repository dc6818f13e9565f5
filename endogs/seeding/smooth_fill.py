"""Holes in a grid of measurements, filled by the surface that bends least."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

TENSION = 0.02
"""Weight of the squared slope beside that of the squared bending, per cell of the grid: keeps the surface from swinging
where a hole reaches the border, and from overshooting in wide holes."""


def fill_smoothly(values: NDArray[np.floating], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values (h, w, C) with the cells outside `known` (h, w) replaced; all zero where nothing is known.

    Minimizes, over the unknown cells, the sum of squared second differences (xx, yy and twice xy) plus TENSION times
    the squared first ones: a thin plate under tension (W. Smith, P. Wessel, "Gridding with continuous curvature splines
    in tension", 1990) with free borders. What is known stays as it is.
    """
    values = np.where(known[..., None], values, 0).astype(np.float32)
    if known.all() or not known.any():
        return values
    from scipy.sparse.linalg import splu

    energy = _energy(*known.shape)
    inside = known.ravel()
    unknown = np.flatnonzero(~inside)
    rows = energy[unknown]
    flat = values.reshape(inside.size, -1).astype(np.float64)
    right = -(rows[:, np.flatnonzero(inside)] @ flat[inside])
    flat[unknown] = splu(rows[:, unknown].tocsc(), permc_spec="MMD_AT_PLUS_A").solve(right)
    return flat.reshape(values.shape).astype(np.float32)


@lru_cache(maxsize=4)
def _energy(height: int, width: int) -> Any:
    """Half the Hessian (h w, h w) of the bending and stretching energy of a grid."""
    from scipy.sparse import csr_matrix, diags, identity, kron, vstack

    def difference(count: int, order: int) -> Any:
        stencil = {1: (-1.0, 1.0), 2: (1.0, -2.0, 1.0)}[order]
        if count <= order:
            return csr_matrix((0, count))
        return diags(stencil, range(order + 1), shape=(count - order, count))  # type: ignore[arg-type]

    one_x, one_y = identity(width), identity(height)
    bend = [
        kron(one_y, difference(width, 2)),
        kron(difference(height, 2), one_x),
        np.sqrt(2.0) * kron(difference(height, 1), difference(width, 1)),
    ]
    stretch = [kron(one_y, difference(width, 1)), kron(difference(height, 1), one_x)]
    operator = vstack(bend + [np.sqrt(TENSION) * part for part in stretch]).tocsr()
    return (operator.T @ operator + 1e-9 * identity(height * width)).tocsr()
