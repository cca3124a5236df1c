"""One finished run: whether it is what it was when it was finished, and agrees with itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from os import stat_result
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.errors import BadInput
from ..record import ModelRecord
from ..score import mistakes
from ..spec import PROTOCOL, RunSpec
from ..store import Inputs, RunFolder
from ..store.manifest import FORMAT, LARGE, MANIFEST, OPTIONAL, SMALL, Content
from .finding import Fault
from .grid import Line, key_of_stored, plain_json
from .numbers import ARRAYS, at_odds, of_history, of_outcomes, of_predictions
from .tree import MOST, Tree, Unreadable


class Checkup:
    """A finished run looked at from all sides. `faults` does it; the rest is what it has learned when it is through."""

    def __init__(
        self,
        tree: Tree,
        folder: RunFolder,
        line: Line | None,
        there: Mapping[str, stat_result],
        labels: Mapping[str, NDArray[np.int32]],
    ):
        """`line`: of the grid; `there`: what lies in the folder; `labels`: those given, by their artefacts' sha256."""
        self._tree, self._folder, self._there, self._labels = tree, folder, there, labels
        self._vouched: dict[str, Content] | None = None  # None: nobody vouches
        self._found: dict[str, str] = {}  # sha256 of the files that are here and as they should be
        self.inputs: Inputs | None = line.run.inputs if line else None
        self.absent: list[str] = []  #: large files that are not here
        self.spec: RunSpec | None = None
        self.metrics: dict[str, float | None] = {}
        self._right: NDArray[np.bool_] | None = None  # about each test image

    def faults(self) -> Iterator[Fault]:
        """Everything that is wrong with it. Where nobody vouches for what it was, nobody knows that it is not so any more.

        Nor is it damage where a file that is as it was written cannot be read: another version of the suite has written it.
        """
        try:
            yield from self._manifest()
        except BadInput as error:
            yield Fault("damaged", self._short(error))
        except Unreadable as error:
            yield Fault("unverified", f"{MANIFEST}: {error}")
        for check in (
            *(self._files, self._key, self._metrics, self._history, self._model, self._environment),
            *(self._outcomes, self._predictions),
        ):
            try:
                for fault in check():
                    yield fault if self._vouched is not None else replace(fault, kind="unverified")
            except BadInput as error:
                yield Fault("unverified", f"it is as it was written, but {self._short(error)}")
            except Unreadable as error:
                yield Fault("unverified", str(error))

    def _short(self, error: BadInput) -> str:
        return str(error).replace(f"{self._folder.path}/", "", 1)

    def _manifest(self) -> Iterator[Fault]:
        if MANIFEST not in self._there:
            yield Fault("unverified", "no manifest: cannot be verified; run again with --force")
            return
        plain = plain_json(self._tree.plain("runs", self._folder.key, MANIFEST))
        number = plain.get("format") if isinstance(plain, dict) else None
        if isinstance(number, int) and number != FORMAT:
            yield Fault("unverified", f"{MANIFEST} has format {number}, and this version of the suite knows {FORMAT}")
            return
        manifest = self._folder.manifest()
        self.inputs, self._vouched = manifest.inputs, dict(manifest.files)
        for name in sorted(self._vouched.keys() - {*SMALL, *LARGE}):
            yield Fault("damaged", f"{MANIFEST} has a file '{name}', and no run has that")

    def _files(self) -> Iterator[Fault]:
        for name in (*SMALL, *LARGE):
            wanted = self._vouched.get(name) if self._vouched is not None else None
            if self._vouched is not None and wanted is None and (name in self._there or name not in OPTIONAL):
                yield Fault("damaged", f"{name} is not in {MANIFEST}")
            elif name in self._there:
                yield from self._file(name, wanted)
            elif name in SMALL:
                yield Fault("damaged", f"{name} is missing")
            elif wanted or name not in OPTIONAL:
                self.absent.append(name)

    def _file(self, name: str, wanted: Content | None) -> Iterator[Fault]:
        try:
            with self._tree.opened("runs", self._folder.key, name) as file:
                found = Content.read(file)
        except Unreadable as error:
            yield Fault("unverified", f"{name}: {error}")
            return
        if wanted and found.size != wanted.size:
            yield Fault("damaged", f"{name}: it has {found.size} bytes, and {wanted.size} in {MANIFEST}")
        elif wanted and found.sha256 != wanted.sha256:
            yield Fault("damaged", f"{name}: its sha256 is not the one in {MANIFEST}")
        elif name in SMALL and found.size > MOST:
            yield Fault("damaged", f"{name}: it has {found.size} bytes, more than the suite writes")
        else:
            self._found[name] = found.sha256

    def _key(self) -> Iterator[Fault]:
        """Everything that the result hangs on, but the dataset, is in the key."""
        if "spec.json" not in self._found:
            return
        self.spec = self._folder.spec()
        if self.inputs is not None:
            key = key_of_stored(plain_json(self._folder.path / "spec.json"), self.inputs)
            if key != self._folder.key:
                yield Fault("damaged", f"its spec, code, labels and weights are those of the run {key}")

    def _metrics(self) -> Iterator[Fault]:
        if "metrics.json" in self._found:
            self.metrics = self._folder.metrics()
        yield from ()

    def _history(self) -> Iterator[Fault]:
        if "history.csv" not in self._found:
            return
        columns = self._folder.history()
        try:
            again = of_history(columns)
        except (KeyError, ValueError) as error:
            raise BadInput(f"history.csv: nothing can be chosen from it ({error})") from None
        yield from self._compared(again, "history.csv")

    def _compared(self, again: Mapping[str, float | None], by: str) -> Iterator[Fault]:
        """The metrics against figures that were worked out again, by today's rules."""
        if not self.metrics or self.inputs is None:
            return
        told = [f"metrics.json: its {said} by {by}" for said in at_odds(self.metrics, again)]
        if told and self.inputs.protocol != PROTOCOL:
            yield Fault("unverified", f"{told[0]}; it was made under protocol {self.inputs.protocol}, and this is {PROTOCOL}")
        else:
            yield from (Fault("damaged", said) for said in told)

    def _model(self) -> Iterator[Fault]:
        if "model.json" not in self._found:
            return
        record = self._folder.record()
        for name, value in self._known_of_model().items():
            if _said(record)[name] != value:
                yield Fault("damaged", f"model.json: its {name} is not the run's")
        if self.metrics:
            for said in at_odds(record.metrics, self.metrics, record.metrics):
                yield Fault("damaged", f"model.json: its {said} in metrics.json")
        if self._found.get("model.safetensors", record.weights_sha256) != record.weights_sha256:
            yield Fault("damaged", "model.safetensors: its sha256 is not the one in model.json")

    def _known_of_model(self) -> dict[str, Any]:
        known: dict[str, Any] = {"key": self._folder.key}
        if self.spec:
            known["spec"] = self.spec
        if self.inputs:
            known |= {"code": self.inputs.code, "protocol": self.inputs.protocol, "dataset": self.inputs.dataset_sha256}
        return known

    def _environment(self) -> Iterator[Fault]:
        if "environment.json" in self._found:
            said = self._folder.environment().get("noise_sha256")
            if self.inputs and said != self.inputs.noise_sha256:
                yield Fault("damaged", "environment.json: its noise_sha256 is not the run's")

    def _outcomes(self) -> Iterator[Fault]:
        """The accuracies of what was right, on which hangs what tables print in bold."""
        if "outcomes.npz" not in self._found:
            return
        self._right, reference = self._folder.outcomes()
        yield from self._compared(of_outcomes(self._right, reference), "outcomes.npz")

    def _predictions(self) -> Iterator[Fault]:
        """The metrics and the labels of what was predicted."""
        if "predictions.npz" not in self._found:
            return
        arrays = self._folder.arrays("predictions", ARRAYS)
        try:
            again = of_predictions(arrays)
            labels = self._labels.get(self.inputs.noise_sha256) if self.inputs else None
            given = labels is None or np.array_equal(labels[arrays["train_index"]], arrays["train_given"])
        except Exception as error:  # arrays of any shape and type, of which numpy raises what it likes
            raise BadInput(f"predictions.npz: its arrays are not a run's ({' '.join(str(error).split())})") from None
        yield from self._compared(again, "predictions.npz")
        if not given:
            yield Fault("damaged", "predictions.npz: its given labels are not those of the noise artefact")
        right = ~mistakes(arrays["test_logits"], arrays["test_reference"])
        if self._right is not None and not np.array_equal(self._right, right):
            yield Fault("damaged", "outcomes.npz: it is not what predictions.npz says")


def _said(record: ModelRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "spec": record.spec,
        "code": record.code,
        "protocol": record.protocol,
        "dataset": record.data.sha256,
    }
