"""Figures as files for a paper: PDF, SVG and PNG of the definition that the page shows; nothing is fetched for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...contract.text import no_tags, one_line
from ...store import Store
from . import Drawing, Missing

PIXELS = 3
"""Pixels of a PNG for each of the definition's."""


def write(store: Store, drawings: Iterable[Drawing | Missing], formats: Sequence[str]) -> Iterator[str]:
    """Writes figures/NAME.* below the folder, one figure after the other; of each, what was written or why it is missing.

    Their captions stand in figures/captions.md. Raises BadInput where there is nowhere to write.
    """
    captions = []
    for drawn in drawings:
        if isinstance(drawn, Missing):
            why = "cannot be drawn of" if drawn.damaged else "not applicable to"
            yield f"{drawn.stem}: {why} {drawn.about}: {drawn.reason}"
            continue
        written = files(drawn, formats)
        for name, content in written.items():
            store.save_result(f"figures/{name}", content)
        paths = " ".join(str(store.root / "figures" / name) for name in written)
        captions.append(f"**{drawn.stem}**: {no_tags(one_line(f'{drawn.figure.title}. {drawn.about}. {drawn.caption}'))}\n")
        store.save_result("figures/captions.md", "\n".join(captions))
        yield f"{drawn.stem}: {paths}\n  {drawn.about}. {drawn.caption}"


def _pdf(svg: str) -> bytes:
    import vl_convert

    return bytes(vl_convert.svg_to_pdf(svg))


def _png(svg: str) -> bytes:
    import vl_convert

    scale = PIXELS - 1 if "<image" in svg else PIXELS  # photographs have no more to show
    return bytes(vl_convert.svg_to_png(svg, scale=scale))


FORMATS: Mapping[str, Callable[[str], bytes]] = {"pdf": _pdf, "svg": str.encode, "png": _png}
"""From an SVG, so that each figure is laid out once."""


def files(drawing: Drawing, formats: Sequence[str]) -> dict[str, bytes]:
    """The contents of a figure's files by their names."""
    return {f"{drawing.stem}.{name}": content for name, content in rendered(drawing.spec(), formats).items()}


def rendered(spec: dict[str, Any], formats: Sequence[str]) -> dict[str, bytes]:
    """A whole definition in each of the formats."""
    import vl_convert

    svg = str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))
    return {name: FORMATS[name](svg) for name in formats}


def as_script(spec: Mapping[str, Any]) -> str:
    """A definition, or other plain data, as JSON that can stand inside a page's <script>, whatever names the data holds."""
    text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
