"""The fit: from a clip to a scene."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endogs.fit.pipeline import reconstruct, run

__all__ = ["reconstruct", "run"]


def __getattr__(name: str) -> Any:
    # Loaded when first used, so that the command line can read endogs.fit.config without torch.
    if name in __all__:
        from endogs.fit import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'endogs.fit' has no attribute {name!r}")
