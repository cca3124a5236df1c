"""Your own images, by a table.

Below the data root lies `labels.csv` (or what `csv.file` names), with a header and the columns

    path     of the image, below the data root
    label    a class by name, or by number from 0
    split    train or test; without this column a share of the rows becomes the test set
    votes    how many people chose each class, in its order, with blanks between: `3 0 7`; optional
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from benchmark.contract import BadInput, Card

from ._listed import TEST, TRAIN, Row, needed, whole
from .folder import Config as FolderConfig
from .folder import Folder, chosen


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
        file = needed(self.root, self.name, self.card.access) / self.config.file
        if not file.is_file():
            raise BadInput(f"{file} is missing; {self.card.access}")
        return [file]

    def folders(self) -> Sequence[Path]:
        return ()

    @cached_property
    def _table(self) -> list[tuple[int, dict[str, str]]]:
        """Each row with its line."""
        (file,) = self.lists()
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                if missing := [name for name in ("path", "label") if name not in (reader.fieldnames or ())]:
                    raise BadInput(
                        f"{file}: it has no column '{missing[0]}'; it has {', '.join(reader.fieldnames or ['none'])}"
                    )
                table = [(reader.line_num, {k: (v or "").strip() for k, v in row.items() if k}) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadInput(f"{file} cannot be read as CSV: {' '.join(str(error).split())}") from None
        if not table:
            raise BadInput(f"{file}: there is no row in it")
        return table

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        labels = {row["label"] for _, row in self._table if row["label"]}
        numbers = {whole(label) for label in labels}
        if None not in numbers:
            names = [str(k) for k in range(max(number for number in numbers if number is not None) + 1)]
        else:
            names = sorted(labels)
        if len(names) < 2:
            raise BadInput(f"{self.lists()[0]}: {len(names)} classes in it; wanted at least two")
        return tuple(names)

    def rows(self) -> Iterator[Row]:
        (file,) = self.lists()
        root = file.parent if self.root is None else self.root
        number = {name: k for k, name in enumerate(self._classes)}
        paths = [root / row["path"] for _, row in self._table]
        split = "split" in self._table[0][1]
        held_out = (
            set()
            if split
            else {
                path
                for name in self._classes
                for path in chosen(
                    [p for p, (_, row) in zip(paths, self._table, strict=True) if row["label"] == name], root, self.config.test
                )
            }
        )
        for path, (line, row) in zip(paths, self._table, strict=True):
            where = f"{file}, line {line}"
            part = row["split"] if split else (TEST if path in held_out else TRAIN)
            if part not in (TRAIN, TEST):
                raise BadInput(f"{where}: its split is '{part}'; wanted {TRAIN} or {TEST}")
            if not path.resolve().is_relative_to(root.resolve()):
                raise BadInput(f"{where}: {row['path']} lies outside {root}")
            yield Row(part, path, number.get(row["label"]), where, self._votes(row, where))

    def _votes(self, row: dict[str, str], where: str) -> list[int] | None:
        if "votes" not in row:
            return None
        votes = [whole(word) for word in row["votes"].split()]
        if len(votes) != len(self._classes) or None in votes:
            raise BadInput(
                f"{where}: its votes are '{row['votes'][:60]}'; wanted {len(self._classes)} counts with blanks between"
            )
        return [vote for vote in votes if vote is not None]
