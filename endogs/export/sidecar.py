"""JSON files that say what the files beside them cannot say themselves."""

import json
from pathlib import Path
from typing import Any

from endogs.output import new_file


def json_text(content: dict[str, Any]) -> str:
    """`content`, JSON's own types, as readable JSON."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `json_text`. Raises InputError when the place is not writable."""
    with new_file(path) as partial:
        partial.write_text(json_text(content))
