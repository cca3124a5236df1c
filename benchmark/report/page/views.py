"""Tables and figures as the page's template shows them: with what each hangs on, for the switches, and the runs it opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..figures import Drawing, Missing
from ..figures.export import as_script
from ..formats import Bold, Table
from ..grouping import by_noise, method_title
from ..results import Result
from .details import noise_label

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """By number, the datasets, methods and noises that something is of; a switch hides what none of its own is left of."""

    datasets: Sequence[int]
    methods: Sequence[int]
    noises: Sequence[int]


@dataclass(frozen=True)
class CellView:
    """A cell."""

    text: str
    bold: bool
    state: str  #: of its runs: `finished`, or `failed`, `running`, `missing` where not all of them are
    opens: int | None  #: the number of the group of runs that it opens
    button: bool  #: whether it is the first in its row that opens them


@dataclass(frozen=True)
class RowView:
    """A row."""

    cells: Sequence[CellView]
    scope: Scope


@dataclass(frozen=True)
class TableView:
    """A table; a column's scope is empty unless the rows are not of one noise and the column is."""

    table: Table
    scope: Scope
    columns: Sequence[tuple[str, Sequence[int]]]  #: title, and the noises that it is of
    rows: Sequence[RowView]


@dataclass(frozen=True)
class FigureView:
    """A figure, or why there is none."""

    stem: str
    title: str
    about: str
    caption: str
    scope: Scope
    script: str | None  #: its definition; None where it is left out or cannot be drawn
    missing: bool


class Views:
    """What a page shows of some results. `groups` collects the runs that cells open."""

    def __init__(self, results: Sequence[Result]):
        self._results = {result.key: result for result in results}
        self.datasets = list(dict.fromkeys(result.spec.dataset.label for result in results))
        self.methods = list(dict.fromkeys(map(method_title, results)))
        self.noises = list(dict.fromkeys(map(noise_label, by_noise(results))))
        self.groups: dict[Keys, int] = {}
        self.states = Counter(map(_state, results))

    def table(self, table: Table) -> TableView:
        """A table with what its cells open."""
        rows = [
            RowView(self._cells(texts, keys), self._scope(key for cell in keys for key in cell))
            for texts, keys in zip(table.rows, table.runs, strict=True)
        ]
        by_column = [self._scope(key for keys in table.runs for key in keys[k]) for k in range(len(table.columns))]
        across = any(len(row.scope.noises) > 1 for row in rows)
        columns = [
            (title, scope.noises if across and len(scope.noises) == 1 else ())
            for title, scope in zip(table.columns, by_column, strict=True)
        ]
        return TableView(table, self._scope(key for keys in table.runs for cell in keys for key in cell), columns, rows)

    def figure(self, drawn: Drawing | Missing, *, with_images: bool) -> FigureView:
        """A figure with its definition, where it is to be shown."""
        scope = self._scope(run.key for run in drawn.runs)
        if isinstance(drawn, Missing):
            return FigureView(drawn.stem, drawn.figure.title, drawn.about, drawn.reason, scope, None, True)
        title, about, caption = drawn.figure.title, drawn.about, drawn.caption
        if drawn.private and not with_images:
            caption += " The images are not in this page, which might be passed on: report --with-images puts them in."
            return FigureView(drawn.stem, title, about, caption, scope, None, False)
        shown = {name: value for name, value in drawn.plain.items() if name != "title"}  # the page says it beside the chart
        spec = {**shown, "description": f"{title}: {about}. {caption}"}
        return FigureView(drawn.stem, title, about, caption, scope, as_script(spec), False)

    def _cells(self, texts: Sequence[str | Bold], keys: Sequence[Keys]) -> list[CellView]:
        cells = []
        for k, (cell, behind) in enumerate(zip(texts, keys, strict=True)):
            text, bold = (cell.text, True) if isinstance(cell, Bold) else (cell, False)
            opens = self.groups.setdefault(behind, len(self.groups)) if behind and text else None
            first = opens is not None and all(not (texts[j] and keys[j] == behind) for j in range(k))
            cells.append(CellView(text, bold, self._worst(behind), opens, first))
        return cells

    def _worst(self, keys: Keys) -> str:
        """The state that a reader must know of a cell: the least finished of its runs."""
        states = {_state(self._results[key]) for key in keys}
        return next((state for state in ("failed", "running", "missing") if state in states), "finished")

    def _scope(self, keys: Iterable[str]) -> Scope:
        runs = [self._results[key] for key in dict.fromkeys(keys)]
        return Scope(
            sorted({self.datasets.index(run.spec.dataset.label) for run in runs}),
            sorted({self.methods.index(method_title(run)) for run in runs}),
            sorted({self.noises.index(noise_label(run)) for run in runs}),
        )


def _state(result: Result) -> str:
    return "running" if result.status == "started" else result.status
