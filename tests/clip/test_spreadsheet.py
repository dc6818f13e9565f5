"""Tables in .xlsx workbooks are read as spreadsheet programs show them."""

import io
import re
import zipfile

import numpy as np
import openpyxl

from endogs.clip.files.spreadsheet import read_columns

SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHARED = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"


def test_the_first_sheet_is_the_one_that_is_shown_first(tmp_path):
    """Which its file's name does not say: sheet10.xml is not before sheet2.xml, and sheets can be moved."""
    book = openpyxl.Workbook()
    book.active.append(["x", "y"])
    book.active.append([1, 2.5])
    for _ in range(9):
        book.create_sheet().append(["other"])
    book.move_sheet(book.worksheets[9], -9)
    book.worksheets[0]["A1"], book.worksheets[0]["C1"] = "x", "y"
    book.worksheets[0]["A2"], book.worksheets[0]["C2"] = 3, 4.5
    book.save(tmp_path / "a.xlsx")
    np.testing.assert_array_equal(read_columns(tmp_path / "a.xlsx", ("y", "x")), [[4.5, 3]])


def test_shared_texts_formulas_and_empty_cells_are_read(tmp_path):
    """Excel keeps texts apart, where phonetic signs stand beside them, and leaves empty cells out."""
    honest = io.BytesIO()
    openpyxl.Workbook().save(honest)
    sheet = (
        f'<worksheet xmlns="{SPACE}"><sheetData>'
        '<row r="1"><c r="B1" t="s"><v>0</v></c><c r="D1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="B2"><v>0.1</v></c><c r="D2"><f>1+1</f><v>2</v></c></row>'
        '<row r="4"><c r="B4"><v>-1E-3</v></c><c r="D4"><v>7</v></c></row></sheetData></worksheet>'
    )
    shared = f'<sst xmlns="{SPACE}"><si><t>x</t><rPh sb="0" eb="1"><t>eks</t></rPh></si><si><r><t>y</t></r></si></sst>'
    with zipfile.ZipFile(honest) as source, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for name in source.namelist():
            text = source.read(name).decode()
            if name == "[Content_Types].xml":
                text = re.sub(
                    "</Types>", f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED}"/></Types>', text
                )
            archive.writestr(name, sheet if name == "xl/worksheets/sheet1.xml" else text)
        archive.writestr("xl/sharedStrings.xml", shared)
    np.testing.assert_array_equal(read_columns(tmp_path / "a.xlsx", ("x", "y")), [[0.1, 2], [-0.001, 7]])
