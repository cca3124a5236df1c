"""What docs/performance.md says of whole sweeps, measured again: each command prints a table and keeps it in results/bench/.

python scripts/speed.py splits                          # twelve small runs, by how the cores are shared out among them
python scripts/speed.py start                           # how long commands take before they do anything
python scripts/speed.py memory                          # a worker's memory beside that of a bare loop
python scripts/speed.py dask                            # what it costs to give runs to a cluster
python scripts/speed.py accuracy --dataset ferplus@6k   # what speed-ups do to accuracy
python scripts/speed.py gpu --data-root ~/data          # steps and table: what a GPU has to show, in ten minutes
python scripts/speed.py gpu --small --data-root ~/data  # the same commands at a size for a CPU

Single steps (images a second, overhead, share of the peak) are measured by `python -m benchmark bench`.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmark.bench.results import file_name
from benchmark.sweep.machine import environment, hardware, usable_cores
from benchmark.train.device import resolve_device, resolve_precision

SUITE = (sys.executable, "-m", "benchmark")
TEN = "ce,scn,dul,rul,rul-relabel,ce-two-head,rul-random-share,rul-equal-share,gce,mixup"
GRACE = 60
"""Seconds that a command has to end when it is asked to."""
Row = dict[str, Any]


def timed(*command: str | Path, minutes: float | None = None, fine: tuple[int, ...] = (0,)) -> tuple[float, str]:
    """Seconds of wall time and the standard output of a command that has to end well; its progress is shown.

    After so many `minutes` it is asked to end, which is no failure; `fine` are statuses with which it ends well.
    """
    started = time.perf_counter()
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        try:
            text, _ = process.communicate(timeout=minutes and 60 * minutes)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                text, _ = process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                text, _ = process.communicate()
            fine = (*fine, 143, -signal.SIGTERM, -signal.SIGKILL)
    if process.returncode not in fine:
        raise SystemExit(f"this has failed: {' '.join(map(str, command))}\n{text}")
    return time.perf_counter() - started, text


def spread(times: Sequence[float], digits: int = 2) -> str:
    """`median (lowest to highest)`."""
    return f"{statistics.median(times):.{digits}f} ({min(times):.{digits}f} to {max(times):.{digits}f})"


def splits(given: argparse.Namespace) -> Iterator[Row]:
    """Twelve runs of four methods and three seeds: one after the other on one thread, by hand in every way, and `auto`."""
    cores = usable_cores()
    by_hand = [(jobs, threads) for jobs in (1, 2, 4, 8, 16) for threads in (1, 2, 4, 8, 16) if jobs * threads <= cores]
    what = ("--dataset", given.dataset or "faces", "--noise", "20", "--seeds", "3", "--epochs", str(given.epochs or 6))
    ways = {f"{jobs} at a time, threads {threads}": (jobs, threads) for jobs, threads in by_hand} | {"auto": None}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(given.rounds):
        for way, split in ways.items():
            with tempfile.TemporaryDirectory() as out:
                how = () if split is None else ("--jobs", str(split[0]), "--threads", str(split[1]))
                how = (*how, "--device", "cpu", "--out", out, "--quiet")
                seconds[way].append(timed(*SUITE, "run", *what, *how)[0])
    alone = seconds[next(iter(ways))]
    for way, times in seconds.items():
        ratios = [one / other for one, other in zip(alone, times, strict=True)]
        yield {"twelve runs": way, "seconds": spread(times, 1), "times as fast as one after the other": spread(ratios)}


def start(given: argparse.Namespace) -> Iterator[Row]:
    """Commands in turn, beside `import torch`, planning many runs and tabling a thousand that have ended among them."""
    ten_thousand = ("--methods", "ce,scn", "--noise", ",".join(map(str, range(50))), "--seeds", "100", "--dry-run")
    with tempfile.TemporaryDirectory() as out:
        commands: dict[str, Sequence[str]] = {
            "import torch": (sys.executable, "-c", "import torch"),
            "--help": (*SUITE, "--help"),
            "list methods": (*SUITE, "list", "methods"),
            "run --dry-run, 10,000 runs": (*SUITE, "run", "--dataset", "faces@300", *ten_thousand, "--out", out),
            f"table, {200 if given.small else 1000:,} runs": (*SUITE, "table", f"{out}/ended"),
        }
        ended = f"--methods {TEN} --noise 0,5,10,15,20,25,30,35,40,45 --seeds {2 if given.small else 10} --epochs 1".split()
        timed(*SUITE, "run", "--dataset", "faces@300", *ended, "--out", f"{out}/ended", "--quiet")  # which fills the cache, too
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, command in commands.items():
                seconds[name].append(timed(*command)[0])
    for name, times in seconds.items():
        ratios = [one / torch for one, torch in zip(times, seconds["import torch"], strict=True)]
        yield {"command": name, "seconds": spread(times), "of import torch": spread(ratios)}


BARE = """
import sys, time, torch, benchmark.sweep.worker
from benchmark.spec import recipe
from benchmark.train.backbones import build_backbone
from benchmark.train.device import settle
from benchmark.train.optimise import Optimiser
steps, precision = int(sys.argv[1]), sys.argv[2]
settle(torch.device("cpu"), 1)
if not steps:
    import scipy.stats, sklearn.metrics
    time.sleep(0.5)
    raise SystemExit
