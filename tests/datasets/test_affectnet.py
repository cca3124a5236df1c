"""AffectNet: its layouts, labels that are not in use, face boxes, and what is not as it should be."""

import io
import os
import shutil
from zlib import crc32

import numpy as np
import pytest
from pictures import kinds, pixels, refused, save
from refusal import refusal

from benchmark.contract import BadInput
from benchmark.datasets._affectnet import EMPTY, face_box, label_of
from benchmark.datasets.affectnet import CLASSES, AffectNet

TRAIN = [*range(11), 3]
"""AffectNet's labels of the training images, in order; those of the test are each of them once."""
COLUMNS = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def affectnet(root, **options):
    return AffectNet(AffectNet.Config(**{"side": 8, **options}), root)


def seed(name):
    return crc32(str(name).encode())


# The layouts, each with the same labels


def by_folder(root, train="train_class", test="val_class", called="class{:03}"):
    for split, labels in ((train, TRAIN), (test, range(11))):
        for k, label in enumerate(labels):
            save(root / "affectnet" / split / called.format(label) / f"image{k:07}.jpg", seed((split == train, k)))
    return root


def by_number(root):
    return by_folder(root, "train", "val", "{}")


def by_array(root, kind=str):
    for part, labels in (("train_set", TRAIN), ("val_set", range(11))):
        folder = root / "affectnet" / part
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        for k, label in enumerate(labels):
            save(folder / "images" / f"{k}.jpg", seed((part == "train_set", k)))
            np.save(folder / "annotations" / f"{k}_exp.npy", np.array(kind(label)))
            np.save(folder / "annotations" / f"{k}_val.npy", np.array("0.5"))
    return root


def by_table(root, extra=(), columns=COLUMNS):
    """Each face lies in a larger photograph, three pixels from the left and five from the top."""
    folder = root / "affectnet"
    for name, labels, more in (("training.csv", TRAIN, extra), ("validation.csv", range(11), ())):
        lines = [columns]
        for k, label in enumerate(labels):
            path = f"{k % 3}/{name[0]}{k}.jpg"
            save(folder / "Manually_Annotated_Images" / path, seed((name == "training.csv", k)), 20, 20)
            box = "NULL,NULL,NULL,NULL" if label == 10 else "3,5,8,8"
            lines.append(f"{path},{box},1.5;2.5;3.5,{label},-0.1,0.2")
        (folder / name).write_text("\n".join([*lines, *more, ""]))
    return root


LAYOUTS = {"by_folder": by_folder, "by_number": by_number, "by_array": by_array, "by_table": by_table}
each = pytest.mark.parametrize("layout", LAYOUTS)


def in_order(data):
    """Labels and images of training, sorted, for layouts that have other orders."""
    return sorted(zip(data.train.labels.tolist(), (image.tobytes() for image in data.train.images), strict=True))


# What is read


@each
def test_each_layout_reads_back(tmp_path, layout):
    data = affectnet(LAYOUTS[layout](tmp_path), classes=8).read()
    assert data.classes == CLASSES
    assert sorted(data.train.labels.tolist()) == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert sorted(data.test.labels.tolist()) == list(range(8))
    cut = (slice(5, 13), slice(3, 11)) if layout == "by_table" else (slice(8), slice(8))
    size = 20 if layout == "by_table" else 8
    wanted = [(label, pixels(seed((True, k)), size, size)[cut].tobytes()) for k, label in enumerate(TRAIN) if label < 8]
    assert in_order(data) == sorted(wanted)
    assert data.train.images.dtype == np.uint8
    assert data.mistakes["asymmetric"].shape == (8, 8)
    assert not data.mistakes["asymmetric"][7].any()  # nothing is known of what contempt is mistaken for


@each
def test_seven_classes_leave_contempt_out(tmp_path, layout):
    data = affectnet(LAYOUTS[layout](tmp_path)).read()
    assert data.classes == CLASSES[:7]
    assert sorted(data.train.labels.tolist()) == [0, 1, 2, 3, 3, 4, 5, 6]
    assert data.mistakes["asymmetric-la-net"].shape == (7, 7)


@each
def test_what_is_left_out_is_counted(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path)
    counts = "1 no face, 1 none, 1 uncertain"
    assert affectnet(root, classes=8).read().notes == tuple(
        f"{part}: images left out by their labels: {counts}" for part in ("train", "test")
    )
    assert all(f"1 contempt, {counts}" in note for note in affectnet(root).read().notes)


@each
def test_a_good_set_has_no_findings_though_images_are_left_out(tmp_path, layout):
    assert kinds(affectnet(LAYOUTS[layout](tmp_path))) == []


@each
def test_sources_are_the_labels_and_the_images_in_use(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path)
    sources = affectnet(root).sources()
    assert len(set(sources)) == len(sources)
    assert sum(path.suffix == ".jpg" for path in sources) == 8 + 7
    labels = {path for path in root.rglob("*") if path.name.endswith(("_exp.npy", ".csv"))}
    assert {path for path in sources if path.suffix != ".jpg"} == labels


