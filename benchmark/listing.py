"""What can be named on the command line, with citation and one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .contract.registry import load_plugins

Rows = list[dict[str, Any]]


def methods(plugins: Sequence[str] = ()) -> tuple[Rows, dict[str, str]]:
    """Every method, and what is broken with its reason."""
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


def datasets(plugins: Sequence[str] = ()) -> tuple[Rows, dict[str, str]]:
    """Every dataset, and what is broken with its reason."""
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


def noises() -> Rows:
    """Every kind of noise."""
    from .noise import listed

    return [_row(kind, text) for kind, text in listed().items()]


def backbones() -> Rows:
    """Our own backbones, and every model that timm and torchvision know."""
    from .train.backbones import SHOWN, TORCHVISION, known_backbones

    others = [name for name in known_backbones() if name not in SHOWN]
    rows = [_row(name, "torchvision" if name.startswith(TORCHVISION) else "timm") for name in others]
    return [*(_row(name, text) for name, text in SHOWN.items()), *rows]


def sweeps() -> Rows:
    """Every sweep of a published table."""
    from .sweep.named import named_sweep, names

    found = [named_sweep(name) for name in names()]
    return [{**_row(sweep.name, sweep.about), "citation": sweep.citation, "datasets": list(sweep.datasets)} for sweep in found]


def published(paper: str | None = None, dataset: str | None = None, method: str | None = None) -> Rows:
    """The published numbers of a paper, a dataset and a method. Raises BadInput for unknown ones."""
    from .report.published import EPOCHS, fitting
    from .report.published import published as every

    rows = []
    for row in fitting(every(), paper, dataset, method):
        spread = "" if row.std is None else f" ± {row.std:g}"
        doubt = "" if row.verified == "yes" else f"; UNVERIFIED: {row.source}"
        summary = f"{row.dataset}, {row.noise}: {row.metric} {row.mean:g}{spread}; {EPOCHS[row.selection]}{doubt}"
        rows.append({**_row(row.method, summary), "citation": f"{row.paper}, {row.year}", **row.model_dump()})
    return rows


def _row(name: str, summary: str) -> dict[str, Any]:
    return {"name": name, "summary": summary, "citation": "", "source": ""}


PLUGGED: dict[str, Callable[[Sequence[str]], tuple[Rows, dict[str, str]]]] = {"methods": methods, "datasets": datasets}
"""What files of a user's own add to."""
OURS: dict[str, Callable[[], Rows]] = {"noises": noises, "backbones": backbones, "sweeps": sweeps}