shape, batch = (1, 48, 48), recipe("common").batch_size
net = build_backbone("small", shape, precision)
head = torch.nn.Linear(net.num_features, 7)
optimiser = Optimiser([{"params": [*net.parameters(), *head.parameters()]}], recipe("common"), torch.device("cpu"))
images, labels = torch.randn(batch, *shape), torch.randint(0, 7, (batch,))
for _ in range(steps):
    torch.nn.functional.cross_entropy(head(net.pooled(images)), labels).backward()
    optimiser.step()
    net.zero_grad(), head.zero_grad()
"""


def own_memory(*command: str, workers: bool) -> int:
    """The most bytes that a command, or the largest of its worker processes, had written and shared with no other (Linux).

    What it maps, libraries and images, is not in it. Both are looked at from outside, in the midst of steps as between them.
    """
    run, most = subprocess.Popen(command, stdout=subprocess.DEVNULL), 0
    while run.poll() is None:
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        for process in children.read_text(encoding="ascii").split() if workers else [run.pid]:
            try:
                lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
            except OSError:  # it has just ended
                continue
            most = max(most, sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty")))
        time.sleep(0.02)
    if run.returncode:
        raise SystemExit(f"this has failed: {' '.join(command)}")
    return most


def memory(given: argparse.Namespace) -> Iterator[Row]:
    """The largest private memory of a run's worker process, of a loop over one batch in a process of its own, and of imports.

    The loop imports what trains, a worker also what scores.
    """
    precision = resolve_precision("auto", resolve_device("cpu"))
    loop = (sys.executable, "-c", BARE)
    what = ("--dataset", given.dataset or "faces", "--methods", "ce", "--noise", "20", "--epochs", str(given.epochs or 2))
    found: dict[str, list[float]] = {"imports of a worker": [], "bare loop": [], "worker of a run": []}
    for _ in range(given.rounds):
        found["imports of a worker"].append(own_memory(*loop, "0", precision, workers=False))
        found["bare loop"].append(own_memory(*loop, "100", precision, workers=False))
        with tempfile.TemporaryDirectory() as out:
            how = ("--device", "cpu", "--jobs", "1", "--threads", "1", "--out", out, "--quiet")
            found["worker of a run"].append(own_memory(*SUITE, "run", *what, *how, workers=True))
    for process, most in found.items():
        of_bare = [one / bare for one, bare in zip(most, found["bare loop"], strict=True)]
        yield {
            "process": process,
            "private memory, MB": spread([one / 2**20 for one in most], 0),
            "of the bare loop": spread(of_bare),
        }


def dask(given: argparse.Namespace) -> Iterator[Row]:
    """Two hundred runs of a second each, two at a time: by this machine's processes, and by two workers of a Dask cluster."""
    from distributed import LocalCluster

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two,
    ):
        what = ["--plugin", Path(__file__).with_name("cheap.py"), "--methods", "cheap", "--set", "cheap.wait=1"]
        what += ["--dataset", "faces@300", "--epochs", "1", "--noise", "20", "--seeds", "10" if given.small else "200"]
        what += ["--threads", "1", "--jobs", "2", "--quiet"]
        ways = {"local": (), "dask": ("--backend", "dask", "--scheduler", two.scheduler_address)}
        seconds = {way: timed(*SUITE, "run", *what, *how, "--out", Path(folder, way))[0] for way, how in ways.items()}
    for way, time_taken in seconds.items():
        yield {"backend": way, "seconds": round(time_taken, 1), "of local": round(time_taken / seconds["local"], 3)}


def accuracy(given: argparse.Namespace) -> Iterator[Row]:
    """The same runs in full precision one at a time on one thread, and as they are done when nothing is said."""
    methods, seeds = "ce,scn,dul,rul", "3"
    ways = {"fp32, one at a time": ("--precision", "fp32", "--jobs", "1", "--threads", "1"), "as usual": ()}
    what = ["--dataset", given.dataset or "faces", "--methods", methods, "--noise", "20", "--seeds", seeds]
    what += ["--epochs", str(given.epochs)] if given.epochs else []
    what += ["--data-root", given.data_root] if given.data_root else []
    for way, how in ways.items():
        with tempfile.TemporaryDirectory() as out:
            seconds, text = timed(*SUITE, "run", *what, *how, "--out", out, "--quiet", "--json")
        found = pd.DataFrame(json.loads(text)).groupby("method", sort=False)["acc_last"].agg(["mean", "std"])
        cells = {str(name): f"{row['mean']:.2f} ± {row['std']:.2f}" for name, row in found.iterrows()}
        yield {"way": way, "precision": "fp32" if how else "auto", **cells, "seconds": round(seconds)}


