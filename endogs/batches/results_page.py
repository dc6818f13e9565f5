"""results.html: the whole table in one file, which asks nothing of the network and takes no text for markup.

Its script and style are named by their hashes in a content security policy, so that nothing else can run in it,
whatever clips and errors are called.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

from endogs.batches.compare import NOT_MEASURES
from endogs.plain_text import plain

FOLDER = Path(__file__).parent / "page"
_PLACE = re.compile(r"{{(\w+)}}")
SHOWN = (
    "name",
    "input",
    "state",
    "error",
    "frames",
    "width",
    "height",
    "gaussians",
    "iterations",
    "seconds",
    "memory_mb",
    "cores",
    "device",
    "worker",
    "attempts",
    "resumed",
    "started",
    "seed",
    "label",
    "steps_psnr",
    "frames_psnr",
    "versions",
)
"""What the page has of each clip's record, beside its picture, measures and options."""
LONGEST_TEXT = 600


def page_of(content: dict[str, Any]) -> str:
    """The page of a results.json's content; its links are relative to the batch's folder."""
    style, script = ((FOLDER / name).read_text("utf-8") for name in ("table.css", "table.js"))
    title = f"endogs batch: {plain(content['batch']['list'], 200)}"
    places = {
        "title": html.escape(title),
        "policy": f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
        "style": style,
        "script": script,
        "results": _harmless(json.dumps(_shown(content, title), separators=(",", ":"), allow_nan=False)),
    }
    return _PLACE.sub(lambda place: places[place[1]], (FOLDER / "table.html").read_text("utf-8"))


def _shown(content: dict[str, Any], title: str) -> dict[str, Any]:
    """What the page's script reads."""
    columns = list(dict.fromkeys(name for clip in content["clips"] for name in clip["measures"]))
    clips = []
    for clip in content["clips"]:
        row = {name: _text(clip[name]) for name in SHOWN} | {"thumbnail": clip["thumbnail"]}
        row["measures"] = [clip["measures"].get(name) for name in columns]
        row["options"] = _options(clip["options"])
        clips.append(row)
    batch = content["batch"] | {"options": _options(content["batch"]["options"])}
    shown = {"title": title, "batch": batch, "counts": content["counts"], "measures": content["measures"]}
    shown |= {"columns": columns, "clips": clips}
    if "comparison" in content:
        shown["comparison"] = _comparison(content["comparison"])
    return shown


def _comparison(found: dict[str, Any]) -> dict[str, Any]:
    """A comparison without its values clip by clip, which comparison.csv has."""
    kept = ("measure", "mean", "standard_error", "better")
    rows = [
        {name: one[name] for name in kept}
        | {"frames": len(one["frames"]), "counted": one["measure"] not in NOT_MEASURES}
        for one in found["differences"]
    ]
    return {"other": plain(found["other"]), "clips": found["clips"], "differences": rows}


def _options(options: dict[str, Any]) -> str:
    return plain(" ".join(f"{name}={value}" for name, value in options.items()), LONGEST_TEXT)


def _text(value: Any) -> Any:
    return plain(value, LONGEST_TEXT) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """JSON in which nothing can end the element that it stands in (HTML, 13.2.5.4 and 13.2.5.15)."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(text: str) -> str:
    """How a content security policy names an inline script or style (CSP Level 3, 6.7.2.4)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
