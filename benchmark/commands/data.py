"""`data prepare`, `data check` and `data show`: a dataset got, verified and looked at."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from typer import Option

from ..contract.errors import BadInput, told
from .arguments import as_json_text, path_of, set_options
from .terminal import tell

if TYPE_CHECKING:
    from ..contract.dataset import Dataset
    from ..spec import DatasetSpec

Name = Annotated[str, typer.Argument(metavar="NAME", help="A dataset; see list datasets.")]
Root = Annotated[str | None, Option(help="Where datasets lie; default $BENCHMARK_DATA.")]
Set = Annotated[list[str] | None, Option("--set", help="NAME.OPTION=VALUE of the dataset; repeatable.")]
Plugin = Annotated[list[str] | None, Option(help="A Python file with methods or datasets; repeatable.")]
SHOWN = 20


def data_prepare(name: Name, data_root: Root = None, set_: Set = None, plugin: Plugin = None) -> None:
    """Fetch a dataset where that is allowed, verify it, and convert it into the cache; or say what to get by hand."""
    from ..cache import prepare
    from ..data import load

    spec, dataset = dataset_at(name, data_root, set_, plugin)
    for line in dataset.download():
        tell(line)
    folder = prepare(dataset)
    prepared = load(folder, spec)
    for note in prepared.data.notes:
        tell(note)
    train, test = prepared.data.train, prepared.data.test
    size = "x".join(map(str, train.images.shape[1:]))
    print(f"{spec.label}: {len(train)} training and {len(test)} test images of {size}, {len(prepared.data.classes)} classes")
    print(f"sha256 {prepared.sha256}")
    print(f"cached in {folder}")


def data_check(
    name: Name,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
    json_: Annotated[bool, Option("--json", help="An array of objects.")] = False,
) -> None:
    """Verify a dataset file by file: what is missing, damaged, of the wrong size, without a label, or there twice."""
    _, dataset = dataset_at(name, data_root, set_, plugin)
    try:
        findings = list(dataset.findings())
    except BadInput:
        raise
    except Exception as error:  # a plugin's own fault, and named as such
        raise BadInput(f"dataset '{dataset.name}' failed: {told(error)}") from error
    if json_:
        print(as_json_text([vars(finding) for finding in findings]))
    else:
        for kind, count in Counter(finding.kind for finding in findings).items():
            print(f"{kind}: {count}")
            of_kind = [finding for finding in findings if finding.kind == kind]
            for finding in of_kind[:SHOWN]:
                print(f"  {finding.where}{f': {finding.detail}' if finding.detail else ''}")
            if count > SHOWN:
                print(f"  … {count - SHOWN} more; --json shows all")
        if not findings:
            print(f"{name}: nothing is wrong with it")
    if any(not finding.kind.startswith("duplicate") for finding in findings):  # those are known of many sets
        raise typer.Exit(1)


def data_show(
    name: Name,
    data_root: Root = None,
    set_: Set = None,
    plugin: Plugin = None,
    out: Annotated[str | None, Option(help="A .png to write a contact sheet to.")] = None,
) -> None:
    """Show a dataset's card, then its counts; with --out, write a contact sheet of its classes."""
    from ..cache import prepare
    from ..data import load
    from ..sheet import contact_sheet

    spec, dataset = dataset_at(name, data_root, set_, plugin)
    file = None if out is None else Path(path_of("--out", out))
    if file and file.suffix.lower() != ".png":
        raise BadInput(f"--out {file}: wanted a name that ends in .png")
    card = dataset.card
    print(card.summary)
    for title, text in (("from", card.citation), ("see", card.source), ("licence", card.licence), ("access", card.access)):
        if text:
            print(f"{title}: {text}")
    for text in card.defects:
        print(f"- {text}")
    sys.stdout.flush()  # the card can be read before access is granted, and stands before the line that says what is missing
    data = load(prepare(dataset), spec).data
    for text in data.notes:
        print(f"- {text}")
    counts = [np.bincount(split.labels, minlength=len(data.classes)) for split in (data.train, data.test)]
    width = max(len("all"), *map(len, data.classes))
    print(f"\n{'class':<{width}}  {'train':>7}  {'test':>7}")
    for class_name, *numbers in (*zip(data.classes, *counts, strict=True), ("all", *(count.sum() for count in counts))):
        print(f"{class_name:<{width}}  {numbers[0]:>7}  {numbers[1]:>7}")
    for kind, labels in data.human_labels.items():
        print(f"noise kind {kind}: {100 * np.mean(labels != data.train.labels):.2f} % of the training labels differ")
    if data.mistakes:
        print(f"maps of mistakes: {', '.join(data.mistakes)}")
    if file is None:
        return
    try:
        contact_sheet(data.test, data.classes).save(file, optimize=True)
    except OSError as error:
        raise BadInput(f"--out {file}: it cannot be written ({error.strerror})") from None
    print(f"contact sheet: {file}")


def dataset_at(
    name: str, data_root: str | None, set_: list[str] | None, plugin: list[str] | None
) -> tuple[DatasetSpec, Dataset]:
    """The dataset that a command line names. Raises BadInput."""
    from ..contract.registry import load_plugins
    from ..spec import DatasetSpec
    from ..sweep.inputs import data_root as root_of
    from ..sweep.inputs import dataset_of

    plugins = load_plugins([path_of("--plugin", file) for file in plugin or []])
    options = set_options(set_) or {}
    spec = DatasetSpec.parse(name, options.get(name.partition("@")[0], {}))
    for other in options:
        if other != spec.name:
            raise BadInput(f"--set {other}.…: this is about {spec.name}")
    return dataset_of(plugins, spec, root_of(data_root and path_of("--data-root", data_root)))