def steps(given: argparse.Namespace) -> Iterator[Row]:
    """Images a second and the share of the peak where a GPU should be busy: ResNet-18 at 32 px, and at 224 px as released."""
    sizes = {"cifar-resnet18": (32, 32 if given.small else 256), "resnet18": (64, 24) if given.small else (224, 64)}
    shown = ("method", "images_per_second", "peak_share", "ceiling_share", "overhead", "relative_step", "speedup", "error")
    for backbone, (side, batch) in sizes.items():
        what = f"--methods ce,rul --backbone {backbone} --image-size {side} --batch-size {batch} --json"
        as_released = ("--released",) if backbone == "resnet18" else ()
        with tempfile.TemporaryDirectory() as small:
            out = small if given.small else given.out  # where full sizes are kept, small ones would be taken for them
            try:
                command = (*SUITE, "bench", *what.split(), *as_released, "--out", out)
                text = timed(*command, minutes=given.minutes and given.minutes / 3, fine=(0, 1))[1]
                rows = json.loads(text or "[]")
            except SystemExit as failure:
                rows = [{"error": str(failure)}]
        for row in rows or [{"error": "no method was measured"}]:
            yield {"setting": f"{backbone}, {side} px, batches of {batch}", **{column: row.get(column) for column in shown}}


RUNS = 48
"""Of `table`: four methods, four rates, three seeds."""


def table(given: argparse.Namespace) -> Iterator[Row]:
    """Many runs of the fast recipe, or with `--small` an epoch of the small network: how long they take, and how `ce` ends.

    They stay where they are, and so does what has ended when the time is over.
    """
    folder = Path(given.out, "table-runs")
    if folder.exists():
        raise SystemExit(f"{folder}: over finished runs nothing would be timed; move it away")
    dataset, backbone = ("cifar10@500", "small") if given.small else ("cifar10", "cifar-resnet9")
    what = ["--dataset", given.dataset or dataset, "--noise", "0,10,20,30", "--seeds", "3", "--recipe", "fast-cifar"]
    what += ["--backbone", given.backbone or backbone]
    what += ["--epochs", str(given.epochs or 1)] if given.epochs or given.small else []
    where = ["--out", folder, *(["--data-root", given.data_root] if given.data_root else [])]
    seconds, _ = timed(*SUITE, "run", *what, *where, minutes=given.minutes, fine=(0, 1))
    columns = ("status", "method", "noise_rate", "acc_last", "train_seconds", "images_per_second")
    rows = pd.DataFrame(json.loads(timed(*SUITE, "table", folder, "--json")[1]), columns=columns)
    ended = rows[rows.status == "finished"]
    clean = ended[(ended.method == "ce") & (ended.noise_rate == 0)]["acc_last"]
    samples = float((ended.train_seconds * ended.images_per_second).sum())
    yield {
        "command": " ".join(["run", *what]),
        "runs that have ended": f"{len(ended)} of {RUNS}",
        "seconds": round(seconds, 1),
        "images/s, all runs together": round(samples / seconds) if len(ended) == RUNS else None,
        "ce at 0 %": f"{clean.mean():.2f} ± {clean.std():.2f}",
    }


def gpu(given: argparse.Namespace) -> Iterator[Row]:
    """What only a GPU can show, all in about `--minutes`, or eight; what fails keeps nothing else from being measured."""
    started, given.minutes = time.perf_counter(), given.minutes or 8
    yield from steps(given)
    given.minutes = max(0.1, given.minutes - (time.perf_counter() - started) / 60)
    yield from table(given)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    part.__name__: part for part in (splits, start, memory, dask, accuracy, steps, table, gpu)
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--dataset", help="instead of the part's own")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="gpu, table, steps, start and dask at a size for a CPU")
    parser.add_argument("--backbone", help="of table")
    parser.add_argument("--minutes", type=float, help="after which steps, table or gpu end with what they have")
    parser.add_argument("--data-root")
    parser.add_argument("--out", default="results/bench")
    given = parser.parse_args()
    device = resolve_device("cpu" if given.part in ("splits", "memory", "dask") else "auto")
    machine = environment(device.type, torch.get_num_threads() if given.part in ("steps", "gpu") else 1)
    precision = resolve_precision("auto", device)
    name = file_name({**machine, "device": device.type, "hardware": hardware(machine), "precision": precision})
    Path(given.out).mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for row in PARTS[given.part](given):  # kept as they come, since the machine may be gone before all are there
        rows.append(row)
        pd.DataFrame([{**row, **machine} for row in rows]).to_csv(Path(given.out) / f"{given.part}-{name}", index=False)
    print(pd.DataFrame(rows).astype(object).fillna("").to_markdown(index=False))


if __name__ == "__main__":
    main()
