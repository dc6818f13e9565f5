"""Tables with a header: text files with commas, semicolons or tabs, and the first sheet of an .xlsx workbook."""

import csv
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.errors import InputError

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
"""Namespace of SpreadsheetML (ECMA-376, part 1, section 18)."""


def read_columns(file: Path, names: tuple[str, ...]) -> NDArray[np.float64]:
    """The columns called `names` as numbers (rows, names), rows without all of them left out.

    Raises InputError for a file that is not readable, lacks a column or has no row of numbers.
    """
    rows = _workbook(file) if file.suffix.lower() == ".xlsx" else _text(file)
    header = [cell.strip() for cell in rows[0]] if rows else []
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(f"{file}: has no column {missing[0]} (it has {', '.join(header[:12]) or 'none'}).")
    columns = [header.index(name) for name in names]
    table = []
    for row in rows[1:]:
        try:
            values = [float(row[column]) for column in columns]
        except (ValueError, IndexError):
            continue  # units below the header, or a last row that was cut short
        if np.isfinite(values).all():
            table.append(values)
    if not table:
        raise InputError(f"{file}: holds no row of numbers under {', '.join(names)}: copy it again.")
    return np.array(table, np.float64)


def header_of(file: Path) -> list[str]:
    """The names of the columns of a text table; none when it is empty."""
    rows = _text(file, rows=1)
    return [cell.strip() for cell in rows[0]] if rows else []


def _text(file: Path, rows: int | None = None) -> list[list[str]]:
    try:
        lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{file}: cannot be opened ({error.strerror}): check its permissions.") from error
    lines = [line for line in lines if line.strip()][:rows]
    first = lines[0] if lines else ""
    separator = max(",;\t", key=first.count)
    return list(csv.reader(lines, delimiter=separator))


def _workbook(file: Path) -> list[list[str]]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            shared = []
            if "xl/sharedStrings.xml" in names:
                root = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
                shared = ["".join(text.text or "" for text in item.iter(f"{SHEET}t")) for item in root]
            sheet = sorted(name for name in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))[0]
            root = ElementTree.fromstring(archive.read(sheet))
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, IndexError, KeyError) as error:
        raise InputError(f"{file}: not a readable .xlsx workbook ({error}): copy it again.") from error
    rows = []
    for row in root.iter(f"{SHEET}row"):
        cells: list[str] = []
        for cell in row.iter(f"{SHEET}c"):
            # Empty cells are left out of the file, so that each must say where it stands.
            column = _column(cell.get("r", "")) if cell.get("r") else len(cells)
            cells += [""] * (column - len(cells) + 1)
            value = cell.findtext(f"{SHEET}v") or ""
            if cell.get("t") == "s" and value.isdigit() and int(value) < len(shared):
                value = shared[int(value)]
            elif cell.get("t") == "inlineStr":
                value = "".join(text.text or "" for text in cell.iter(f"{SHEET}t"))
            cells[column] = value
        rows.append(cells)
    return rows


def _column(reference: str) -> int:
    """The index of the column in a reference such as AB7."""
    index = 0
    for letter in re.sub(r"[^A-Z]", "", reference.upper()):
        index = 26 * index + ord(letter) - ord("A") + 1
    return index - 1
