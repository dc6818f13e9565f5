"""Floor 6: how good a scene is, beside what needs no scene at all.

The names are loaded when first used, so that `endogs.evaluate.config` can be imported without torch.
"""

from typing import TYPE_CHECKING

from endogs.late_names import late_names

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

__getattr__ = late_names(
    __name__,
    {
        "Evaluate": "endogs.evaluate.config",
        "Metrics": "endogs.evaluate.evaluate",
        "evaluate_scene": "endogs.evaluate.evaluate",
        "run_evaluate": "endogs.evaluate.evaluate_command",
        "write_metrics": "endogs.evaluate.evaluate",
    },
)
