"""Under which licence a learned model's weights come."""

import re
from pathlib import Path

NON_COMMERCIAL = re.compile(r"(^|[-_ ])nc([-_ ]|$)|non-?commercial|research|apple-(amlr|ascl)", re.IGNORECASE)


def read_licence(folder: Path) -> str | None:
    """The licence that README.md names in its front matter, as model cards do; None when it names none."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"\s*---\s*\n(.*?)\n---", text, re.DOTALL)
    if front is None:
        return None
    found = {
        key: value.strip().strip("\"'")
        for key, value in re.findall(r"^(license|license_name)[ \t]*:[ \t]*(\S.*)$", front.group(1), re.MULTILINE)
    }
    if found.get("license", "other") == "other":  # "other" has its name beside it
        return found.get("license_name", found.get("license"))
    return found["license"]


def licence_note(model: str, licence: str | None) -> str | None:
    """What must be said aloud before a model is used: that it is not for commercial use, or that nobody knows."""
    if licence is None:
        return f"depth: nothing says under which licence the weights of {model} come; find out before using it."
    if NON_COMMERCIAL.search(licence):
        return f"depth: the weights of {model} are NOT for commercial use (licence {licence})."
    return None
