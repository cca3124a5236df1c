"""Writes docs/methods/ and the table of methods in the README from the methods themselves, so that neither goes stale.

python scripts/method_pages.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmark.contract import Method
from benchmark.contract.privilege import PRIVILEGES
from benchmark.contract.registry import load_plugins
from benchmark.report.published import EPOCHS, Published, published
from benchmark.spec import Recipe, recipe

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- methods: written by scripts/method_pages.py -->", "<!-- end of methods -->"
MOST_ROWS = 15  # of published numbers on a page


def pages() -> dict[Path, str]:
    """The text of every file that this script writes."""
    methods = [method for _, method in sorted(load_plugins().methods.plugins.items())]
    found = {ROOT / "docs" / "methods" / f"{_file(method)}.md": page(method, methods) for method in methods}
    return found | {ROOT / "README.md": _readme(methods)}


def page(method: type[Method], methods: Sequence[type[Method]]) -> str:
    """One method's page, of all methods: what it is, where it comes from, its options, its paper's training and numbers."""
    paper = method.paper
    code = f"Code that was followed: {paper.code}." if paper.code else "No official code is followed."
    parts = [
        f"# `{method.name}`",
        inspect.cleandoc(method.__doc__ or method.summary()),
        f"{paper.authors}. [{paper.title}]({paper.url}). {paper.venue}. {code}",
        _privilege(method),
        _shared(method, methods),
        "```text\n" + inspect.cleandoc(sys.modules[method.__module__].__doc__ or "") + "\n```",
        "## Options\n\n" + _options(method),
        "## Its paper's training\n\n" + _recipe(method),
        "## Published numbers\n\n" + _published(method),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _file(method: type[Method]) -> str:
    return method.name.replace(":", "-")


def _privilege(method: type[Method]) -> str:
    told = " and ".join(PRIVILEGES[name] for name in method.privilege)
    return f"† It is told {told}: marked in tables, outside the ranking." if told else ""


def _shared(method: type[Method], methods: Sequence[type[Method]]) -> str:
    """Whose the text of the module is, where it is not this method's alone."""
    others = [f"[`{m.name}`]({_file(m)}.md)" for m in methods if m.__module__ == method.__module__ and m is not method]
    return f"The text below is also that of {' and '.join(others)}." if others else ""


def _options(method: type[Method]) -> str:
    if not dataclasses.fields(method.Config):
        return "None."
    comments: dict[str, str] = {}
    for kind in reversed(method.Config.__mro__[:-1]):
        comments |= dict(re.findall(r"^    (\w+):[^=\n]+=.*?#:? *(.+)$", inspect.getsource(kind), re.MULTILINE))
    told = TypeAdapter(method.Config).json_schema()["properties"]
    rows = [
        f"| `{f.name}` | {_default(f.default)} | {_values(told[f.name])} | {comments.get(f.name, '').replace('|', '/')} |"
        for f in dataclasses.fields(method.Config)
    ]
    table = ["| option | default | values | meaning |", "| --- | --- | --- | --- |", *rows]
    return inspect.cleandoc(method.Config.__doc__ or "") + "\n\n" + "\n".join(table)


def _values(schema: dict[str, Any]) -> str:
    """What an option may be, by its JSON schema: a choice of words, or the bounds of a number."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    words = [f"{word} {schema[key]:,}" for key, word in bounds.items() if key in schema]
    return ("whole, " if schema.get("type") == "integer" else "") + ", ".join(words)


def _default(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _recipe(method: type[Method]) -> str:
    if not method.own_recipe:
        return "As `common`: nothing else is known of it, or nothing that is not `common`'s."
    told = recipe("paper", own=method.own_recipe)
    words = [f"{told.epochs} epochs of batches of {told.batch_size}", told.optimizer]
    words += [f"momentum {told.momentum:g}"] if told.optimizer == "sgd" else []
    words += [f"rate {told.lr:g}", f"weight decay {told.weight_decay:g}", f"schedule {told.schedule}{_schedule(told)}"]
    words += [f"flip {told.flip:g}", f"shift {told.shift:.3g}", f"erase {told.erase:g}"]
    options = "".join(f", option {name} {_default(value)}" for name, value in method.own_options.items())
    return f"`--recipe paper`: {', '.join(words)}{options}."


def _schedule(told: Recipe) -> str:
    match told.schedule:
        case "one-cycle":
            return f" (rising for {told.warmup:g})"
        case "cosine":
            return f" ({told.cycles} cycle{'s' if told.cycles > 1 else ''}, down to {told.floor:.3g})"
        case "exponential":
            return f" (times {told.decay:g} an epoch)"
        case "step":
            return f" (times {told.decay:g} at {', '.join(f'{m:.3g}' for m in told.milestones)} of the schedule)"
        case "constant":
            return ""


def _published(method: type[Method]) -> str:
    rows = [row for row in published() if row.registered.partition(":")[0] == method.name.partition(":")[0]]
    if not rows:
        return "None that we know of."
    papers = sorted({row.paper for row in rows})
    file = "[`scripts/published.csv`](../../scripts/published.csv)"
    if len(rows) > MOST_ROWS:
        command = f"`python -m benchmark list published --method {method.name.partition(':')[0]}`"
        sources = f"{len(papers)} source{'s' if len(papers) > 1 else ''}"
        return f"{len(rows)}, from {sources}: {'; '.join(papers)}. They stand in {file}; {command} shows them."
    head = ["| dataset | noise | called | metric | epoch | mean ± std | from |", "| --- | --- | --- | --- | --- | --- | --- |"]
    lines = [f"| {' | '.join(cell.replace('|', '/') for cell in _number(row))} |" for row in rows]
    return f"Of {file}, which says more of each:\n\n" + "\n".join([*head, *lines])


def _number(row: Published) -> tuple[str, ...]:
    value = f"{row.mean:g}" if row.std is None else f"{row.mean:g} ± {row.std:g}"
    source = row.paper if row.verified == "yes" else f"{row.paper} (its source was not read)"
    return row.dataset, row.noise, row.method, row.metric, EPOCHS[row.selection], value, source


def _readme(methods: list[type[Method]]) -> str:
    lines = ["| method | what it is | from |", "| --- | --- | --- |"]
    for method in methods:
        mark = " †" if method.privilege else ""
        link = f"[`{method.name}`](docs/methods/{_file(method)}.md){mark}"
        lines.append(f"| {link} | {method.summary()} | [{method.paper.venue}]({method.paper.url}) |")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1]


def main() -> None:
    """Writes what has changed, and removes pages of methods that are gone."""
    texts = pages()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in (ROOT / "docs" / "methods").glob("*.md"):
        if path not in texts:
            path.unlink()


if __name__ == "__main__":
    main()
