"""The page in a browser: it opens from disk without a word to the net, sorts, filters, opens cells, and fits a telephone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import finished_sweep
from pages import page_of

from benchmark.report.figures import ranks

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `browser`)")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
    pytest.mark.slow,
]

METHODS = ("ce", "scn", "50%_off <script>alert(1)</script>")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that is under way: finished runs, a failed one, one that has begun and one that has not."""
    root = tmp_path_factory.mktemp("sweep")
    store = finished_sweep(root, methods=METHODS, rates=(0.0, 0.3), seeds=(0, 1, 2))
    keys = [run.key for run in store.plan()]
    for key in keys[-3:]:
        (store.run(key).path / "metrics.json").unlink()
    store.run(keys[-3]).fail("Diverged: </script><b>loss</b>", "Traceback: <img src=x onerror=alert(2)>")
    shutil.rmtree(store.run(keys[-1]).path)
    (root / "index.html").write_text(page_of(store, with_images=True), encoding="utf-8")
    return root / "index.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        rootless = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's sandbox refuses root
        browser = play.chromium.launch(executable_path=CHROMIUM, args=rootless)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, file: Path) -> Iterator[Any]:
    """Opens the page; at the end, nothing may have gone wrong in it, and nothing been asked for but the file."""
    wrong: list[str] = []
    asked: list[str] = []
    contexts = []

    def opened(viewport: dict[str, int] = DESK, theme: str = "light") -> Any:
        context = browser.new_context(viewport=viewport, color_scheme=theme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


def draw_all(page: Any) -> int:
    charts = page.locator("figure .chart")
    for k in range(charts.count()):
        charts.nth(k).scroll_into_view_if_needed()
        charts.nth(k).locator("svg.marks").wait_for()
    return int(charts.count())


def column(table: Any, place: int) -> list[str]:
    """What stands in the rows that are shown."""
    rows = table.locator("tbody tr:visible")
    return [rows.nth(k).locator("th, td").nth(place).inner_text() for k in range(rows.count())]


def test_every_figure_is_drawn_when_it_is_scrolled_to(open_page):
    page = open_page()
    count = page.locator("figure .chart").count()
    assert page.locator("figure svg.marks").count() < count  # which makes a long page open fast
    assert draw_all(page) == count > 15
    described = page.locator("figure .chart [role=graphics-document]").first.get_attribute("aria-label")
    assert described.startswith("Accuracy against noise: marked")


def test_a_columns_name_sorts_up_then_down_then_not(open_page):
    page = open_page()
    table = page.locator("table").first
    given = column(table, 1)
    head = table.locator("thead th").nth(1)
    head.get_by_role("button").click()
    up = column(table, 1)
    assert head.get_attribute("aria-sort") == "ascending"
    assert up == sorted(given, key=lambda text: float(text.split()[0]))
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, 1) == up[::-1]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert column(table, 1) == given


def test_what_is_missing_is_sorted_last_both_ways(open_page):
    page = open_page()
    head = page.locator("table").first.locator("thead th").nth(2).get_by_role("button")
    for _ in range(2):
        head.click()
        assert column(page.locator("table").first, 2)[-1] == "failed"


def test_words_filter_rows(open_page):
    page = open_page()
    page.get_by_label("Filter rows").fill("SCN 30 %")
    assert column(page.locator("table").last, 1) == ["scn"]
    assert column(page.locator("table").first, 0) == []  # no row of the headline says a noise
    assert page.locator(".empty:visible").count() == 1
    assert " of " in page.locator("#shown").inner_text()
    page.get_by_label("Filter rows").fill("")
    assert len(column(page.locator("table").first, 0)) == 3
    assert page.locator(".empty:visible").count() == 0


def test_switches_hide_methods_noises_and_datasets(open_page):
    page = open_page()
    draw_all(page)
    chart = page.locator("#figure-cost-symmetric-0 svg.marks")
    assert "scn" in chart.text_content()
    page.locator(".switch", has_text="Methods").locator("summary").click()
    page.get_by_label("scn", exact=True).uncheck()
    assert column(page.locator("table").first, 0) == ["ce", METHODS[2]]
    page.wait_for_function("!document.querySelector('#figure-cost-symmetric-0 svg.marks').textContent.includes('scn')")
    page.keyboard.press("Escape")
    assert page.locator(".switch[open]").count() == 0
    page.locator(".switch", has_text="Noises").locator("summary").click()
    page.get_by_label("symmetric 0 %", exact=True).uncheck()
    assert page.locator("table").first.locator("thead th:visible").count() == 4
    assert not page.locator("#figure-cost-symmetric-0").is_visible()
    assert page.locator("#figure-cost-symmetric-30").is_visible()
    page.locator(".switch", has_text="Datasets").locator("summary").click()
    page.locator("[data-none=dataset]").click()
    assert page.locator(".part:visible").count() == 0
    page.locator("[data-all=dataset]").click()
    assert page.locator(".part:visible").count() > 5


