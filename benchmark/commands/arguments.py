"""The words of the command line as plain data. Raises BadInput for what cannot be meant (typer.BadParameter
where typer calls, which adds the option that was given)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer

from ..contract.errors import BadInput
from ..contract.text import CONTROLS
from ..paths import whole_path
from ..spec import MOST_SEEDS, NAMED_WEIGHTS

T = TypeVar("T")


def whole_number(text: str) -> int:
    """A whole number, for an option that takes one."""
    return _read(text, _whole, "a whole number")


def plain_number(text: str) -> float:
    """A number, for an option that takes one."""
    return _read(text, _number, "a number")


def _read(text: str, kind: Callable[[str], T], what: str) -> T:
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not {what}") from None


def _whole(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,18}", text):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    if "_" in text:  # which Python reads over
        raise ValueError
    return float(text)


def words(option: str, text: str | None) -> list[str] | None:
    """What stands between commas; None where nothing was given."""
    if text is None:
        return None
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise BadInput(f"{option}: got {text!r}; wanted a list with commas")
    return found


def path_of(option: str, text: str) -> str:
    """A whole path, so that sweep.toml can be run from anywhere."""
    return str(whole_path(option, text))


def weights_of(text: str | None) -> str | None:
    """What --pretrained means: a name, or a file by its whole path."""
    return text if text in (None, *NAMED_WEIGHTS) else path_of("--pretrained", str(text))


def merged(entry: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings of a file with those of the command line before them; options are merged one by one.

    What belongs to a setting that the command line replaces goes with it: options of other methods and of another dataset,
    rates and files of another noise.
    """
    entry, methods = dict(entry), given.get("methods", ["all"])
    earlier = entry.get("methods")
    left: set[str] = set()
    if "all" not in methods and isinstance(earlier, list):  # what is none is refused where the sweep is checked
        left = {name for name in earlier if isinstance(name, str)} - set(methods)
    if "dataset" in given:
        left |= {str(entry.get("dataset", "")).partition("@")[0]} - {given["dataset"].partition("@")[0]}
    if "noise_kind" in given and given["noise_kind"] != entry.get("noise_kind"):
        entry.pop("noise", None)
        entry.pop("noise_files", None)
    options = {name: dict(values) for name, values in entry.pop("options", {}).items() if name not in left}
    for name, values in given.get("options", {}).items():
        options[name] = {**options.get(name, {}), **values}
    return {**entry, **given, **({"options": options} if options else {})}


def rates(text: str | None) -> list[float] | None:
    """The rates of --noise, in percent."""
    return _numbers("--noise", text, _number, "rates in percent")


def _numbers(option: str, text: str | None, kind: Callable[[str], T], what: str) -> list[T] | None:
    try:
        return None if text is None else [kind(word) for word in words(option, text) or []]
    except ValueError:
        raise BadInput(f"{option} {text}: wanted {what} with commas, as in 10,20,30") from None


def seed_list(count: int | None, named: str | None) -> list[int] | None:
    """The seeds that --seeds (a count) or --seed (which) mean; None where neither was given."""
    if count is not None and named is not None:
        raise BadInput("--seeds (how many) and --seed (which) exclude each other")
    if count is not None and not 1 <= count <= MOST_SEEDS:
        raise BadInput(f"--seeds {count}: wanted a count of at least 1 and at most {MOST_SEEDS}")
    seeds = list(range(count)) if count is not None else _numbers("--seed", named, _whole, "whole numbers")
    if seeds is not None and (not seeds or min(seeds) < 0):
        raise BadInput(f"--seed {named}: wanted whole numbers from 0")
    return seeds


def set_options(given: Sequence[str] | None) -> dict[str, dict[str, str]] | None:
    """The --set options by method or dataset."""
    options: dict[str, dict[str, str]] = {}
    for text in given or []:
        left, equals, value = text.partition("=")
        name, dot, option = left.partition(".")
        if not (equals and dot and name and option):
            raise BadInput(f"--set {text}: wanted NAME.OPTION=VALUE, as in scn.beta=0.5")
        options.setdefault(name, {})[option] = value
    return options or None


def run_count(option: str, text: str) -> int | None:
    """Runs at a time; None for `auto`."""
    if text == "auto":
        return None
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) < 1:
        raise BadInput(f"{option} {text}: wanted a count of at least 1, or auto")
    return int(text)


def shard_of(text: str) -> tuple[int, int]:
    """(K, N) of --shard K/N."""
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise BadInput(f"--shard {text}: wanted K/N with K from 1 to N, as in 2/8")
    return int(match[1]), int(match[2])


def as_json_text(rows: Any) -> str:
    """What --json prints."""
    text = json.dumps(rows, indent=2, ensure_ascii=False)
    return CONTROLS.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
