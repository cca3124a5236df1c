"""A model is used where neither sweep nor dataset are: it says what its run stored, or in one line why it cannot."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import save
from PIL import Image
from refusal import refusal
from trainings import Trained, trained

from benchmark import load_model
from benchmark.contract.images import decode_one
from benchmark.contract.registry import load_plugins
from benchmark.store import RunFolder
from benchmark.trained import Predictions, export_model, images_at

ALL = list(load_plugins().methods)
QUICK = ("ce", "sop", "mc-dropout", "ldl", "forward:oracle")
"""State of each image, draws when it predicts, votes that are gone, a matrix that was told."""
MINE = """
from benchmark.methods.ce import CrossEntropy
class Mine(CrossEntropy):
    "Mine."
    name = "mine"
    def predict(self, images):
        return super().predict(images)
"""


@pytest.fixture(scope="module")
def few(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Runs that held some of their training images out."""
    return trained(tmp_path_factory.mktemp("few"), tiny_plugin, methods=QUICK, validation=10.0)


@pytest.fixture(scope="module")
def drawn(tiny_plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that draws when it predicts, over more test images than a batch has."""
    options = {"mc-dropout": {"passes": 2}, "tiny": {"test": 1100}}
    return trained(tmp_path_factory.mktemp("drawn"), tiny_plugin, methods=["mc-dropout"], options=options)


@pytest.fixture
def folder(few: Trained, tmp_path: Path) -> Path:
    """A copy of a finished run, to be spoilt."""
    return Path(shutil.copytree(few["ce"], tmp_path / "run"))


def as_files(images: np.ndarray, folder: Path) -> Path:
    """Each image (H, W, 1) as a PNG, in their order."""
    folder.mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{k:05}.png")
    return folder


def assert_stored(predicted: Predictions, runs: Trained, method: str) -> None:
    """Bit for bit what the run stored of its test images."""
    stored = runs.stored(method)
    assert predicted.logits.tobytes() == stored["test_logits"].tobytes()
    assert predicted.uncertainty.tobytes() == stored["test_uncertainty"].tobytes()


# What is predicted


@pytest.mark.parametrize("method", QUICK)
def test_the_test_images_get_the_bits_that_the_run_stored(few: Trained, method: str):
    assert_stored(load_model(few[method], device="cpu").predict(few.test), few, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_method_predicts_what_it_stored(tiny_plugin: Path, tmp_path: Path, method: str, precision: str):
    runs = trained(tmp_path / "out", tiny_plugin, methods=[method], precision=precision)
    export_model(runs[method], tmp_path / "there")
    assert_stored(load_model(tmp_path / "there", device="cpu").predict(runs.test), runs, method)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["dlib-resnet29", "resnet18", "vit_tiny_patch16_224", "torchvision/resnet18"])
def test_every_sort_of_backbone_is_built_again(tiny_plugin: Path, tmp_path: Path, backbone: str):
    runs = trained(tmp_path / "out", tiny_plugin, methods=["ce"], backbone=backbone, options={"tiny": {"train": 24}})
    assert_stored(load_model(runs["ce"], device="cpu").predict(runs.test), runs, "ce")


def test_the_test_images_as_files_get_the_same_bits(few: Trained, tmp_path: Path):
    files = as_files(few.test, tmp_path / "files")
    assert_stored(load_model(few["ce"], device="cpu").predict(files), few, "ce")


def test_draws_go_on_from_batch_to_batch(drawn: Trained, tmp_path: Path):
    model = load_model(drawn["mc-dropout"], device="cpu")
    assert_stored(model.predict(drawn.test), drawn, "mc-dropout")
    assert_stored(model.predict(as_files(drawn.test, tmp_path / "files")), drawn, "mc-dropout")


def test_labels_and_probabilities_follow_from_the_logits(few: Trained):
    model = load_model(few["ce"], device="cpu")
    predicted = model.predict(few.test[:7])
    assert model.classes == ("across", "down", "slanted")
    assert predicted.probabilities.shape == (7, 3)
    np.testing.assert_allclose(predicted.probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(predicted.labels, predicted.probabilities.argmax(axis=1))
    np.testing.assert_allclose(np.log(predicted.probabilities), predicted.logits - _logsumexp(predicted.logits), atol=1e-5)
    np.testing.assert_allclose(predicted.uncertainty, 1 - predicted.probabilities.max(axis=1), atol=1e-6)  # as `ce` means it


def _logsumexp(logits: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True))


def test_a_picture_of_any_size_and_colour_is_brought_to_the_datasets(few: Trained, tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 23, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.JPG", "JPEG")
    model = load_model(few["ce"], device="cpu")
    as_the_dataset_does = decode_one(tmp_path / "a.JPG", 16, 1)[None]
    assert model.predict(tmp_path / "a.JPG").logits.tobytes() == model.predict(as_the_dataset_does).logits.tobytes()


def test_a_folder_of_photos_is_decoded_as_the_dataset_decoded_it(tmp_path: Path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        for label in ("cats", "dogs"):
            for k in range(count):
                height, width = rng.integers(20, 40, 2)
                save(tmp_path / "photos" / split / label / f"{k}.png", int(rng.integers(1000)), height, width)
    runs = trained(tmp_path / "out", methods=["ce"], dataset="folder", data_root=str(tmp_path / "photos"), batch_size=4)
    assert runs.test.shape[-1] == 3
    assert_stored(load_model(runs["ce"], device="cpu").predict(tmp_path / "photos" / "test"), runs, "ce")


def test_draws_begin_anew_at_each_call(few: Trained):
    model = load_model(few["mc-dropout"], device="cpu")
    torch.manual_seed(1)
    first = model.predict(few.test[:5])
    torch.manual_seed(2)
    assert model.predict(few.test[:5]).logits.tobytes() == first.logits.tobytes()
    again = model.predict(np.concatenate([few.test[:1]] * 2)).logits
    assert again[0].tobytes() != again[1].tobytes(), "nothing was drawn"


def test_a_callers_own_random_streams_are_left_alone(few: Trained):
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(())), np.random.rand(), random.random()

    def seeded() -> None:
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)

    seeded()
    undisturbed = drawn()
    seeded()
    load_model(few["mc-dropout"], device="cpu").predict(few.test[:2])
    assert drawn() == undisturbed


def test_images_that_torch_cannot_take_as_they_are(few: Trained):
    model = load_model(few["ce"], device="cpu")
    images = few.test[:6].copy()
    backwards = model.predict(images[::-1]).logits
    images.flags.writeable = False
    np.testing.assert_array_equal(model.predict(images).logits[::-1], backwards)


@pytest.mark.parametrize("images", [
    np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 16, 16), np.uint8), np.zeros((2, 1, 16, 16), np.uint8),
    np.zeros((2, 16, 16, 1), np.float32), np.zeros((0, 16, 16, 1), np.uint8),
])  # fmt: skip
def test_arrays_of_another_shape_or_type_are_refused(few: Trained, images: np.ndarray):
    model = load_model(few["ce"], device="cpu")
    refusal(lambda: model.predict(images), images.dtype, images.shape, "wanted uint8 (N, 16, 16, 1)")


# Which images


def test_a_folder_stands_for_its_images_and_a_file_for_itself(tmp_path: Path):
    for name in ("b.png", "a/c.png", "a/notes.txt", ".hidden.png", "odd.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, others = images_at([tmp_path / "odd.dat", tmp_path])
    assert found == [tmp_path / name for name in ("odd.dat", "a/c.png", "b.png")]
    assert others == [tmp_path / "a/notes.txt", tmp_path / "odd.dat"]
    (tmp_path / "empty").mkdir()
    refusal(lambda: images_at(tmp_path / "empty"), "empty: there is no image in it")
    refusal(lambda: images_at([tmp_path, tmp_path / "gone"]), "gone: there is no such file")
    refusal(lambda: images_at([]), "no images")


# What is handed on


def test_an_export_travels_without_the_sweep_the_dataset_and_its_cache(few: Trained, tmp_path: Path):
    export_model(few["sop"], tmp_path / "there")
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"model.json", "model.safetensors"}
    np.save(tmp_path / "images.npy", few.test)
    script = (
        "import sys, numpy, benchmark\n"
        "assert 'torch' not in sys.modules, 'import benchmark brought torch'\n"
        "numpy.save('logits.npy', benchmark.load_model('there', device='cpu').predict(numpy.load('images.npy')).logits)"
    )
    root = str(Path(__file__).parents[1])
    env = {"PYTHONPATH": root, "BENCHMARK_CACHE": str(tmp_path / "no cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), few.stored("sop")["test_logits"])
    assert not (tmp_path / "no cache").exists()


def test_a_record_says_what_the_model_is_and_what_it_was_trained_on(few: Trained):
    record = load_model(few["forward:oracle"], device="cpu").record
    told = json.loads((few["forward:oracle"] / "model.json").read_text())
    assert record.key == few["forward:oracle"].name
    assert record.num_samples == 86  # of 96, a tenth was held out
    assert told["image_shape"] == [1, 16, 16]
    assert told["data"]["licence"] == "none"
    assert told["metrics"]["acc_last"] == few.runs["forward:oracle"].metrics()["acc_last"]
    assert set(told["environment"]) >= {"torch", "timm", "numpy", "suite", "threads", "device"}
    np.testing.assert_allclose(np.sum(told["transition"], axis=1), 1, rtol=1e-6)
    assert json.loads((few["ce"] / "model.json").read_text())["transition"] is None, "told to a method that must not know"


@pytest.mark.parametrize("there", ["a file", "a full folder"])
def test_an_export_overwrites_nothing(few: Trained, tmp_path: Path, there: str):
    place = tmp_path / "there"
    if there == "a file":
        place.touch()
    else:
        place.mkdir()
        (place / "mine.txt").touch()
    refusal(lambda: export_model(few["ce"], place), "--out", "is there already")
    assert place.is_file() or [path.name for path in place.iterdir()] == ["mine.txt"]


def test_an_export_makes_the_folders_on_the_way(few: Trained, tmp_path: Path):
    export_model(few["ce"], tmp_path / "new" / "deep" / "model")
    assert load_model(tmp_path / "new" / "deep" / "model", device="cpu").record.key == few["ce"].name


def test_an_export_that_cannot_be_written_is_told_in_a_line(few: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    refusal(lambda: export_model(few["ce"], tmp_path / "file" / "model"), "--out", "file is a file")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refusal(lambda: export_model(few["ce"], tmp_path / "link"), "--out", "it is a link to nothing")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchmark.store.run.write_whole", full)
    refusal(lambda: export_model(few["ce"], tmp_path / "there"), "--out", "there: ", "No space left on device")


# What cannot be loaded


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:size])


def flipped(run: Path) -> None:
    content = bytearray((run / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (run / "model.safetensors").write_bytes(content)


def changed(**fields: object) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        content = json.loads((run / "model.json").read_text())
        (run / "model.json").write_text(json.dumps({**content, **fields}))

    return change


def without(*names: str) -> Callable[[Path], None]:
    return lambda run: [(run / name).unlink() for name in names] and None


def other_weights(content: bytes) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / "model.safetensors").write_bytes(content)
        changed(weights_sha256=hashlib.sha256(content).hexdigest())(run)

    return change


def lacking_a_tensor(run: Path) -> None:
    from safetensors.torch import load, save

    tensors = load((run / "model.safetensors").read_bytes())
    other_weights(save({name: tensor for name, tensor in tensors.items() if name != "classifier.bias"}))(run)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut("model.safetensors", 1000), ["model.safetensors is damaged"]),
        (flipped, ["model.safetensors is damaged"]),
        (without("model.safetensors"), ["model.safetensors cannot be read"]),
        (other_weights(b"no safetensors"), ["model.safetensors cannot be read"]),
        (lacking_a_tensor, ["does not fit", "classifier.bias is not there", "wanted float32 (3,)"]),
        (cut("model.json", 500), ["model.json is damaged"]),
        (cut("model.json", 0), ["model.json is damaged"]),
        (changed(format=2), ["model.json is damaged", "format"]),
        (changed(mean=[0.1, 0.2, 0.3]), ["model.json is damaged", "mean"]),
        (changed(std=[0.0]), ["model.json is damaged"]),
        (changed(mean=[float("nan")]), ["model.json is damaged"]),
        (changed(std=[float("inf")]), ["model.json is damaged"]),
        (changed(std=[1e-300]), ["model.json is damaged"]),
        (changed(mean=[1e300]), ["model.json is damaged"]),
        (changed(image_shape=[1, 100_000, 100_000]), ["model.json is damaged", "100000"]),
        (changed(side=100_000), ["model.json is damaged"]),
        (changed(num_samples=10**12), ["model.json is damaged", "1000000000000 training images"]),
        (changed(classes=["a"]), ["model.json is damaged"]),
        (changed(classes=["a", "b"]), ["does not fit", "classifier"]),
        (changed(transition=[[1.0]]), ["model.json is damaged", "3 x 3"]),
        (changed(code="0"), ["the code of the method 'ce' is not the one that was trained"]),
        (without("model.json"), ["finished before runs kept a model.json", "classes", "colour statistics"]),
        (without("model.json", "metrics.json"), ["the run is not finished (started)"]),
        (without("model.json", "metrics.json", "spec.json"), ["there is no model in it"]),
        (lambda run: (run / "grid.json").touch() or (run / "model.json").unlink(), ["it holds a sweep"]),
        (lambda run: shutil.rmtree(run), ["there is no such folder"]),
        (lambda run: shutil.rmtree(run) or run.touch(), ["it is a file"]),
    ],
)
def test_what_is_damaged_is_named_and_not_handed_on(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], None], words: list[str]
):
    spoil(folder)
    refusal(lambda: load_model(folder, device="cpu"), folder, *words)
    refusal(lambda: export_model(folder, tmp_path / "there"), folder, *words)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"options": {"betta": 1}}, ["ce has no options; ce.betta was set"]),
        ({"backbone": "hf-hub:someone/something"}, ["no backbone is called 'hf-hub:someone/something'"]),
    ],
)
def test_names_in_a_record_are_no_more_trusted_than_a_users(folder: Path, given: dict[str, object], words: list[str]):
    _, record = RunFolder(folder).model()
    changed(spec=dataclasses.replace(record.spec, **given).to_dict())(folder)
    refusal(lambda: load_model(folder, device="cpu"), *words)


def test_weights_that_give_no_numbers_give_no_predictions(folder: Path, few: Trained):
    from safetensors.torch import load, save

    state = load((folder / "model.safetensors").read_bytes())
    state["classifier.bias"][0] = float("nan")
    other_weights(save(state))(folder)
    refusal(lambda: load_model(folder, device="cpu").predict(few.test), "not all finite")


def test_a_method_from_a_file_needs_that_file_and_its_code(tiny_plugin: Path, tmp_path: Path):
    mine = tmp_path / "mine.py"
    mine.write_text(MINE)
    runs = trained(tmp_path / "out", tiny_plugin, mine, methods=["mine"])
    refusal(lambda: load_model(runs["mine"], device="cpu"), "no method is called 'mine'", "--plugin FILE")
    moved = tmp_path / "elsewhere.py"
    moved.write_text("# a comment is no other method\n" + MINE)
    assert_stored(load_model(runs["mine"], device="cpu", plugins=[moved]).predict(runs.test), runs, "mine")
    mine.write_text(MINE.replace("super().predict(images)", "super().predict(images.flip(3))"))
    refusal(lambda: load_model(runs["mine"], device="cpu", plugins=[mine]), "the code of the method 'mine'", "not the one")
