"""Floor 6: how good a scene is, beside what needs no scene at all; previews and renders to look at.

The names are loaded when first used, so that `endogs.evaluate.config` can be imported without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from endogs.evaluate.config import Evaluate, RenderScene
    from endogs.evaluate.evaluate import Metrics, evaluate_scene, write_metrics
    from endogs.evaluate.evaluate_command import run_evaluate
    from endogs.evaluate.preview import write_preview
    from endogs.evaluate.render_command import run_render

__all__ = [
    "Evaluate",
    "Metrics",
    "RenderScene",
    "evaluate_scene",
    "run_evaluate",
    "run_render",
    "write_metrics",
    "write_preview",
]

_HOMES = {
    "Evaluate": "config",
    "Metrics": "evaluate",
    "RenderScene": "config",
    "evaluate_scene": "evaluate",
    "run_evaluate": "evaluate_command",
    "run_render": "render_command",
    "write_metrics": "evaluate",
    "write_preview": "preview",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"endogs.evaluate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'endogs.evaluate' has no attribute {name!r}")
