"""Measured numbers beside published ones: which belong together, and in what their protocols differ."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from string import ascii_lowercase

from ..noise import EXACT
from ..spec import backbone_parts
from .formats import Table
from .grouping import (
    by_noise,
    grouped,
    keys_of,
    method_of,
    method_title,
    noise_of,
    noise_title,
    setting_of,
    setting_title,
    values_of,
)
from .published import CLEAN, UNSTATED, Published
from .results import Result

_METRICS = {"accuracy": "acc_last", "macro_acc": "macro_acc", "nll": "nll", "ece": "ece"}
"""The column of results.csv that a published metric stands beside: the last epoch's, whichever the paper chose."""
_TITLES = {"accuracy": "accuracy (%)", "macro_acc": "mean over classes (%)", "nll": "NLL (nats)", "ece": "ECE (%)"}
_ONE_COIN = ("symmetric", "symmetric-inclusive", UNSTATED)
"""What papers call symmetric, and give the same rates."""
_SELECTION = {
    "best": "its epoch is the best on the test set",
    "last10": "it is the mean of the last 10 epochs",
    "val": "its epoch was chosen by held-out images",
}


def beside_published(results: Sequence[Result], rows: Sequence[Published]) -> tuple[list[Table], list[str]]:
    """A table for each setting and paper that has numbers of it, and a line for each setting of which no number is known.

    A number stands beside the cells of its method, dataset, noise and rate. What else differs marks the cell.
    """
    made, lacking = [], []
    for group in grouped(by_noise(results), setting_of).values():
        found = [
            (members, row)
            for of_noise in grouped(group, noise_of).values()
            for members in grouped(of_noise, method_of).values()
            for row in rows
            if belongs(members[0], row) and values_of(members, _METRICS[row.metric])
        ]
        papers = dict.fromkeys(row.paper for _, row in found)
        made += [_table(group, paper, [pair for pair in found if pair[1].paper == paper]) for paper in papers]
        if not found:
            lacking.append(f"No published number that we know of stands beside a finished run of: {setting_title(group[0])}")
    return made, lacking


def belongs(run: Result, row: Published) -> bool:
    """Whether a number is of the same method, dataset and noise as a run, by name and nominal rate."""
    spec, dataset = run.spec, row.registered_dataset.partition("[")[0]
    if row.registered.partition(":")[0] != spec.method.partition(":")[0] or dataset != spec.dataset.name:
        return False
    if _classes(row) not in ("?", str(spec.dataset.options.get("classes", ""))):
        return False
    if spec.noise_rate is None:
        return spec.noise_kind == row.registered_noise
    if spec.noise_rate == 0 or row.registered_noise == CLEAN:
        return spec.noise_rate == row.noise_rate == 0
    return _family(spec.noise_kind) == _family(row.registered_noise) and abs(spec.noise_rate * 100 - row.noise_rate) < 1e-6


def differences_of(run: Result, row: Published) -> list[str]:
    """In what the published number's protocol differs from the run's, a phrase for each; what is not known of it, too."""
    spec, said, silent = run.spec, [], []

    def compare(what: str, theirs: str, ours: str, phrase: str) -> None:
        if not theirs:
            silent.append(what)
        elif theirs != ours:
            said.append(phrase)

    compare("how the epoch was chosen", row.selection, "last", _SELECTION.get(row.selection, ""))
    compare("the epochs", str(row.epochs or ""), str(spec.recipe.epochs), f"{row.epochs} epochs")
    backbone, side = backbone_parts(spec.backbone)
    compare("the backbone", row.registered_backbone, backbone, f"backbone {row.registered_backbone}")
    if side:
        said.append(f"images not brought to {side} px")
    started = "no pretrained weights" if row.weights == "none" else f"weights {row.weights}"
    compare("the pretrained weights", row.weights, spec.pretrained or "none", started)
    if row.registered_noise == UNSTATED:
        silent.append("whether symmetric noise may draw the true class")
    elif spec.noise_rate and row.registered_noise != spec.noise_kind:
        said.append(f"noise {row.registered_noise}")
    if _classes(row) == "?":
        silent.append("the number of classes")
    if spec.dataset.subset is not None:
        said.append("all training images")
    if spec.dataset.imbalance is not None:
        said.append("no long tail")
    said += [f"without {name}={value}" for name, value in spec.dataset.options.items() if name != "classes"]
    if spec.validation and row.selection != "val":
        said.append("no images held out")
    if not spec.recipe.is_own:
        said.append("its own recipe")
    if row.registered != spec.method:
        said.append(f"method {row.registered}")
    return [*said, *(f"not known: {what}" for what in silent)]


def _table(group: Sequence[Result], paper: str, found: Sequence[tuple[Sequence[Result], Published]]) -> Table:
    letters: dict[str, str] = {}
    metrics = dict.fromkeys(row.metric for _, row in found)
    several = len(metrics) > 1
    rows, runs = [], []
    for members, row in found:
        marks = [letters.setdefault(phrase, ascii_lowercase[len(letters)]) for phrase in differences_of(members[0], row)]
        names = (noise_title(members, short=False), method_title(members[0]), row.method)
        metric = (_TITLES[row.metric],) if several else ()
        rows.append((*names, *metric, *_numbers(values_of(members, _METRICS[row.metric]), row), " ".join(sorted(marks))))
        runs.append(((),) * len((*names, *metric)) + (keys_of(members),) + ((),) * 3)
    small = any(members[0].spec.dataset.subset is not None for members, _ in found)
    title = f"{'Small scale, not the published setting. ' if small else ''}Beside {paper}: {setting_title(group[0])}"
    metric_column = ("metric",) if several else ()
    columns = ("noise", "method", "published as", *metric_column, "measured", "published", "difference", "marks")
    unit = "" if several else f"In {_TITLES[found[0][1].metric]}. "
    return Table(title, columns, tuple(rows), unit + _caption(found, letters), tuple(runs), names=4 if several else 3)


def _numbers(values: Sequence[float], row: Published) -> tuple[str, str, str]:
    """Measured, published, difference."""
    decimals = 3 if row.metric == "nll" else 2
    measured = statistics.fmean(values)
    spread = f" ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
    beside = f"{row.value:.{decimals}f}" + (f" ± {row.spread:.{decimals}f}" if row.spread is not None else "")
    return (
        f"{measured:.{decimals}f}{spread} (n = {len(values)})",
        beside if row.verified == "yes" else f"{beside} (UNVERIFIED)",
        f"{measured - row.value:+.{decimals}f}",
    )


def _caption(found: Sequence[tuple[Sequence[Result], Published]], letters: dict[str, str]) -> str:
    said = [
        "Measured: at the last epoch, mean ± standard deviation over n seeds. Difference: measured minus published; it judges "
        "an implementation only where no mark stands beside it. Optimiser, batch size and augmentation are not compared."
    ]
    if letters:
        told = "; ".join(f"{letter}: {phrase}" for phrase, letter in letters.items())
        said.append(f"Marks, of the published number: {told}.")
    sources = {True: "Source", False: "UNVERIFIED, for its source was not read"}
    for verified, word in sources.items():
        if of_these := dict.fromkeys(row.source for _, row in found if (row.verified == "yes") == verified):
            said.append(f"{word}: {'; '.join(of_these)}.")
    return " ".join(said)


def _classes(row: Published) -> str:
    return row.registered_dataset.partition("[classes=")[2].removesuffix("]")


def _family(kind: str) -> str:
    plain = kind.removesuffix(EXACT)
    return _ONE_COIN[0] if plain in _ONE_COIN else plain