def test_a_cell_opens_its_runs_by_keyboard_and_gives_the_focus_back(open_page):
    page = open_page()
    button = page.locator("table").first.locator("td button").first
    button.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.locator("h2").inner_text() == "ce, symmetric 0 %"
    assert dialog.locator("details.run").count() == 3
    dialog.locator(".chart svg.marks").wait_for()
    dialog.locator("details.run > summary").nth(1).press("Enter")
    run = dialog.locator("details.run").nth(1)
    for part in ("Setting", "Metrics", "Recipe", "History, 3 epochs"):
        run.get_by_text(part, exact=True).click()
    run.get_by_text("Environment", exact=True).click()
    assert "acc_last" in run.inner_text()
    assert "abacus" in run.inner_text()
    assert run.locator("table tbody tr").count() == 3
    for _ in range(30):  # the focus stays inside
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.textContent") == button.inner_text()


def test_a_failed_run_says_why_in_letters_and_how_to_go_on(open_page):
    page = open_page()
    page.locator("td.failed button").first.click()
    dialog = page.get_by_role("dialog")
    runs = dialog.locator("details.run")
    assert [runs.nth(k).locator("> summary").inner_text() for k in range(3)] == [
        "Seed 0: failed",
        "Seed 1: running or interrupted",
        "Seed 2: not run yet",
    ]
    runs.nth(0).locator("> summary").click()
    assert "Diverged: </script><b>loss</b>" in runs.nth(0).inner_text()
    assert "--retry-failed" in runs.nth(0).locator("pre").first.text_content() + runs.nth(0).inner_text()
    runs.nth(2).locator("> summary").click()
    assert "python -m benchmark run --config" in runs.nth(2).inner_text().replace("\n", " ")


