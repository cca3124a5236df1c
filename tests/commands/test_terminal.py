"""What a terminal is given: names from files, folders and reasons are text to it, and JSON stays JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pictures import save
from simulated import Known, result, stored

from benchmark.store import Store

RED = "\x1b[31m"
TITLE = "\x1b]0;mine\x07"


def hostile_folder(root: Path) -> Path:
    """A sweep from somebody else, whose method, noise and reason of a failure steer a terminal."""
    spec = {"options": {"note": f"{RED}\x9b5m\x7f"}}
    run = result("ce", **spec)
    failed = dataclasses.replace(result("scn", status="failed"), key="failed")
    stored(root, [run], Known({"ce0": np.array([True, False])}, classes=2))
    store = Store(root)
    store.save_plan([run, failed])
    store.run("failed").fail(f"{TITLE}ValueError: \u202eno", "")
    return root


def test_tables_of_a_folder_from_elsewhere_do_not_steer_the_terminal(call, tmp_path):
    status, out, err = call("table", hostile_folder(tmp_path))
    assert (status, err) == (0, "")
    assert "| ce[note= [31m 5m ] |" in out
    assert "ValueError:  no" in out
    assert not {"\x1b", "\x9b", "\x7f", "\x07", "\u202e"} & set(out)


def test_json_of_such_a_folder_can_be_read_and_gives_the_names_as_they_are(call, tmp_path):
    _, out, _ = call("table", hostile_folder(tmp_path), "--json")
    assert not {"\x1b", "\x9b", "\x7f", "\x07", "\u202e"} & set(out)
    rows = json.loads(out)
    assert rows[0]["options"] == f"note={RED}\x9b5m\x7f"
    assert rows[1]["error"] == f"{TITLE}ValueError: \u202eno"


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_files_with_such_names_are_named_in_text(call, tmp_path, words):
    for k in range(4):
        save(tmp_path / "a" / f"{k}.png", k)
        save(tmp_path / "b" / f"{k}.png", 10 + k)
    (tmp_path / "a" / f"{TITLE}.png").write_bytes(b"no image")
    (tmp_path / "a" / f"{RED}.txt").write_bytes(b"no image")
    status, out, err = call("data", "check", "folder", "--data-root", tmp_path, *words)
    assert status == 1
    assert "\x1b" not in out + err
    assert "\\x1b]0;mine\\x07.png" in out or "\\u001b]0;mine\\u0007.png" in out
    (tmp_path / "a" / f"{TITLE}.png").unlink()
    _, out, err = call("data", "show", "folder", "--data-root", tmp_path)
    assert "\x1b" not in out + err
    assert "\\x1b[31m.txt" in out


def test_a_plugin_s_own_message_does_not_steer_it(call, tiny_plugin, tmp_path):
    plugin = tmp_path / "p.py"
    plugin.write_text(f"raise ValueError({RED!r} + 'no\\nno')")
    status, _, err = call("list", "methods", "--plugin", plugin)
    assert (status, err.splitlines()) == (2, [f"error: --plugin {plugin} cannot be imported: ValueError: \\x1b[31mno no"])
