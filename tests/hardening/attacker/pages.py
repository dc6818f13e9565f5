"""Whether a page that endogs wrote still has the form of a page, whatever stood in a name or a title."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

ESCAPES_IN_SCRIPT = re.compile(r"<!--|<script", re.I)
"""What a browser takes for more than text inside of a script (HTML, 13.2.5.20, script data double escaped state)."""


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: Counter[str] = Counter()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.comments = 0
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self._inside = tag == "script"
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts.append(data)


def page_faults(path: Path) -> str:
    """What is wrong with a page: scripts that a text of a stranger's opened, closed or hid; empty when nothing is."""
    if not path.is_file():
        return ""
    text = path.read_text("utf-8")
    found = _Elements()
    found.feed(text)
    found.close()
    if any(ESCAPES_IN_SCRIPT.search(script) for script in found.scripts):
        return f"{path.name}: a script holds <!-- or <script"
    if found.handlers:
        return f"{path.name}: an element has {found.handlers[0]}"
    if found.elements["script"] != len(re.findall(r"</script", text, re.I)):
        return f"{path.name}: scripts do not close"
    if any(script.strip() == "alert(1)" for script in found.scripts):
        return f"{path.name}: a stranger's script"
    return ""
