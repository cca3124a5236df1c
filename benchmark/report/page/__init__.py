"""The report's page: one file that opens from disk, shows every table and figure, and lets each cell open its runs.

It asks nothing of the net: styles, scripts, data and the library that draws stand in it, and its content security policy
refuses all else. Whatever users name things is text: the template escapes, the scripts set text only, and data stand as JSON
in which no tag can end.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib.resources import files

import jinja2

from ...store import Store
from ..figures import Drawing, Missing, theme
from ..figures.export import as_script
from ..formats import Table
from ..results import Result
from ..write import fill_command
from .details import details
from .head import facts
from .views import Views

NAME = "index.html"
SCRIPTS = ("choice", "tables", "narrow", "figures", "paper", "runs")
"""The page's own scripts, in the order in which they run after its content is there; `theme` runs before it."""


def page(
    store: Store,
    results: Sequence[Result],
    tables: Sequence[Table],
    notes: Sequence[str],
    drawings: Sequence[Drawing | Missing],
    *,
    with_images: bool,
) -> str:
    """The page's text. `with_images`: also with those whose licence does not let everybody print them."""
    views = Views(results)
    shown = [views.table(table) for table in tables]
    figures = [views.figure(drawn, with_images=with_images) for drawn in drawings]
    known = details(store, results)
    runs = known["runs"].values()
    environments = [known["shared"][place] for place in dict.fromkeys(run["environment"] for run in runs)]
    data = {
        **known,
        "groups": [list(keys) for keys in views.groups],
        "methods": views.methods,
        "fill": fill_command(store),
        "themes": {name: {**theme.config(name), "background": "transparent"} for name in ("light", "dark")},
    }
    scripts = [_read("theme.js"), _bundle(), "\n".join(_read(f"{name}.js") for name in SCRIPTS)]
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(_read("page.html.jinja")).render(
        title=store.root.resolve().name,
        facts=facts(results, environments, [run["started"] for run in runs if run["started"]]),
        unfinished=sum(views.states.values()) - views.states["finished"],
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        notes=notes,
        views=views,
        tables=shown,
        figures=figures,
        data=as_script(data),
        style=_read("page.css"),
        scripts=scripts,
        hashes=[f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" for script in scripts],
        versions=_versions(),
    )


def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")


def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed, as they come with what writes the figures' files."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _versions() -> str:
    import vl_convert

    vega_lite = vl_convert.get_vegalite_versions()[-1]
    embed = vl_convert.get_vega_embed_version().removeprefix("v")
    return f"Vega {vl_convert.get_vega_version()}, Vega-Lite {vega_lite} and Vega-Embed {embed}"
