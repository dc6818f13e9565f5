"""A pytest plugin that makes this machine behave like another one, for `make test-portable`.

`--other-sums SALT`: torch's products, sums and functions round differently for about every other shape, as they do
where a BLAS picks its kernel by the shape or a vector unit is narrower. They are computed in float64 and rounded; sums
that are exact in any order stay exact. The same shapes give the same bits, as in one process on one machine; another
SALT chooses other shapes.

`--instruction-set NAME`: endogs' own kernels use this set, if this machine has it.

Test files that start processes are left alone: what they compare with was made without this plugin.
"""

import zlib
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from endogs import native

ROUNDED = frozenset(
    [
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "mv",
        "addmv",
        "dot",
        "convolution",
        "convolution_backward",
        "sum",
        "mean",
        "prod",
        "var",
        "std",
        "cumsum",
        "logsumexp",
        "_softmax",
        "_log_softmax",
        "native_layer_norm",
        "linalg_vector_norm",
        "exp",
        "exp2",
        "log",
        "log2",
        "log1p",
        "expm1",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sigmoid",
        "softplus",
        "gelu",
        "silu",
        "atan2",
        "atan",
        "asin",
        "acos",
        "pow",
        "rsqrt",
        "grid_sampler_2d",
        "grid_sampler_2d_backward",
        "upsample_bilinear2d",
        "index_put",
        "index_add",
        "scatter_add",
        "sigmoid_backward",
        "tanh_backward",
        "addcmul",
        "addcdiv",
        "lerp",
        "avg_pool2d",
        "linalg_cholesky_ex",
        "_linalg_svd",
        "_linalg_eigh",
    ]
)
"""Operators whose last bits are the library's own choice."""


def _as_type(old: torch.dtype, new: torch.dtype, values: Any) -> Any:
    return tree_map(lambda x: x.to(new) if isinstance(x, torch.Tensor) and x.dtype == old else x, values)


class OtherSums(TorchDispatchMode):
    """While it is entered, float32 results of `ROUNDED` come from float64 for some shapes."""

    def __init__(self, salt: str) -> None:
        super().__init__()
        self.salt = salt

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        inputs = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        kinds = {x.dtype for x in inputs}
        if name.rstrip("_") not in ROUNDED or torch.float32 not in kinds or torch.float64 in kinds or "out" in kwargs:
            return func(*args, **kwargs)
        shapes = f"{self.salt} {name} {[(tuple(x.shape), x.stride()) for x in inputs]}"
        if kwargs.get("dtype") is not None or zlib.crc32(shapes.encode()) % 2:
            return func(*args, **kwargs)
        wide_args, wide_kwargs = _as_type(torch.float32, torch.float64, (args, kwargs))
        result = _as_type(torch.float64, torch.float32, func(*wide_args, **wide_kwargs))
        return args[0].copy_(result) if name.endswith("_") else result


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options above."""
    parser.addoption("--other-sums", metavar="SALT")
    parser.addoption("--instruction-set", metavar="NAME")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Runs a test, and the fixtures that it is the first to use, on the other machine."""
    salt, name = item.config.getoption("--other-sums"), item.config.getoption("--instruction-set")
    if hasattr(getattr(item, "module", None), "subprocess"):
        return (yield)
    own = native.instruction_set()
    if name in native.instruction_sets():
        native.use_instruction_set(name)
    try:
        if salt is None:
            return (yield)
        with OtherSums(salt):
            return (yield)
    finally:
        native.use_instruction_set(own)
