"""OpenCV's FileStorage in XML: matrices and numbers by their names, as its YAML has them."""

from pathlib import Path
from typing import Any

from endogs.bounded_files import parse_xml
from endogs.errors import InputError


def opencv_xml(text: str, file: Path) -> dict[str, Any] | None:
    """The values below <opencv_storage> (OpenCV's documentation of cv::FileStorage); None for another XML file.

    Raises InputError, naming `file`, for what is no XML.
    """
    try:
        root = parse_xml(text.encode())
    except ValueError as error:
        raise InputError(f"{file}: not readable as XML ({error}): copy it again.") from error
    if root.tag != "opencv_storage":
        return None
    found: dict[str, Any] = {}
    for entry in root:
        data = entry.find("data")
        words = ((entry if data is None else data).text or "").split()
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            found[entry.tag] = " ".join(words).strip('"')
            continue
        found[entry.tag] = numbers[0] if data is None and len(numbers) == 1 else numbers
    return found
