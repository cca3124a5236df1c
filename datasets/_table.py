"""Tables of images: rows of a CSV file however its fields are parted, and the files that they name."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.contract import BadInput
from benchmark.contract.images import exists, is_file


def table_rows(file: Path, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, str], str]]:
    """Each row of a table: where it is, its fields by column in lower case, and what is wrong with it, if anything.

    Fields are parted by the first of comma, semicolon and tab that gives the columns `wanted`; blank rows are left out. Raises
    BadInput where the file cannot be read as such a table.
    """
    if not is_file(file):
        raise BadInput(f"{file}: it is no file")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            names = {mark: [n.strip().lower() for n in next(csv.reader([first], delimiter=mark), [])] for mark in ",;\t"}
            mark = next((mark for mark in names if set(wanted) <= set(names[mark])), ",")
            columns = names[mark]
            if missing := [name for name in wanted if name not in columns]:
                raise BadInput(f"{file}: it has no column '{missing[0]}'; it has {', '.join(columns)[:200] or 'none'}")
            if len(set(columns)) < len(columns):
                raise BadInput(f"{file}: two of its columns have the same name ({', '.join(columns)[:200]})")
            reader = csv.reader(stream, delimiter=mark, strict=True)
            for fields in reader:
                if any(field.strip() for field in fields):
                    fault = "" if len(fields) == len(columns) else f"wanted {len(columns)} fields, found {len(fields)}"
                    padded = [field.strip() for field in fields] + [""] * len(columns)
                    yield f"{file}, line {reader.line_num + 1}", dict(zip(columns, padded, strict=False)), fault
    except UnicodeDecodeError:
        raise BadInput(f"{file}: it is no text in UTF-8; save it as 'CSV UTF-8'") from None
    except (OSError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read as CSV: {' '.join(str(error).split())}") from None


def below(root: Path, name: str) -> Path | None:
    """The file that a table calls `name`, or None where that leads out of `root`; a link within it may.

    `root`: without dots. A table from Windows may part folders by backslashes.
    """
    for spelling in (name, name.replace("\\", "/")):
        path = Path(os.path.normpath(root / spelling))
        if not path.is_relative_to(root):
            return None
        if exists(path):
            break
    return path
