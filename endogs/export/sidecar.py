"""JSON files that say what the files beside them cannot say themselves."""

import json
from pathlib import Path
from typing import Any

from endogs.output import new_file


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content`, JSON's own types, as readable JSON. Raises InputError when the place is not writable."""
    with new_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
