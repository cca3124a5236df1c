"""A sweep: a grid of runs as a user gives it, checked, and as sweep.toml keeps it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Container, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .. import toml
from ..contract.errors import BadInput, unknown
from ..contract.text import cut, written
from ..noise import brings_file, file_kind, takes_rate
from ..paths import whole_path
from ..spec import FINE_TUNE, MOST_SEEDS, NAMED_WEIGHTS, DatasetSpec, Recipe, RunSpec, recipe


@cache
def _default() -> dict[str, Any]:
    """scripts/default.toml: what a sweep is where nothing else is said."""
    return tomllib.loads((files("benchmark.scripts") / "default.toml").read_text(encoding="utf-8"))


def _usual(name: str) -> Any:
    return Field(default_factory=lambda: _default()[name], validate_default=True)


MOST_NAMES = 1_000
"""Of methods, rates, files or plugins in a sweep."""
MOST_RUNS = 100_000
"""In a sweep; a plan keeps all of them, with their labels."""
MOST_SWEEPS = 1_000
"""In a file."""


class Sweep(BaseModel):
    """Everything that decides which runs there are and what they give. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = _usual("dataset")
    methods: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_NAMES)] = _usual("methods")
    noise: Annotated[tuple[Annotated[float, Field(strict=True)], ...], Field(max_length=MOST_NAMES)] = ()  #: percent
    noise_kind: str = _usual("noise_kind")
    noise_files: Annotated[tuple[str, ...], Field(max_length=MOST_NAMES)] = ()
    imbalance: float | None = Field(default=None, ge=1, le=100_000, strict=True)
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**32, strict=True)], ...], Field(min_length=1, max_length=MOST_SEEDS)
    ] = _usual("seeds")
    recipe: str = _usual("recipe")
    epochs: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    batch_size: int | None = Field(default=None, ge=2, le=1_000_000, strict=True)
    balanced: bool | None = Field(default=None, strict=True)
    backbone: str = _usual("backbone")
    pretrained: str | None = None
    validation: float = Field(default=0.0, ge=0, le=50, strict=True)  #: percent
    precision: str = "auto"
    threads: int | None = Field(default=None, ge=1, le=1024, strict=True)  #: a run; fixed from the whole grid and kept
    data_root: str | None = None
    options: dict[str, dict[str, Any]] = {}  #: by method or dataset
    plugins: Annotated[tuple[str, ...], Field(max_length=MOST_NAMES)] = ()

    @model_validator(mode="before")
    @classmethod
    def _weights_are_fine_tuned(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("pretrained") is not None:
            return {"recipe": FINE_TUNE, **given}
        return given

    @model_validator(mode="after")
    def _noise_fits_its_kind(self) -> Self:
        if takes_rate(self.noise_kind):
            for rate in self.noise:
                if not 0 <= rate <= 100:
                    raise BadInput(f"--noise {rate:g}: wanted percent, from 0 to 100")
        elif self.noise:
            raise BadInput(f"--noise: the noise kind '{self.noise_kind}' brings its own rate and takes none")
        if brings_file(self.noise_kind) != bool(self.noise_files):
            raise BadInput("--noise-kind file (or confusion) and --noise-file FILE go together")
        kinds = [file_kind(self.noise_kind, Path(file)) for file in dict.fromkeys(self.noise_files)]
        for kind in kinds:
            if kinds.count(kind) > 1:
                called = kind.partition(":")[2]
                raise BadInput(f"--noise-file: two files are called {called}; their noises could not be told apart")
        return self

    @model_validator(mode="after")
    def _is_no_larger_than_a_plan(self) -> Self:
        self.need_few_runs()
        return self

    def need_few_runs(self) -> None:
        """Raises BadInput where the grid is larger than what can be planned."""
        sizes = {"methods": len(set(self.methods)), "noises": self.noises, "seeds": len(set(self.seeds))}
        if (runs := math.prod(sizes.values())) > MOST_RUNS:
            grid = " x ".join(f"{size:,} {what}" for what, size in sizes.items())
            raise BadInput(f"a sweep of {runs:,} runs ({grid}): wanted at most {MOST_RUNS:,}")

    @property
    def noises(self) -> int:
        """How many rates and files the grid has."""
        return len(self.rates) * max(1, len(set(self.noise_files)))

    @property
    def rates(self) -> tuple[float | None, ...]:
        """The rates of the grid, in percent."""
        if not takes_rate(self.noise_kind):
            return (None,)
        return tuple(dict.fromkeys(rate + 0.0 for rate in self.noise or _default()["noise"]))  # + 0.0: -0 is 0

    def full_recipe(self, own: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
        """The recipe with what was changed in it; `own` is a method's, for the recipe `paper`. Raises BadInput."""
        return recipe(self.recipe, self.epochs, self.batch_size, own, balanced=self.balanced)

    def dataset_spec(self) -> DatasetSpec:
        """Which images. Raises BadInput."""
        name = self.dataset.partition("@")[0].strip()
        return DatasetSpec.parse(self.dataset, self.options.get(name, {}), self.imbalance)

    def runs(self) -> Iterator[tuple[RunSpec, Path | None]]:
        """The grid in order (noise, then method, then seed), each run with its noise file."""
        dataset, recipe = self.dataset_spec(), self.full_recipe()
        files: list[Path | None] = [Path(f) for f in dict.fromkeys(self.noise_files)] or [None]
        for rate in self.rates:
            for file in files:
                for method in dict.fromkeys(self.methods):
                    for seed in dict.fromkeys(self.seeds):
                        yield self._run(dataset, recipe, rate, file, method, seed), file

    def _run(
        self, dataset: DatasetSpec, recipe: Recipe, rate: float | None, file: Path | None, method: str, seed: int
    ) -> RunSpec:
        return RunSpec(
            dataset=dataset,
            noise_kind=file_kind(self.noise_kind, file) if file else self.noise_kind,
            noise_rate=None if rate is None else rate / 100,
            method=method,
            options=self.options.get(method, {}),
            backbone=self.backbone,
            pretrained=self.pretrained,
            recipe=recipe,
            validation=self.validation / 100,
            precision=self.precision,
            seed=seed,
        )


ONLY_HERE = ("out", "device", "jobs", "runs_per_device", "shard", "dry_run", "force", "retry_failed", "quiet", "json")
"""What says how a sweep is run, not what it gives."""


def checked_sweep(given: Mapping[str, Any], options: Container[str] = ()) -> Sweep:
    """A sweep from plain data, with its rates said: as kept it means the same grid also when others are usual.

    `options`: what was given by an option of the command line, and is called by that. Raises BadInput in one line, with the
    nearest name for an unknown key.
    """
    try:
        sweep = Sweep(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        if where in ONLY_HERE:
            raise BadInput(
                f"'{where}' is no setting of a sweep; give --{where.replace('_', '-')} on the command line"
            ) from None
        if first["type"] == "extra_forbidden":
            raise unknown("setting of a sweep", where, Sweep.model_fields) from None
        message = first["msg"].replace("valid tuple", "list")
        called = f"--{where.replace('_', '-')}" if where in options else where
        raise BadInput(f"{called}: got {written(first['input'])}; {message[0].lower()}{message[1:]}") from None
    return sweep.model_copy(update={"noise": sweep.rates}) if takes_rate(sweep.noise_kind) else sweep


ABOUT = ("about", "citation")
"""What a file of sweeps may say of itself."""


def read_settings(file: Path) -> list[dict[str, Any]]:
    """The settings of one sweep, or of several under [[sweep]] as in sweep.toml, from a TOML file. Raises BadInput."""
    said = toml.read("--config", file)
    content = {name: value for name, value in said.items() if name not in ABOUT}
    several = content.get("sweep", [content])
    if isinstance(several, list) and len(several) > MOST_SWEEPS:
        raise BadInput(f"--config {file}: it has {len(several):,} sweeps; wanted at most {MOST_SWEEPS:,}")
    if not several or not isinstance(several, list) or not all(isinstance(entry, dict) for entry in several):
        raise BadInput(f"--config {file}: wanted the settings of a sweep, or tables named [[sweep]]")
    if "sweep" in content and len(content) > 1:
        stray = next(name for name in content if name != "sweep")
        raise BadInput(f"--config {file}: '{cut(stray)}' stands beside [[sweep]]; put it into each")
    return [_with_whole_paths(entry, file) for entry in several]


def _with_whole_paths(entry: dict[str, Any], file: Path) -> dict[str, Any]:
    """The settings with their paths counted from where the file lies. Raises BadInput where they are none."""
    what, here = f"--config {file}:", file.resolve().parent
    for name in ("pretrained", "data_root"):
        if isinstance(entry.get(name), str) and entry[name] not in NAMED_WEIGHTS:
            entry[name] = str(whole_path(f"{what} {name}", entry[name], here))
    for name in ("plugins", "noise_files"):
        if isinstance(given := entry.get(name), list) and all(isinstance(path, str) for path in given):
            entry[name] = [str(whole_path(f"{what} {name}", path, here)) for path in given]
    options = entry.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(values, dict) for values in options.values()):
        raise BadInput(f"{what} wanted tables of options, as in [options.scn]")
    return entry
