"""A sweep: a grid of runs as a user gives it, checked, and as sweep.toml keeps it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from ..contract.errors import BadInput, unknown
from ..noise import FILE, takes_rate
from ..spec import DatasetSpec, Recipe, RunSpec, recipe

DEFAULT_RATES = (10.0, 20.0, 30.0)


class Sweep(BaseModel):
    """Everything that decides which runs there are and what they give. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = "faces"
    methods: tuple[str, ...] = Field(default=("ce", "scn", "dul", "rul"), min_length=1)
    noise: tuple[float, ...] = ()  #: percent
    noise_kind: str = "symmetric"
    noise_files: tuple[str, ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    recipe: str = "common"
    epochs: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=2)
    backbone: str = "small"
    pretrained: str | None = None
    validation: float = Field(default=0.0, ge=0, le=50)  #: percent
    precision: str = "auto"
    threads: int | None = Field(default=None, ge=1)  #: a run; fixed from the whole grid and kept
    options: dict[str, dict[str, Any]] = {}  #: by method or dataset
    plugins: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _noise_fits_its_kind(self) -> Self:
        if takes_rate(self.noise_kind):
            for rate in self.noise:
                if not 0 <= rate <= 100:
                    raise BadInput(f"--noise {rate:g}: wanted percent, from 0 to 100")
        elif self.noise:
            raise BadInput(f"--noise: the noise kind '{self.noise_kind}' brings its own rate and takes none")
        if (self.noise_kind == FILE) != bool(self.noise_files):
            raise BadInput("--noise-kind file and --noise-file FILE go together")
        stems = [Path(file).stem for file in dict.fromkeys(self.noise_files)]
        for stem in stems:
            if stems.count(stem) > 1:
                raise BadInput(f"--noise-file: two files are called {stem}; their noises could not be told apart")
        return self

    @property
    def rates(self) -> tuple[float | None, ...]:
        """The rates of the grid, in percent."""
        if not takes_rate(self.noise_kind):
            return (None,)
        return tuple(dict.fromkeys(self.noise)) or DEFAULT_RATES

    @property
    def full_recipe(self) -> Recipe:
        """The recipe with what was changed in it. Raises BadInput."""
        return recipe(self.recipe, self.epochs, self.batch_size)

    def dataset_spec(self) -> DatasetSpec:
        """Which images. Raises BadInput."""
        name = self.dataset.partition("@")[0].strip()
        return DatasetSpec.parse(self.dataset, self.options.get(name, {}))

    def runs(self) -> Iterator[tuple[RunSpec, Path | None]]:
        """The grid in order (noise, then method, then seed), each run with its noise file."""
        dataset = self.dataset_spec()
        files: list[Path | None] = [Path(f) for f in dict.fromkeys(self.noise_files)] or [None]
        for rate in self.rates:
            for file in files:
                for method in dict.fromkeys(self.methods):
                    for seed in dict.fromkeys(self.seeds):
                        yield self._run(dataset, rate, file, method, seed), file

    def _run(self, dataset: DatasetSpec, rate: float | None, file: Path | None, method: str, seed: int) -> RunSpec:
        return RunSpec(
            dataset=dataset,
            noise_kind=f"{FILE}:{file.stem}" if file else self.noise_kind,
            noise_rate=None if rate is None else rate / 100,
            method=method,
            options=self.options.get(method, {}),
            backbone=self.backbone,
            pretrained=self.pretrained,
            recipe=self.full_recipe,
            validation=self.validation / 100,
            precision=self.precision,
            seed=seed,
        )


def checked_sweep(given: Mapping[str, Any]) -> Sweep:
    """A sweep from plain data. Raises BadInput in one line, with the nearest name for an unknown key."""
    try:
        return Sweep(**given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        if first["type"] == "extra_forbidden":
            raise unknown("setting of a sweep", where, Sweep.model_fields) from None
        raise BadInput(f"{where}: got {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}") from None


def read_settings(file: Path) -> list[dict[str, Any]]:
    """The settings of one sweep, or of several under [[sweep]] as in sweep.toml, from a TOML file. Raises BadInput."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"--config {file}: it cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"--config {file}: it is not TOML ({' '.join(str(error).split())})") from None
    several = content.get("sweep", [content])
    if not several or not isinstance(several, list) or not all(isinstance(entry, dict) for entry in several):
        raise BadInput(f"--config {file}: wanted the settings of a sweep, or tables named [[sweep]]")
    return several


def checked_options(name: str, config: type, given: Mapping[str, Any]) -> Any:
    """An instance of a plugin's config dataclass from `--set` values, which are often text. Raises BadInput."""
    import dataclasses

    fields = [f.name for f in dataclasses.fields(config)]
    for option in given:
        if option not in fields:
            if not fields:
                raise BadInput(f"{name} has no options; {name}.{option} was set")
            raise unknown(f"option of {name}", option, fields)
    try:
        return TypeAdapter(config).validate_python(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([name, *map(str, first["loc"])])
        raise BadInput(f"{where}: got {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}") from None
