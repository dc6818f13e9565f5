"""How far apart two results may lie that add the same numbers in another order.

No BLAS promises the same bits for other shapes, other machines or another number of threads: the order of a sum is its
own choice. What endogs promises itself (the same seed, a resumed fit, its own kernels) is compared bit by bit instead.
"""

import numpy as np
import torch
from torch import Tensor


def assert_equal_sums(found: Tensor | np.ndarray, expected: Tensor | np.ndarray, terms: int) -> None:
    """That two arrays of floats of one type differ by no more than the order of `terms` additions explains.

    A sum of n numbers x is off by at most n u sum |x|, in whichever order (N. J. Higham, "Accuracy and Stability of
    Numerical Algorithms", 2002, equation 4.4), where u is half the type's epsilon; two such sums differ by twice that.
    The largest entry stands for sum |x|: for the tensors of these tests it is within a factor of two of it.
    """
    found, expected = (torch.as_tensor(array) for array in (found, expected))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    bound = 2 * terms * torch.finfo(found.dtype).eps * float(expected.abs().max())
    assert float((found - expected).abs().max()) <= bound
