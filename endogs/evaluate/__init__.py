"""Floor 6: how good a scene is, beside what needs no scene at all.

The names are loaded when first used, so that `endogs.evaluate.config` can be imported without torch.
"""

from typing import TYPE_CHECKING

from endogs.late_names import late_names

if TYPE_CHECKING:
    from endogs.evaluate.compare_poses_command import run_compare_poses
    from endogs.evaluate.config import ComparePoses, Evaluate
    from endogs.evaluate.evaluate import Metrics, evaluate_scene, write_metrics
    from endogs.evaluate.evaluate_command import run_evaluate

__all__ = [
    "ComparePoses",
    "Evaluate",
    "Metrics",
    "evaluate_scene",
    "run_compare_poses",
    "run_evaluate",
    "write_metrics",
]

__getattr__ = late_names(
    __name__,
    {
        "ComparePoses": "endogs.evaluate.config",
        "Evaluate": "endogs.evaluate.config",
        "Metrics": "endogs.evaluate.evaluate",
        "evaluate_scene": "endogs.evaluate.evaluate",
        "run_compare_poses": "endogs.evaluate.compare_poses_command",
        "run_evaluate": "endogs.evaluate.evaluate_command",
        "write_metrics": "endogs.evaluate.evaluate",
    },
)
