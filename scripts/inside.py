"""What the predictions and models of finished runs tell beyond their metrics, a row a run.

python scripts/inside.py results/FOLDER

Both are too large to be committed: a folder has them where its runs were made. All columns are in percent, but for the AUROCs
and the shares:

- rare: the recall of the reference class with the fewest test images, of which there are rare_images;
- errors, within: the AUROC of the uncertainty against mistakes, of all test images and within each predicted class, weighted by
  how many images it has;
- share_low, share_high: between what nine in ten shares s_i / (s_i + s_j) of two random training images' uncertainties lie when
  training has ended; RUL mixes images so, in training;
- as_given: of the mistakes on training images that are labelled wrong, how many are their wrong labels;
- spoilt, mended, none_left: for methods that relabel, how many of the right given labels they have made wrong, how many of the
  wrong ones right, and the classes that no training image is labelled with any more.

With --out the rows are written to a file as well; where that is inside.csv of a folder in results/reference/,
`python scripts/findings.py` makes tables of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load

from benchmark.contract import BadInput
from benchmark.report.results import Result, read_results
from benchmark.score.metrics import auroc
from benchmark.store import RunFolder, Store

TEST = ("test_logits", "test_uncertainty", "test_reference")
TRAIN = ("train_index", "train_given", "train_reference", "train_predicted", "train_uncertainty")
LABELS = "relabelling.labels"
"""A method's own labels of the training images, in its state."""


def row(run: Result, folder: RunFolder) -> dict[str, Any]:
    """What is told of one run; where its files are not there, that."""
    noise = run.spec.noise_kind if run.spec.noise_rate is None else f"{run.spec.noise_kind} {run.spec.noise_rate:g}"
    what = {"key": run.key, "method": run.spec.method_label, "noise": noise, "seed": run.spec.seed}
    try:
        return what | inside(folder)
    except BadInput as error:
        return what | {"lacks": str(error)}


def inside(folder: RunFolder) -> dict[str, Any]:
    """The columns of a run that are told here. Raises BadInput where a file of it is missing or damaged."""
    found = folder.arrays("predictions", (*TEST, *TRAIN))
    if lacking := [name for name in (*TEST, *TRAIN) if name not in found]:
        raise BadInput(f"{folder.path / 'predictions.npz'} is damaged: it has no {lacking[0]}")
    logits, uncertainty, reference = (found[name] for name in TEST)
    index, given, right_label, guess, of_training = (found[name] for name in TRAIN)
    predicted, counts = logits.argmax(axis=1), np.bincount(reference, minlength=logits.shape[1])
    rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
    both = of_training + of_training[np.random.default_rng(0).permutation(len(of_training))]
    low, high = np.quantile(np.divide(of_training, both, out=np.full(len(both), 0.5), where=both > 0), [0.05, 0.95])
    mistaken = (given != right_label) & (guess != right_label)
    return {
        "rare": 100 * float(np.mean(predicted[reference == rarest] == rarest)),
        "rare_images": int(counts[rarest]),
        "errors": auroc(uncertainty, predicted != reference),
        "within": within(uncertainty, predicted, reference),
        "share_low": float(low),
        "share_high": float(high),
        "as_given": 100 * float(np.mean(guess[mistaken] == given[mistaken])) if mistaken.any() else None,
        **relabelled(folder, index, given, right_label),
    }


def within(uncertainty: np.ndarray, predicted: np.ndarray, reference: np.ndarray) -> float | None:
    """The mean AUROC of mistakes of the predicted classes that have some and not only, weighted by their images."""
    judged = []
    for of in (predicted == k for k in np.unique(predicted)):
        found = auroc(uncertainty[of], predicted[of] != reference[of])
        if found is not None:
            judged.append((found, int(of.sum())))
    return sum(found * images for found, images in judged) / sum(images for _, images in judged) if judged else None


def relabelled(folder: RunFolder, index: np.ndarray, given: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """What has become of the given labels; nothing for methods that keep them."""
    content, record = folder.model()
    labels = next((tensor for name, tensor in load(content).items() if name.endswith(LABELS)), None)
    if labels is None:
        return {}
    now, right = labels[index], given == reference
    left = np.bincount(now, minlength=len(record.classes))
    return {
        "spoilt": 100 * float(np.mean(now[right] != reference[right])),
        "mended": 100 * float(np.mean(now[~right] == reference[~right])) if not right.all() else None,
        "none_left": ", ".join(name for name, count in zip(record.classes, left, strict=True) if not count),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="a file for the rows, .csv")
    given = parser.parse_args()
    store = Store(given.folder)
    rows = pd.DataFrame([row(run, store.run(run.key)) for run in read_results(store) if run.status == "finished"])
    if given.out:
        rows.to_csv(given.out, index=False, float_format="%.6g")
    print(rows.astype(object).where(lambda x: x.notna(), "").to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main()
