"""Under which licence a learned model's weights come."""

import re
from pathlib import Path

from endogs.bounded_files import is_file, read_text

LONGEST_CARD = 4 * 2**20
"""Bytes; a model card has some 10 kB."""
NON_COMMERCIAL = re.compile(r"(^|[-_ ])nc([-_ ]|$)|non-?commercial|research|apple-(amlr|ascl)", re.IGNORECASE)


def read_licence(folder: Path) -> str | None:
    """The licence that README.md names in its front matter, as model cards do; None when it names none.

    Raises InputError for a card that cannot be opened or is longer than LONGEST_CARD.
    """
    card = folder / "README.md"
    if not is_file(card):
        return None
    front = re.match(r"\s*---[ \t\r]*\n(.*?)\n---", read_text(card, LONGEST_CARD), re.DOTALL)
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
