"""Your own images, by a table.

Below the data root lies `labels.csv` (or what `csv.file` names) in UTF-8, its fields parted by commas, semicolons or tabs, with
a header and the columns

    path     of the image, below the data root
    label    a class by name, or by number from 0
    split    train or test; without this column a share of each class becomes the test set
    votes    how many people chose each class, in its order, with blanks between: `3 0 7`; optional
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from benchmark.contract import BadInput, Card
from benchmark.contract.images import is_file
from benchmark.contract.text import has_controls

from ._listed import TEST, TRAIN, Row, needed, whole
from ._table import below, table_rows
from .folder import Config as FolderConfig
from .folder import Folder, checked_classes, held_out_of


@dataclass(frozen=True)
class Config(FolderConfig):
    """Options of a table of images."""

    file: Annotated[str, Field(min_length=1)] = "labels.csv"  # below the data root


class Csv(Folder):
    """A table of images of your own."""

    name = "csv"
    card = Card(
        summary="your own images by a table: --data-root DIR with labels.csv (path, label; optionally split, votes)",
        citation="none",
        source="your own",
        licence="your own",
        access="--data-root DIR, with labels.csv of the columns path and label, and if you like split and votes",
    )
    Config = Config

    def lists(self) -> Sequence[Path]:
        return [self._file]

    def parts(self) -> Sequence[Path]:
        return [self._file]

    def folders(self) -> Sequence[Path]:
        return ()  # what the table does not name is no part of the set

    def not_followed(self) -> Sequence[Path]:
        return ()

    def notes(self) -> Iterator[str]:
        yield from ()

    @cached_property
    def _file(self) -> Path:
        file = needed(self.root, self.name, self.card.access) / str(self.config.file)
        if not is_file(file):
            raise BadInput(f"{file} is missing; {self.card.access}")
        return file

    @cached_property
    def _table(self) -> list[tuple[str, dict[str, str], str]]:
        """Each row: where it is, its fields by column, and what is wrong with it, if anything."""
        table = [
            (where, row, fault or ("its label has a control character in it" if has_controls(row["label"]) else ""))
            for where, row, fault in table_rows(self._file, ("path", "label"))
        ]
        if not table:
            raise BadInput(f"{self._file}: there is no row in it")
        return table

    @cached_property
    def _labels(self) -> set[str]:
        """As they are written, of the rows that have nothing wrong with them."""
        labels = {row["label"] for _, row, fault in self._table if row["label"] and not fault}
        if not labels:
            where, _, fault = self._table[0]
            raise BadInput(f"{where}: {fault or 'it has no label, and no other row has one'}")
        return labels

    @cached_property
    def _numbered(self) -> bool:
        """Whether the labels are numbers. Raises BadInput where some are and some are not."""
        numbers = {label for label in self._labels if whole(label) is not None}
        if names := numbers and self._labels - numbers:
            raise BadInput(f"{self._file}: its labels are names and numbers ('{min(names)}', '{min(numbers)}'); wanted either")
        return bool(numbers)

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        labels = {self._label(label) for label in self._labels}
        if not self._numbered:
            return checked_classes(str(self._file), labels, "a label for each row")
        names = [str(k) for k in range(len(labels))]  # not by spelling: 10 comes after 9
        if missing := [name for name in names if name not in labels]:
            largest = max(map(int, labels))
            raise BadInput(f"{self._file}: its labels go up to {largest}, and none is {missing[0]}; wanted all from 0 on")
        checked_classes(str(self._file), names, "a label for each row")
        return tuple(names)

    def _label(self, text: str) -> str:
        """The name of a row's class: a number without zeros before it, a name as one sequence of characters however written."""
        return str(whole(text)) if self._numbered else unicodedata.normalize("NFC", text)

    @cached_property
    def _rows(self) -> list[Row]:
        number = {name: k for k, name in enumerate(self._classes)}
        root = Path(os.path.normpath(needed(self.root, self.name, self.card.access)))
        rows = []
        for where, row, fault in self._table:
            path = below(root, row["path"])
            votes, fault_of_votes = self._votes(row)
            if not row["path"]:
                fault = fault or "it has no path"
            elif path is None:
                fault = fault or f"{row['path']} lies outside {root}"
            split = row.get("split", TRAIN).lower()
            if split not in (TRAIN, TEST):
                fault = fault or f"its split is '{row['split'][:40]}'; wanted {TRAIN} or {TEST}"
            label = number.get(self._label(row["label"]))
            rows.append(Row(split, path or root, label, where, votes, fault=fault or fault_of_votes))
        return rows if "split" in self._table[0][1] else with_share(rows, root, self.config.test)

    def _votes(self, row: dict[str, str]) -> tuple[list[int] | None, str]:
        """The votes of a row, and what is wrong with them."""
        if "votes" not in row:
            return None, ""
        votes = [vote for word in row["votes"].split() if (vote := whole(word)) is not None]
        if len(votes) == len(row["votes"].split()) == len(self._classes):
            return votes, ""
        return votes, f"its votes are '{row['votes'][:60]}'; wanted {len(self._classes)} counts with blanks between"


def with_share(rows: Sequence[Row], root: Path, percent: float) -> list[Row]:
    """The rows, of which a share of each class is now for the test."""
    by_class: dict[int | None, list[Path]] = {}
    for row in rows:
        if not row.fault:
            by_class.setdefault(row.label, []).append(row.path)
    held_out = {path for paths in by_class.values() for path in held_out_of(sorted(set(paths)), root, percent)}
    return [replace(row, split=TEST) if row.path in held_out else row for row in rows]
