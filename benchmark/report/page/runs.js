"use strict";
/* What a cell opens. All that is shown is set as text. */
{
  const dialog = document.getElementById("runs");
  const body = document.getElementById("runs-body");
  const WORDS = { finished: "finished", started: "running or interrupted", failed: "failed", missing: "not run yet" };

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const plain = (value) => (value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const list = (facts) =>
    make("dl", {}, ...Object.entries(facts).flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: plain(value) })]));
  const part = (title, content, open = false) =>
    make("details", { open }, make("summary", { textContent: title }), content);

  function command(title, text) {
    const words = text.split(" ").flatMap((word) => [make("span", { textContent: word }), " "]);
    const code = make("pre", { tabIndex: 0 }, ...words.slice(0, -1));
    code.setAttribute("aria-label", title);
    code.setAttribute("role", "group");
    const copy = make("button", { type: "button", textContent: "Copy" });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch { // not allowed: it is selected, for the keys that copy
        getSelection().selectAllChildren(code);
      }
    });
    return make("div", { className: "command" }, make("p", {}, title, " ", copy), code);
  }

  function historyTable(history) {
    const head = make("tr", {}, ...history.columns.map((name) => make("th", { scope: "col", textContent: name })));
    const rows = history.rows.map((row) => make("tr", {}, ...row.map((value) => make("td", { textContent: plain(value) }))));
    const scroll = make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", "History, a row an epoch");
    return scroll;
  }

  function section(run, alone) {
    const accuracy = run.metrics.acc_last;
    const title = `Seed ${run.seed}: ${WORDS[run.status]}${accuracy === undefined ? "" : `, ${accuracy.toFixed(2)} %`}`;
    const { history } = run;
    const content = make("div", {},
      run.error ? make("p", { className: "failed", textContent: run.error }) : null,
      run.details ? part("Traceback", make("pre", { textContent: run.details, tabIndex: 0 })) : null,
      run.status === "finished" ? null
        : command(run.status === "failed" ? "This runs what has failed again:" : "This runs what is missing:",
          report.fill + (run.status === "failed" ? " --retry-failed" : "")),
      run.command ? command("This trains the same run in a folder of its own:", run.command)
        : make("p", { textContent: "sweep.toml does not tell which sweep this run belongs to, so that no command repeats it." }),
      Object.keys(run.metrics).length ? part("Metrics", list(run.metrics), alone) : null,
      part("Setting", list(run.spec)),
      part("Recipe", list(report.shared[run.recipe])),
      run.status === "missing" ? null : part("Environment", list({ ...report.shared[run.environment], started: run.started, folder: run.folder })),
      history?.damaged ? make("p", { className: "failed", textContent: history.damaged }) : null,
      history?.rows ? part(`History, ${history.epochs} epoch${history.epochs > 1 ? "s" : ""}${history.rows.length < history.epochs ? `, of which ${history.rows.length} are shown` : ""}`, historyTable(history)) : null,
    );
    return make("details", { className: "run", open: alone }, make("summary", { className: run.status, textContent: title }), content);
  }

  function curves(runs) {
    const values = runs.flatMap((run) => {
      const at = run.history?.columns?.indexOf("test_accuracy") ?? -1;
      const epoch = run.history?.columns?.indexOf("epoch") ?? -1;
      return at < 0 || epoch < 0 ? [] : run.history.rows.filter((row) => row[at] !== null)
        .map((row) => ({ method: run.method, noise: report.shared[run.noise], seed: run.seed, epoch: row[epoch], accuracy: row[at], key: run.key }));
    });
    const epochs = [...new Set(values.map((row) => row.epoch))].sort((a, b) => a - b);
    if (epochs.length < 2) return null;
    const seeds = [...new Set(runs.map((run) => run.seed))].sort((a, b) => a - b);
    return {
      description: "Test accuracy after each epoch, a line a seed.",
      width: Math.min(480, body.clientWidth - 150), height: 150, data: { values },
      mark: { type: "line", point: { size: 20 }, tooltip: true },
      encoding: {
        x: { field: "epoch", type: "quantitative", scale: { zero: false, nice: false }, axis: epochs.length < 9 ? { values: epochs, format: "d" } : {} },
        y: { field: "accuracy", type: "quantitative", title: "test accuracy (%)", scale: { zero: false } },
        color: { field: "seed", type: "nominal", scale: { domain: seeds } },
        detail: { field: "key" },
      },
    };
  }

  let opener = null;
  function open(keys, from) {
    opener = from;
    const runs = keys.map((key) => ({ key, ...report.runs[key] }));
    const same = (name) => [...new Set(runs.map((run) => (typeof run[name] === "number" ? report.shared[run[name]] : run[name])))].join("; ");
    document.getElementById("runs-title").textContent = `${same("method")}, ${same("noise")}`;
    const chart = make("div", { className: "chart" });
    const sections = [];
    let noise = null;
    for (const run of runs) {
      if (run.noise !== noise && same("noise").includes("; ")) sections.push(make("h3", { textContent: report.shared[run.noise] }));
      noise = run.noise;
      sections.push(section(run, runs.length === 1));
    }
    body.replaceChildren(make("p", { className: "of", textContent: same("setting") }), chart, ...sections);
    dialog.showModal();
    body.scrollTop = 0;
    const spec = curves(runs); // as wide as the dialog has become
    if (spec) draw(chart, spec);
    else chart.remove();
  }

  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => opener?.focus());
  document.getElementById("tables").addEventListener("click", (event) => {
    const cell = event.target.closest("td[data-opens]");
    if (cell) open(report.groups[Number(cell.dataset.opens)], cell.closest("tr").querySelector(`td[data-opens="${cell.dataset.opens}"] button`));
  });
}
