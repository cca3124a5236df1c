"""What can be named on the command line, with citation and one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .contract.registry import load_plugins

Rows = tuple[list[dict[str, Any]], dict[str, str]]  # the rows, and what is broken with its reason


def methods(plugins: Sequence[str] = ()) -> Rows:
    """Every method."""
    found = load_plugins(plugins).methods
    rows = []
    for name in found:
        method = found[name]
        rows.append(
            {
                "name": name,
                "summary": method.summary(),
                "citation": str(method.paper),
                "source": method.paper.code or method.paper.url,
                "url": method.paper.url,
                "privilege": list(method.privilege),
            }
        )
    return rows, found.broken


def datasets(plugins: Sequence[str] = ()) -> Rows:
    """Every dataset."""
    found = load_plugins(plugins).datasets
    rows = []
    for name in found:
        card = found[name].card
        rows.append(
            {
                "name": name,
                "summary": card.summary,
                "citation": card.citation,
                "source": card.source,
                "licence": card.licence,
                "defects": list(card.defects),
            }
        )
    return rows, found.broken


def noises(plugins: Sequence[str] = ()) -> Rows:
    """Every kind of noise."""
    from .noise import listed

    return [_row(kind, text) for kind, text in listed().items()], {}


def backbones(plugins: Sequence[str] = ()) -> Rows:
    """The default backbones, and every model that timm knows."""
    from .train.backbones import SHOWN, known_backbones

    timm_models = [name for name in known_backbones() if name not in SHOWN]
    return [*(_row(name, text) for name, text in SHOWN.items()), *(_row(name, "timm") for name in timm_models)], {}


def _row(name: str, summary: str) -> dict[str, Any]:
    return {"name": name, "summary": summary, "citation": "", "source": ""}


LISTINGS: dict[str, Callable[[Sequence[str]], Rows]] = {
    "methods": methods,
    "datasets": datasets,
    "noises": noises,
    "backbones": backbones,
}
