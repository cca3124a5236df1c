"use strict";
/* Charts are drawn when they come near the window, and again when the theme or the chosen methods change. */
function draw(place, spec) {
  return vegaEmbed(place, spec, {
    mode: "vega-lite",
    renderer: "svg",
    config: report.themes[theme.now],
    tooltip: { theme: theme.now },
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: place.closest("figure")?.id.replace("figure-", "") || "history",
  }).then((result) => {
    const drawn = place.querySelector("svg.marks");
    drawn.style.setProperty("--width", `${drawn.viewBox.baseVal.width}px`);
    place.dataset.theme = theme.now;
    place.querySelector("summary").setAttribute("aria-label", "Save this figure");
    return result;
  });
}

/* Whether lines, bars or marks are told apart by method, so that some can be left out; where each has a panel, none can. */
function byMethod(part) {
  if (part === null || typeof part !== "object") return false;
  return part.encoding?.color?.field === "method" || Object.entries(part).some(([name, inner]) => name !== "datasets" && byMethod(inner));
}

function without(spec, names) {
  for (const [name, rows] of Object.entries(spec.datasets)) spec.datasets[name] = rows.filter((row) => !names.has(row.method));
  const prune = (part) => {
    if (part === null || typeof part !== "object") return;
    if (Array.isArray(part.legend?.values)) part.legend.values = part.legend.values.filter((name) => !names.has(name));
    for (const [name, inner] of Object.entries(part)) if (name !== "datasets") prune(inner);
  };
  prune(spec);
  return spec;
}

const charts = [...document.querySelectorAll("figure.part .chart")].map((place) => {
  const source = place.closest("figure").querySelector("script");
  const chart = { place, drawn: null, busy: Promise.resolve() };
  chart.render = (colours = theme.now) => {
    chart.busy = chart.busy.then(async () => {
      const spec = JSON.parse(source.textContent);
      const names = byMethod(spec) ? new Set([...off.method].map((number) => report.methods[Number(number)])) : new Set();
      const wanted = JSON.stringify([colours, [...names]]);
      if (chart.drawn === wanted) return;
      chart.view?.finalize();
      chart.view = await draw(place, names.size ? without(spec, names) : spec);
      chart.drawn = wanted;
    }).catch((error) => {
      place.textContent = `This figure cannot be drawn: ${error.message}`;
      console.error(error);
    });
    return chart.busy;
  };
  return chart;
});

{
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      charts.find((chart) => chart.place === entry.target).render();
    }
  }, { rootMargin: "600px" });
  for (const chart of charts) watch.observe(chart.place);
  const again = () => charts.filter((chart) => chart.drawn && !chart.place.closest("figure").hidden).forEach((chart) => chart.render());
  theme.followers.push(again);
  choiceFollowers.push(again);

  const print = document.getElementById("print");
  print.hidden = false;
  print.addEventListener("click", async () => {
    print.disabled = true; // every chart has to be there, and paper is light
    const before = theme.now;
    theme.set("light", false);
    await Promise.all(charts.map((chart) => chart.render()));
    print.disabled = false;
    window.print();
    theme.set(before, false);
  });
}
