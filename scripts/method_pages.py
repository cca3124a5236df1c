"""Writes docs/methods/ and the table of methods in the README from the methods themselves, so that neither goes stale.

python scripts/method_pages.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path

from benchmark.contract import Method
from benchmark.contract.privilege import PRIVILEGES
from benchmark.contract.registry import load_plugins
from benchmark.report.published import published
from benchmark.spec import Recipe, recipe

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- methods: written by scripts/method_pages.py -->", "<!-- end of methods -->"


def pages() -> dict[Path, str]:
    """The text of every file that this script writes."""
    methods = [method for _, method in sorted(load_plugins().methods.plugins.items())]
    found = {ROOT / "docs" / "methods" / f"{_file(method)}.md": page(method) for method in methods}
    return found | {ROOT / "README.md": _readme(methods)}


def page(method: type[Method]) -> str:
    """One method's page: what it is, where it comes from, its options, how its paper trains it, what was published."""
    paper = method.paper
    code = f"Code that was followed: {paper.code}." if paper.code else "No official code is followed."
    parts = [
        f"# `{method.name}`",
        method.summary(),
        f"{paper.authors}. [{paper.title}]({paper.url}). {paper.venue}. {code}",
        _privilege(method),
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


def _options(method: type[Method]) -> str:
    comments: dict[str, str] = {}
    for kind in reversed(method.Config.__mro__[:-1]):
        comments |= dict(re.findall(r"^    (\w+):[^=\n]+=.*?#:? *(.+)$", inspect.getsource(kind), re.MULTILINE))
    rows = [
        f"| `{f.name}` | {_default(f.default)} | {comments.get(f.name, '').replace('|', '/')} |"
        for f in dataclasses.fields(method.Config)
    ]
    return "\n".join(["| option | default | |", "| --- | --- | --- |", *rows]) if rows else "None."


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
    rows = [row for row in published() if row.registered == method.name.partition(":")[0]]
    if not rows:
        return "None that we know of."
    papers = sorted({row.paper for row in rows})
    return f"{len(rows)}, in {len(papers)} sources: " + "; ".join(papers) + "."


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