def test_the_side_is_an_option(tmp_path):
    assert affectnet(by_number(tmp_path), side=12).read().train.images.shape[1:] == (12, 12, 3)
    assert AffectNet.Config().side == 112


@pytest.mark.parametrize("called", ["class{:03}", "CLASS{}", "{:02}", "{}"])
def test_names_of_the_folders_of_classes(tmp_path, called):
    (by_folder(tmp_path, called=called) / "affectnet" / "train_class" / ".hidden").mkdir()
    assert len(affectnet(tmp_path).read().train) == 8


@pytest.mark.parametrize("kind", [str, int, float, np.uint8, lambda label: [label]])
def test_labels_in_arrays_may_be_texts_or_numbers(tmp_path, kind):
    assert sorted(affectnet(by_array(tmp_path, kind)).read().test.labels.tolist()) == list(range(7))


def test_a_root_with_dots_in_it(tmp_path):
    (by_table(tmp_path) / "inner").mkdir()
    assert kinds(affectnet(tmp_path / "inner" / "..")) == []
    assert len(affectnet(tmp_path / "inner" / "..").read().train) == 8


# Tables


def test_a_box_may_leave_the_photograph(tmp_path):
    data = affectnet(by_table(tmp_path, ["0/t0.jpg,-4,0,8,8,,0,0,0"])).read()
    assert not data.train.images[-1][:, :4].any()
    assert data.train.images[-1][:, 4:].any()


@pytest.mark.parametrize("box", ["NULL,NULL,NULL,NULL", ",,,", "-1,-1,-1,-1"])
def test_a_row_without_a_box_is_left_out_and_counted(tmp_path, box):
    data = affectnet(by_table(tmp_path, [f"0/t0.jpg,{box},,0,0,0"])).read()
    assert len(data.train) == 8
    assert "1 without a face box" in data.notes[0]


@pytest.mark.parametrize("box", ["x,5,8,8", "3,5,8", "3,5,8,8,1", "3,5,0,8", "3,5,8,-2", "3.5,5,8,8"])
def test_a_box_that_is_none_is_named(tmp_path, box):
    refused(affectnet(by_table(tmp_path, [f"0/t9.jpg,{box},,0,0,0"])), "training.csv, line 14")
    assert "unusable row" in kinds(affectnet(tmp_path))


@pytest.mark.parametrize("label", ["11", "x", "", "-1"])
def test_a_label_that_is_none_is_named(tmp_path, label):
    refused(affectnet(by_table(tmp_path, [f"0/t0.jpg,3,5,8,8,,{label},0,0"])), "training.csv, line 14", "none of the 7 classes")


@pytest.mark.parametrize("path", ["../training.csv", "/etc/passwd", "0/../../../x.jpg", ""])
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    refused(affectnet(by_table(tmp_path, [f"{path},3,5,8,8,,0,0,0"])), "training.csv, line 14", "lies not in")


def test_the_file_that_is_empty_in_the_distribution_is_left_out_and_told(tmp_path):
    root = by_table(tmp_path, [f"{EMPTY},3,5,8,8,,0,0,0"])
    file = root / "affectnet" / "Manually_Annotated_Images" / EMPTY
    data = affectnet(root).read()
    assert len(data.train) == 8
    assert f"empty in the distribution ({EMPTY})" in data.notes[0]
    file.parent.mkdir()
    file.touch()
    assert len(affectnet(root).read().train) == 8
    assert kinds(affectnet(root)) == []
    save(file, 0, 20, 20)
    assert len(affectnet(root).read().train) == 9


def test_a_box_that_no_memory_holds_is_named(tmp_path):
    root = by_table(tmp_path, ["0/t0.jpg,0,0,99999,99999,,0,0,0"])
    photograph = root / "affectnet" / "Manually_Annotated_Images" / "0" / "t0.jpg"
    refused(affectnet(root), photograph, "the box (0, 0, 99999, 99999) cannot be cut out")
    (finding,) = affectnet(root).findings()
    assert (finding.kind, finding.where) == ("undecodable", str(photograph))
    assert finding.detail.startswith("the box (0, 0, 99999, 99999)")


def test_two_boxes_of_one_photograph_are_two_images(tmp_path):
    root = by_table(tmp_path, ["0/t0.jpg,1,1,8,8,,0,0,0"])
    assert len(affectnet(root).read().train) == 9
    assert kinds(affectnet(root)) == []


def test_a_path_too_long_for_any_file_is_missed(tmp_path):
    name = "x" * 300 + ".jpg"
    refused(affectnet(by_table(tmp_path, [f"{name},3,5,8,8,,0,0,0"])), "training.csv, line 14", "there is no image", name)
    assert kinds(affectnet(tmp_path)) == ["label without image"]


def test_a_table_without_a_column_is_refused(tmp_path):
    refused(affectnet(by_table(tmp_path, columns=COLUMNS.replace("face_x", "x"))), "training.csv", "no column 'face_x'")


