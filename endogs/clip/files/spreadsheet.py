"""Tables with a header: text files with commas, semicolons or tabs, and the first sheet of an .xlsx workbook."""

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import open_zip, read_member
from endogs.bounded_files import LONGEST_TABLE, parse_xml, read_text
from endogs.clip.files.number_files import finite_numbers
from endogs.errors import InputError

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
"""Namespace of SpreadsheetML (ECMA-376, part 1, section 18)."""
LONGEST_PART = 32 * 2**20
"""Bytes of a sheet or of the shared texts, unpacked: 100 000 rows of eight numbers."""
MOST_CELLS = 10_000_000
"""Cells of a sheet, those included that are left out in front of others."""


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
    table: list[list[float]] = []
    unread = None
    for number, row in enumerate(rows[1:], 1):
        cells = [row[column] for column in columns if column < len(row)]
        values = finite_numbers("".join(cells), cells)
        if len(values) != len(columns):  # units below the header, or a last row that was cut short
            unread = number if table else None
            continue
        if unread is not None:
            raise InputError(
                f"{file}: row {unread} below the header does not hold {len(columns)} finite numbers under "
                f"{', '.join(names)}, but later rows do: correct it."
            )
        table.append(values)
    if not table:
        raise InputError(f"{file}: holds no row of numbers under {', '.join(names)}: copy it again.")
    return np.array(table, np.float64)


def header_of(file: Path) -> list[str]:
    """The names of the columns of a text table; none when it is empty."""
    rows = _text(file, rows=1)
    return [cell.strip() for cell in rows[0]] if rows else []


def _text(file: Path, rows: int | None = None) -> list[list[str]]:
    lines = read_text(file, LONGEST_TABLE).splitlines()
    lines = [line for line in lines if line.strip()][:rows]
    first = lines[0] if lines else ""
    separator = max(",;\t", key=first.count)
    try:
        return list(csv.reader(lines, delimiter=separator))
    except csv.Error as error:  # a cell of more than 131 072 letters
        raise InputError(f"{file}: not readable as a table ({error}): copy it again.") from error


def _workbook(file: Path) -> list[list[str]]:
    archive = open_zip(file, LONGEST_TABLE, ".xlsx workbook")
    names = archive.namelist()
    sheets = sorted(name for name in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
    if not sheets:
        raise InputError(f"{file}: not a readable .xlsx workbook (it has no sheet): copy it again.")
    try:
        shared = []
        if "xl/sharedStrings.xml" in names:
            root = parse_xml(read_member(file, archive, "xl/sharedStrings.xml", LONGEST_PART))
            shared = ["".join(text.text or "" for text in item.iter(f"{SHEET}t")) for item in root]
        root = parse_xml(read_member(file, archive, sheets[0], LONGEST_PART))
    except ValueError as error:
        raise InputError(f"{file}: not a readable .xlsx workbook ({error}): copy it again.") from error
    rows, taken = [], 0
    for row in root.iter(f"{SHEET}row"):
        cells: list[str] = []
        for cell in row.iter(f"{SHEET}c"):
            # Empty cells are left out of the file, so that each must say where it stands.
            column = _column(cell.get("r", "")) if cell.get("r") else len(cells)
            taken += max(1, column + 1 - len(cells))
            if not 0 <= column < taken <= MOST_CELLS:
                place = cell.get("r", "")[:20]
                raise InputError(f"{file}: its cells, such as {place!r}, are too many or nowhere: export it again.")
            cells += [""] * (column - len(cells) + 1)
            value = cell.findtext(f"{SHEET}v") or ""
            if cell.get("t") == "s" and value.isdecimal() and len(value) < 10 and int(value) < len(shared):
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
