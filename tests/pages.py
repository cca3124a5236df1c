"""A report's page as a test has it: written from a sweep, read by an HTML parser."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from benchmark.report.figures import figures
from benchmark.report.page import page
from benchmark.report.results import read_results
from benchmark.report.write import all_tables
from benchmark.store import Store


def page_of(store: Store, *, with_images: bool = False, names: list[str] | None = None) -> str:
    results = read_results(store)
    tables, notes = all_tables(store, results)
    return page(store, results, tables, notes, list(figures(store, names, results)), with_images=with_images)


class Parsed(HTMLParser):
    """Tags with their attributes, the text outside scripts and styles, and the scripts by their type."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[str, str]] = []
        self.style = ""
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "code", ""))

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._within == "style":
            self.style += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What the scripts know of the runs."""
        (text,) = [text for kind, text in self.scripts if kind == "application/json" and '"runs"' in text[:8]]
        return dict(json.loads(text))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]
