"""What is tried, by family, with each family's share of the cases."""

from attacker.case import Family
from attacker.families.bombs import bomb
from attacker.families.checkpoints import damaged_checkpoint
from attacker.families.clips import damaged_clip
from attacker.families.files import damaged_file
from attacker.families.folders import used_folder
from attacker.families.models import strange_model
from attacker.families.names import evil_name
from attacker.families.options import evil_options
from attacker.families.scenes import damaged_scene
from attacker.families.strange import strange_scene

FAMILIES: dict[str, tuple[Family, float]] = {
    "clips": (damaged_clip, 26),
    "scenes": (damaged_scene, 20),
    "strange": (strange_scene, 8),
    "checkpoints": (damaged_checkpoint, 7),
    "options": (evil_options, 14),
    "bombs": (bomb, 5),
    "names": (evil_name, 5),
    "files": (damaged_file, 9),
    "models": (strange_model, 3),
    "folders": (used_folder, 3),
}