@pytest.mark.parametrize(
    ("words", "box", "fault"),
    [
        (("3", "5", "8", "9"), (3, 5, 11, 14), ""),
        (("-3", "-5", "8", "9"), (-3, -5, 5, 4), ""),
        (("NULL", "NULL", "NULL", "NULL"), None, ""),
        (("3", "5", "8", "x"), None, "its face box is 3, 5, 8, x; wanted four whole numbers"),
        (("3", "5", "8", "0"), None, "its face box is 8 wide and 0 high"),
    ],
)
def test_face_boxes(words, box, fault):
    assert face_box(dict(zip(("face_x", "face_y", "face_width", "face_height"), words, strict=True))) == (box, fault)


# Bad input


def test_a_number_of_classes_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"affectnet\.classes is 6; wanted 7 \(without contempt\) or 8"):
        affectnet(tmp_path, classes=6)


def test_what_is_missing_says_how_to_get_it(tmp_path):
    refused(affectnet(None), "--data-root", "http://mohammadmahoor.com/affectnet/")
    refused(affectnet(tmp_path), tmp_path / "affectnet", "is missing", "train_set and val_set", "training.csv")
    (tmp_path / "affectnet").mkdir()
    refused(affectnet(tmp_path), "holds none of AffectNet's layouts")
    refusal(lambda: kinds(affectnet(tmp_path)), "holds none of AffectNet's layouts")


@pytest.mark.parametrize(("layout", "name"), [("by_number", "train"), ("by_array", "train_set"), ("by_folder", "val_class")])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, layout, name):
    place = LAYOUTS[layout](tmp_path) / "affectnet" / name
    place.rename(tmp_path / "elsewhere")
    place.touch()
    refused(affectnet(tmp_path), place, "cannot be read (Not a directory)")
    assert kinds(affectnet(tmp_path)) == ["unreadable"]


def test_pipes_in_the_place_of_labels_are_not_waited_for(tmp_path):
    file = by_array(tmp_path) / "affectnet" / "train_set" / "annotations" / "1_exp.npy"
    file.unlink()
    os.mkfifo(file)
    refused(affectnet(tmp_path), file, "it is no file")
    shutil.rmtree(tmp_path / "affectnet")
    file = by_table(tmp_path) / "affectnet" / "training.csv"
    file.unlink()
    os.mkfifo(file)
    refused(affectnet(tmp_path), file, "it is no file")
    assert kinds(affectnet(tmp_path)) == ["unreadable"]


@each
def test_half_a_layout_is_refused(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path)
    (place,) = (p for p in (root / "affectnet").iterdir() if p.name.startswith("val"))
    place.rename(tmp_path / "elsewhere")
    refused(affectnet(root), place, "is missing")


def test_two_layouts_are_refused(tmp_path):
    by_number(by_array(tmp_path))
    refused(affectnet(tmp_path), "both train_set and train; wanted one layout")


@pytest.mark.parametrize("name", ["happy", "class011", "12", "class"])
def test_a_folder_that_is_no_class_is_refused(tmp_path, name):
    (by_folder(tmp_path) / "affectnet" / "train_class" / name).mkdir()
    refused(affectnet(tmp_path), tmp_path / "affectnet" / "train_class" / name, "wanted folders called class000")


@pytest.mark.parametrize("name", ["class003", "class004"])
def test_a_class_without_training_image_is_refused(tmp_path, name):
    for file in (by_folder(tmp_path) / "affectnet" / "train_class" / name).iterdir():
        file.unlink()
    refused(affectnet(tmp_path), f"the class '{CLASSES[int(name[-1])]}' has no training image")


def array_file(content, **options):
    stream = io.BytesIO()
    np.save(stream, content, **options)
    return stream.getvalue()


BAD_LABELS = {
    "empty": b"",
    "text": b"3",
    "cut": array_file(np.array("3"))[:-2],
    "two": array_file(np.array([3, 4])),
    "pickle": array_file(np.array(None, object), allow_pickle=True),
}


@pytest.mark.parametrize("bad", BAD_LABELS)
def test_an_array_that_holds_no_label_is_named(tmp_path, bad):
    file = by_array(tmp_path) / "affectnet" / "train_set" / "annotations" / "1_exp.npy"
    file.write_bytes(BAD_LABELS[bad])
    refused(affectnet(tmp_path), file, "cannot be read as one label")
    found = {f.kind: f.where for f in affectnet(tmp_path).findings()}
    assert found["unusable row"] == str(file)


@pytest.mark.parametrize("label", ["11", "happy", "-1", "2.5", ""])
def test_an_array_with_another_label_is_named(tmp_path, label):
    file = by_array(tmp_path) / "affectnet" / "train_set" / "annotations" / "1_exp.npy"
    np.save(file, np.array(label))
    refused(affectnet(tmp_path), file, "none of the 7 classes")
    assert label_of(file)[0] in (None, 11)


def test_images_and_labels_without_each_other(tmp_path):
    folder = by_array(tmp_path) / "affectnet" / "train_set"
    (folder / "annotations" / "3_exp.npy").unlink()
    assert kinds(affectnet(tmp_path)) == ["image without label"]
    (folder / "images" / "4.jpg").unlink()
    refused(affectnet(tmp_path), folder / "annotations" / "4_exp.npy", "there is no image", folder / "images" / "4.jpg")
    assert "label without image" in kinds(affectnet(tmp_path))
