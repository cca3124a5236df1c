"""Checks what is to be measured, measures it, and keeps each row as it comes."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from pathlib import Path

import torch

from ..contract.errors import BadInput, unknown
from ..contract.method import Method
from ..contract.registry import load_plugins
from ..paths import need_writable, write_whole
from ..spec import LARGEST_SIDE, RECIPES, recipe
from ..sweep.execute import reason
from ..sweep.machine import environment, peak_memory, reset_peak_memory
from ..sweep.plan import ALL
from ..sweep.sweep import Sweep
from ..train.backbones import build_backbone, check_backbone, own_input
from ..train.device import resolve_device, resolve_precision, settle
from ..train.memory import release
from .measure import Bench, begun, figures, in_rounds
from .peak import Peak
from .results import Row, file_name, merged, read_rows, row_of
from .setting import CHANNELS, Setting

MOST_THREADS, LONGEST = 1024, 3600.0


@dataclass(frozen=True)
class Wanted:
    """What to measure, as a user gives it."""

    methods: Sequence[str] | None = None  #: None: those of a sweep of which nothing is said
    backbones: Sequence[str] | None = None
    image_size: int = 48
    batch_size: int | None = None  #: None: the recipe's
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None  #: None: torch's own choice
    seconds: float = 8.0  #: a row's rounds
    recipe: str = "common"
    released: bool = False  #: whether the loop of released code is measured as well
    compiled: bool = False  #: and the bare loop by torch.compile
    plugins: Sequence[str] = ()


def bench(wanted: Wanted, out: Path, say: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Measures every method on every backbone, and keeps the rows in a file below `out`. Raises BadInput beforehand.

    A method that fails has a row that says why. `say` is told of each row as it is done.
    """
    settings, left_out = checked(wanted)
    device, precision, threads = settings[0].device, settings[0].precision, settings[0].threads
    machine = environment(device.type, threads)
    common = {"device": device.type, "precision": precision}
    file = out / file_name(row_of(common, {}, machine))
    need_writable("--out", out)
    before = read_rows(file)
    for line in left_out:
        say(line)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    rows: list[Row] = []
    try:
        peak = Peak(device, precision)
        first: Bench | None = None
        for setting in settings:
            what = {
                **common,
                "method": setting.method.name,
                "backbone": setting.backbone,
                "image_size": setting.image_size,
                "batch_size": setting.batch_size,
                "recipe": wanted.recipe,
                "released": wanted.released,
                "compiled": wanted.compiled,
            }
            if first is not None and first.harness.setting.backbone != setting.backbone:
                first = None
            what["beside"] = (first.harness.setting if first else setting).method.name
            row, made = _row(setting, what, peak, first, wanted)
            first = first or made
            del made  # or it would live on beside the next
            rows.append(row)
            _keep(file, merged(before, rows))
            say(_told(row))
    finally:
        torch.set_num_threads(threads_before)
    return rows


def _row(setting: Setting, what: Row, peak: Peak, first: Bench | None, wanted: Wanted) -> tuple[Row, Bench | None]:
    machine = environment(setting.device.type, setting.threads)
    gc.collect()  # a training and its method hold each other; the last row's would live on beside this one
    try:
        taken = memory_of_its_own(wanted, setting)
        made = Bench(setting)
        found = in_rounds(made.blocks(peak, first, released=wanted.released, compiled=wanted.compiled), wanted.seconds)
    except Exception as error:  # a method may raise anything; it harms no other
        return row_of(what, {}, machine, reason(error)), None
    once = {"peak_memory_mb": taken / 2**20} | ({"compile_seconds": made.compiled.begun} if made.compiled else {})
    return row_of(what, once | figures(found, setting.batch_size, made.cost), machine), made


def memory_of_its_own(wanted: Wanted, setting: Setting) -> int:
    """Bytes that a training takes at most, beyond what was taken before. Raises BadInput where it fails.

    On CUDA they are those of its tensors; elsewhere all that a process of its own takes for it.
    """
    if setting.device.type == "cuda":
        release(setting.device)
        return _taken(setting)
    alone = replace(wanted, methods=[setting.method.name], backbones=[setting.backbone])
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        taken = process.submit(_alone, alone).result()
    if isinstance(taken, str):
        raise BadInput(taken)
    return taken


def _alone(wanted: Wanted) -> int | str:
    """In that process: the bytes, or why there are none."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        (setting,), _ = checked(wanted)
        settle(setting.device, setting.threads)
        gc.collect()
        return _taken(setting)
    except Exception as error:
        return reason(error)


def _taken(setting: Setting) -> int:
    device = setting.device
    reset_peak_memory(device)
    held = peak_memory(device)  # what is taken now, of which the peak begins anew
    begun(setting)
    return peak_memory(device) - held


def _end_with_parent() -> None:
    """A process of a pool waits for work for ever where its parent was killed."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def checked(wanted: Wanted) -> tuple[list[Setting], list[str]]:
    """The settings in order (backbone, then method), and what is left out of `all`. Raises BadInput."""
    usual = Sweep()
    side, threads = wanted.image_size, wanted.threads or torch.get_num_threads()
    if wanted.recipe not in RECIPES:
        raise unknown("recipe", wanted.recipe, RECIPES)
    batch_size = recipe(wanted.recipe).batch_size if wanted.batch_size is None else wanted.batch_size
    _within("--image-size", side, 1, LARGEST_SIDE)
    _within("--batch-size", batch_size, 2, 1_000_000)
    _within("--threads", 1 if wanted.threads is None else wanted.threads, 1, MOST_THREADS)
    if not 0 < wanted.seconds <= LONGEST:
        raise BadInput(f"--seconds {wanted.seconds:g}: wanted a number above 0 and at most {LONGEST:g}")
    device = resolve_device(wanted.device)
    precision = resolve_precision(wanted.precision, device)
    registry = load_plugins(wanted.plugins).methods
    names = wanted.methods or usual.methods
    left_out = []
    if ALL in names:
        names = [*(name for name in names if name != ALL), *registry]
        left_out = [f"left out: '{name}' cannot be used: {reason}" for name, reason in registry.broken.items()]
    methods: list[type[Method]] = [registry[name] for name in dict.fromkeys(names)]
    backbones = list(dict.fromkeys(wanted.backbones or [usual.backbone]))
    for backbone in backbones:
        check_backbone(backbone)
        build_backbone(backbone, (CHANNELS, side, side), "fp32", own_input(backbone).side)  # refuses what does not fit
    return [
        Setting(method, backbone, side, batch_size, device, precision, threads, wanted.recipe)
        for backbone in backbones
        for method in methods
    ], left_out


def _within(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"{option} {value}: wanted a whole number of at least {least} and at most {most}")


def _keep(file: Path, content: bytes) -> None:
    try:
        write_whole(file, content)
    except OSError as error:
        raise BadInput(f"--out {file.parent}: it cannot be written ({error.strerror})") from None


def _told(row: Row) -> str:
    what = f"{row['method']} on {row['backbone']}: "
    if row["error"]:
        return f"{what}failed: {row['error']}"
    return f"{what}{row['images_per_second']:,.0f} images/s, {row['overhead']:.3f} of a bare loop's step"
