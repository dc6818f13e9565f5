"""Tables with a header: text files with commas, semicolons or tabs, and the first sheet of an .xlsx workbook."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from endogs.bounded_arrays import open_zip, read_member
from endogs.bounded_files import LONGEST_TABLE, check_xml, only_looked_at, read_text
from endogs.clip.files.number_files import finite_numbers
from endogs.errors import InputError
from endogs.plain_text import plain

LONGEST_PART = 32 * 2**20
"""Bytes of a workbook's parts, unpacked: 100 000 rows of eight numbers."""
MOST_CELLS, MOST_ROWS = 10_000_000, 2**20
"""Of a sheet, those included that are left out in front of others; spreadsheets have at most so many rows."""


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
    """The names of the columns of a text table, which does not count as read; none when it is empty."""
    with only_looked_at():
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
    """The rows of the first sheet. Its parts are unpacked within bounds before openpyxl sees them."""
    import warnings

    from openpyxl import load_workbook

    archive = open_zip(file, LONGEST_TABLE, ".xlsx workbook")
    left = LONGEST_PART
    for name in archive.namelist():
        if name.endswith((".xml", ".rels")):
            part = read_member(file, archive, name, left)
            left -= len(part)
            try:
                check_xml(part)
            except ValueError as error:
                raise _no_workbook(file, error) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which no number needs
            book = load_workbook(archive.fp, read_only=True, data_only=True, keep_links=False)
            return _rows(file, book.worksheets[0].iter_rows(values_only=True))
    except InputError:
        raise
    except Exception as error:  # openpyxl raises whatever it stumbles over in a damaged file
        raise _no_workbook(file, error) from error


def _rows(file: Path, found: Iterable[Sequence[object]]) -> list[list[str]]:
    """Rows as texts, without empty ones and the empty cells at their ends, within bounds."""
    rows: list[list[str]] = []
    taken = 0
    for number, row in enumerate(found, 1):
        taken += len(row)
        if taken > MOST_CELLS or number > MOST_ROWS:
            raise InputError(
                f"{file}: its cells are too many ({number} rows, the last of {len(row)} cells): export it again."
            )
        cells = ["" if value is None else str(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            rows.append(cells)
    return rows


def _no_workbook(file: Path, error: Exception) -> InputError:
    return InputError(f"{file}: not a readable .xlsx workbook ({plain(error, 200)}): copy it again.")
