"""One table in four formats: Markdown, CSV, LaTeX (booktabs), HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tabulate import tabulate

from ..contract.text import CONTROLS, no_formula, no_tags

FORMATS = ("md", "csv", "tex", "html")
_BOLD = {"md": ("**", "**"), "csv": ("", " *"), "tex": (r"\textbf{", "}"), "html": ("<strong>", "</strong>")}
_OPEN, _CLOSE, _MINUS = "\ue000", "\ue001", "\ue002"  # of private use: nothing escapes them
_UNWANTED = re.compile(f"{CONTROLS.pattern}|[{_OPEN}{_CLOSE}{_MINUS}]")


@dataclass(frozen=True)
class Bold:
    """A cell in bold."""

    text: str


Cell = str | Bold


@dataclass(frozen=True)
class Table:
    """What stands in cells, with what a reader must know of it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    runs: tuple[tuple[tuple[str, ...], ...], ...]  #: keys of the runs behind each cell of each row; none where it has none
    names: int = 1  #: how many columns at the left hold names, not numbers
    printed: bool = True  #: whether a run ends with printing it
    typeset: bool = True  #: whether it is narrow enough for a paper


PREAMBLE = r"% Wants \usepackage{booktabs,graphicx} in the preamble."
"""The first line of a LaTeX file."""


def render(made: Sequence[Table], notes: Sequence[str]) -> dict[str, str]:
    """The text of each format, and under `printed` what a run ends with."""
    made = [_in_lines(table) for table in made]
    notes = [_in_line(note) for note in notes]
    return {
        "md": _joined(made, notes),
        "printed": _joined([table for table in made if table.printed], notes),
        "csv": "\n".join(_csv(table) for table in made) + "".join(f"\n{_csv_line(f'# {note}')}" for note in notes),
        "tex": "\n".join([PREAMBLE, *(_tex(table) for table in made if table.typeset), *(f"% {note}\n" for note in notes)]),
        "html": _html(made, notes),
    }


def _in_line(text: str) -> str:
    """In one line, and without what marks bold text here: names and reasons may come from anybody's folder."""
    return _UNWANTED.sub(" ", text)


def _in_lines(table: Table) -> Table:
    rows = tuple(
        tuple(Bold(_in_line(cell.text)) if isinstance(cell, Bold) else _in_line(cell) for cell in row) for row in table.rows
    )
    columns = tuple(map(_in_line, table.columns))
    return replace(table, title=_in_line(table.title), columns=columns, rows=rows, caption=_in_line(table.caption))


def _joined(made: Sequence[Table], notes: Sequence[str]) -> str:
    return "\n".join(_md(table) for table in made) + "".join(f"\n{no_tags(note)}\n" for note in notes)


def _md(table: Table) -> str:
    before, after = _BOLD["md"]
    columns = [_md_cell(column) for column in table.columns]
    rows = [[_md_cell(text) for text in row] for row in _marked(table, before, after)]
    body = tabulate(rows, columns, tablefmt="pipe", disable_numparse=True, colalign=_aligned(table))
    return f"**{no_tags(table.title)}**\n\n{body}\n\n{no_tags(table.caption)}\n"


def _md_cell(text: str) -> str:
    return no_tags(text).replace("|", "\\|")


def _csv(table: Table) -> str:
    bold = any(isinstance(cell, Bold) for row in table.rows for cell in row)
    caption = f"# {table.title}. {table.caption}" + (" In this file, * stands for bold." if bold else "")
    return "".join(_csv_line(*cells) for cells in ([caption], table.columns, *_marked(table, *_BOLD["csv"])))


def _csv_line(*cells: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(map(no_formula, cells))
    return buffer.getvalue()


def _tex(table: Table) -> str:
    body = _with_bold(table, "latex_booktabs", "tex")
    caption = tabulate([[f"{table.title}. {table.caption}"]], tablefmt="latex").split("\n")[2].removesuffix(r" \\").strip()
    # Graphicx narrows what is wider than a line, and nothing else.
    fitted = f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{body}}}"
    inside = f"\\centering\n\\caption{{{caption}}}\n\\medskip\n{fitted}\n".replace(_MINUS, "$-$")
    return f"\\begin{{table}}\n{inside}\\end{{table}}\n"


def _html(made: Sequence[Table], notes: Sequence[str]) -> str:
    parts = []
    for table in made:
        body = _with_bold(table, "html", "html")
        parts.append(f"<h2>{html.escape(table.title)}</h2>\n{body}\n<p>{html.escape(table.caption)}</p>")
    parts += [f"<p>{html.escape(note)}</p>" for note in notes]
    style = (
        "body{font-family:sans-serif}table{border-collapse:collapse}tr{border-bottom:1px solid #ccc}"
        "td,th{padding:.2em .8em;white-space:nowrap;text-align:left}"
    )
    head = f'<meta charset="utf-8"><title>Results</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _with_bold(table: Table, tablefmt: str, name: str) -> str:
    """The body of a table whose format escapes what stands in cells, and would escape the marks of bold text as well."""
    rows = _marked(table, _OPEN, _CLOSE)
    if name == "tex":
        rows = [[re.sub(r"(?<!\S)-(?=\d)", _MINUS, text) for text in row] for row in rows]
    body = tabulate(rows, table.columns, tablefmt=tablefmt, disable_numparse=True, colalign=_aligned(table))
    before, after = _BOLD[name]
    return str(body).replace(_OPEN, before).replace(_CLOSE, after)


def _marked(table: Table, before: str, after: str) -> list[list[str]]:
    return [[f"{before}{cell.text}{after}" if isinstance(cell, Bold) else cell for cell in row] for row in table.rows]


def _aligned(table: Table) -> tuple[str, ...]:
    return ("left",) * table.names + ("right",) * (len(table.columns) - table.names)
