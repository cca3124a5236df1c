"use strict";
/* Charts are drawn when they come near the window, and again when the theme, the chosen methods or the room change. */
const SMALL = matchMedia("(max-width: 40rem)");

function embed(place, spec, colours, options) {
  return vegaEmbed(place, spec, { mode: "vega-lite", renderer: "svg", config: report.themes[colours], ...options });
}

/* Tells the styles of a drawn chart's own width and colours. */
function tell(place, colours) {
  const drawn = place.querySelector("svg.marks");
  drawn.style.setProperty("--width", `${drawn.viewBox.baseVal.width}px`);
  place.dataset.theme = colours;
}

async function draw(place, spec) {
  const colours = theme.now;
  const result = await embed(place, spec, colours, {
    tooltip: { theme: colours },
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: place.closest("figure")?.id.replace("figure-", "") || "history",
  });
  tell(place, colours);
  place.querySelector("summary").setAttribute("aria-label", "Save this figure");
  return result;
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
  const figure = place.closest("figure");
  const source = figure.querySelector("script");
  const chart = { place, figure, drawn: null, busy: Promise.resolve() };
  const left = () => new Set([...off.method].map((number) => report.methods[Number(number)]));
  chart.spec = () => {
    const spec = JSON.parse(source.textContent);
    return byMethod(spec) && off.method.size ? without(spec, left()) : spec;
  };
  chart.render = () => {
    chart.busy = chart.busy.then(async () => {
      const room = SMALL.matches ? place.parentElement.clientWidth : null;
      const spec = chart.spec();
      const wanted = JSON.stringify([theme.now, byMethod(spec) && [...left()], room]);
      if (chart.drawn === wanted) return;
      chart.view?.finalize();
      chart.view = await draw(place, fitted(spec, room));
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
  const again = () => charts.filter((chart) => chart.drawn && !chart.figure.hidden).forEach((chart) => chart.render());
  theme.followers.push(again);
  choiceFollowers.push(again);
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(again, 200);
  });
}
