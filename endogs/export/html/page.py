"""The player's sources put together into one page: scripts, shaders, style and the scene, all inline."""

import base64
import html
import re
from pathlib import Path

_LINK = re.compile(r'<link rel="stylesheet" href="([\w.]+)">')
_SCRIPT = re.compile(r'<script((?: type="text/plain")?) src="([\w.]+)"></script>')
_PLACE = re.compile(r"{{(title|scene)}}")


def sources() -> Path:
    """The folder of the player's sources: in an installed package, or at the top of a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "viewer"
    return installed if installed.is_dir() else package.parent / "viewer"


def assemble(title: str, payload: bytes) -> str:
    """The whole page. A script's text is found again by the page under its file name, as the element's id."""
    folder = sources()
    places = {"title": html.escape(title), "scene": base64.b64encode(payload).decode("ascii")}
    page = (folder / "player.html").read_text("utf-8")
    # The page's own places first: no text that is put in is searched again.
    parts = []
    for line in page.splitlines():
        line = _PLACE.sub(lambda match: places[match[1]], line)
        line = _LINK.sub(lambda match: f"<style>\n{(folder / match[1]).read_text('utf-8')}</style>", line)
        line = _SCRIPT.sub(
            lambda match: f'<script{match[1]} id="{match[2]}">{_script(folder / match[2])}</script>', line
        )
        parts.append(line)
    return "\n".join(parts) + "\n"


def _script(path: Path) -> str:
    text = path.read_text("utf-8")
    if "</script" in text or "<!--" in text:
        raise ValueError(f"{path.name} holds text that would end its script element")
    return text