def test_the_theme_is_the_systems_until_it_is_chosen_and_is_kept(open_page):
    page = open_page(theme="dark")
    draw_all(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(22, 24, 28)"
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.wait_for_function("[...document.querySelectorAll('figure .chart')].every((chart) => chart.dataset.theme === 'light')")
    page.reload()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert page.get_by_role("button", name="Dark theme").is_visible()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_sticks_out(open_page, viewport):
    page = open_page(viewport)
    draw_all(page)
    inside = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(inside)
    page.locator("td button").first.click()
    page.get_by_role("dialog").locator(".chart svg.marks").wait_for()
    page.locator("details.run > summary").first.click()
    assert page.evaluate(inside)
    assert page.evaluate("document.getElementById('runs-body').scrollWidth <= document.getElementById('runs-body').clientWidth")


def test_on_a_telephone_every_figure_lies_in_its_box_and_can_be_read(open_page):
    page = open_page(PHONE)
    draw_all(page)
    for chart in page.locator("figure .chart svg.marks").all():
        name, left, right, smallest = chart.evaluate(
            """(drawn) => {
              const box = drawn.closest(".scroll"), at = drawn.getBoundingClientRect(), around = box.getBoundingClientRect();
              const scale = at.width / drawn.viewBox.baseVal.width;
              const letters = [...drawn.querySelectorAll("text")].filter((text) => text.textContent.trim());
              const all = [at, ...letters.map((text) => text.getBoundingClientRect())];
              return [drawn.closest("figure").id, Math.min(...all.map((r) => r.left)) - around.left,
                around.right - Math.max(box.scrollWidth - box.clientWidth + around.right, ...all.map((r) => r.right)),
                Math.min(...letters.map((text) => parseFloat(getComputedStyle(text).fontSize) * scale))];
            }"""
        )
        assert left >= -1, name
        assert right >= -1, name
        assert smallest >= 8, name


def test_names_at_both_sides_of_ranks_are_read_on_a_telephone(open_page):
    page = open_page(PHONE)
    names = [f"method-{k}-of-some-length" for k in range(12)]
    spec = ranks.chart(names, [k + 1.0 for k in range(12)], [[0, 1, 2]], 3.2).to_dict()
    scale = page.evaluate(
        """async (spec) => {
          const place = document.createElement("div");
          place.className = "chart";
          document.querySelector("#figures").append(place);
          await draw(place, fitted(spec, 336));
          return 336 / place.querySelector("svg.marks").viewBox.baseVal.width;
        }""",
        spec,
    )
    assert 9 * scale >= 8


def test_a_turned_telephone_has_its_figures_laid_out_anew(open_page):
    page = open_page(PHONE)
    chart = page.locator("#figure-risk-coverage-symmetric-30 .chart")
    chart.scroll_into_view_if_needed()
    chart.locator("svg.marks").wait_for()
    width = "document.querySelector('#figure-risk-coverage-symmetric-30 svg.marks').viewBox.baseVal.width"
    narrow = page.evaluate(width)
    page.set_viewport_size({"width": 740, "height": 360})
    page.wait_for_function(f"{width} > {narrow} + 100")


def test_the_bar_lies_above_all_that_passes_beneath_it(open_page):
    page = open_page()
    draw_all(page)
    page.evaluate("document.body.style.paddingBottom = '100vh'")  # so that the last figure reaches the bar
    beneath_bar = """(button) => {
      const bar = document.getElementById("choices");
      scrollBy(0, button.getBoundingClientRect().top - bar.getBoundingClientRect().top - 10);
      const at = button.getBoundingClientRect(), held = bar.getBoundingClientRect();
      const [x, y] = [at.left + at.width / 2, at.top + at.height / 2];
      const beneath = held.left <= x && x <= held.right && held.top <= y && y <= held.bottom;
      return [beneath, bar.contains(document.elementFromPoint(x, y))];
    }"""
    for place in range(page.locator("figure .chart summary").count()):
        button = page.locator("figure .chart summary").nth(place)
        assert button.evaluate(beneath_bar) == [True, True]


def on_paper(page: Any) -> None:
    """What a browser does before it prints, on A4 upright with the page's own margins."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1032})


def test_paper_breaks_no_number_and_has_all_columns(open_page):
    page = open_page()
    titles = "(tables) => tables.map((table) => [...table.tHead.rows[0].cells].map((cell) => cell.textContent))"
    wanted = page.locator("table").evaluate_all(titles)
    on_paper(page)
    shown = [table for table in page.locator("table").all() if table.is_visible()]
    assert len(shown) > len(wanted)  # the widest is in parts
    rows = [table.evaluate(f"(table) => ({titles})([table])")[0] for table in shown]
    assert {title for table in wanted for title in table} == {title for table in rows for title in table}
    for table in shown:
        broken = table.evaluate(
            """(table) => [...table.querySelectorAll("td, thead th")].filter((cell) => {
              const range = document.createRange();
              const words = [], walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
              while (walk.nextNode()) {
                const text = walk.currentNode, pattern = cell.tagName === "TD" ? /.+/g : /[^ ]+/g;
                for (const found of text.data.matchAll(pattern)) words.push([text, found.index, found.index + found[0].length]);
              }
              return words.some(([text, from, to]) => {
                range.setStart(text, from);
                range.setEnd(text, to);
                const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top)));
                return lines.size > 1 || range.getBoundingClientRect().right > cell.getBoundingClientRect().right + 1;
              });
            }).map((cell) => cell.textContent)"""
        )
        assert broken == []
        assert table.evaluate("(table) => table.getBoundingClientRect().right") <= 703


def test_a_fresh_page_prints_every_figure_in_light_colours_though_the_theme_is_dark(open_page, tmp_path):
    page = open_page(theme="dark")
    before = page.locator("main").evaluate("(main) => main.innerHTML")
    # A listener after the page's own sees what the browser will print, which waits for nothing more.
    page.evaluate(
        """addEventListener("beforeprint", () => {
          const drawn = [...document.querySelectorAll(".printed.chart[data-theme=light] svg.marks")];
          window.printed = drawn.filter((one) => one.querySelector("path, text, image")).length;
          window.images = drawn.flatMap((one) => [...one.querySelectorAll("image")]).map((one) => one.getAttribute("href"));
        }, { once: true })"""
    )
    assert page.pdf(path=tmp_path / "page.pdf", format="A4").startswith(b"%PDF")
    assert page.evaluate("window.printed") == page.locator("figure .scroll > .chart").count() > 15
    images = page.evaluate("window.images")
    assert len(images) > 10
    assert all(url.startswith("data:image/") for url in images)
    page.wait_for_function("document.querySelectorAll('.printed').length === 0")
    assert page.locator("main").evaluate("(main) => main.innerHTML") == before
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_paper_is_white_and_has_no_buttons(open_page):
    page = open_page(theme="dark")
    draw_all(page)
    on_paper(page)
    light = "document.querySelectorAll('.printed.chart[data-theme=light]').length"
    page.wait_for_function(f"{light} === document.querySelectorAll('.scroll > .chart').length")
    assert page.locator(".chart[data-theme=dark]").locator("visible=true").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#choices, .tools, nav, .chart summary").locator("visible=true").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= 703")


def test_the_print_button_waits_for_the_figures(open_page):
    page = open_page()
    page.evaluate("window.print = () => { window.printed = document.querySelectorAll('.printed.chart svg.marks').length; }")
    page.get_by_role("button", name="Print").click()
    page.wait_for_function("window.printed")
    assert page.evaluate("window.printed") == page.locator("figure .scroll > .chart").count()


def test_what_may_be_done_with_a_gallery_is_said_as_large_as_its_caption(open_page):
    page = open_page()
    figure = page.locator("#figure-gallery-uncertainty")
    figure.scroll_into_view_if_needed()
    line = figure.locator("svg.marks text", has_text="Not to be published")
    line.wait_for()
    size = "(text) => parseFloat(getComputedStyle(text).fontSize)"
    scale = figure.locator("svg.marks").evaluate("(drawn) => drawn.getBoundingClientRect().width / drawn.viewBox.baseVal.width")
    caption = figure.locator("figcaption").evaluate(size)
    assert line.evaluate(size) * scale == pytest.approx(caption, rel=0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing_serious(open_page, viewport, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra `browser`)").Axe()
    page = open_page(viewport, theme)
    draw_all(page)
    found = axe.run(page).response["violations"]
    page.locator("td.failed button").first.click()
    page.locator("details.run > summary").first.click()
    found += axe.run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")] == []
