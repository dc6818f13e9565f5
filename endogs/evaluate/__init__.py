"""Floor 6: how good a scene is, beside what needs no scene at all.

The names are loaded when first used, so that `endogs.evaluate.config` can be imported without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endogs.evaluate.config import Evaluate
    from endogs.evaluate.evaluate import Metrics, evaluate_scene, write_metrics
    from endogs.evaluate.evaluate_command import run_evaluate

__all__ = [
    "Evaluate",
    "Metrics",
    "evaluate_scene",
    "run_evaluate",
    "write_metrics",
]

_HOMES = {
    "Evaluate": "config",
    "Metrics": "evaluate",
    "evaluate_scene": "evaluate",
    "run_evaluate": "evaluate_command",
    "write_metrics": "evaluate",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"endogs.evaluate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'endogs.evaluate' has no attribute {name!r}")
