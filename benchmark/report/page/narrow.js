"use strict";
/* A figure's definition for a telephone: panels in fewer columns, legends beneath, as wide as there is room. Figures are laid out
   for two columns of a paper; shrunk to a telephone, their letters could not be read. */
const AXIS = 52; // pixels that an axis of numbers, its labels and its title take beside a panel
const READABLE = 8.5; // pixels of the smallest letters
const CAPTION = 13.6; // pixels of a caption's letters
const LARGER = 1.33; // how much larger than on paper charts are on a screen

const letters = (text) => 5.4 * String(text).length;

/* Everything in a definition but its data. */
function each(part, visit) {
  if (part === null || typeof part !== "object") return;
  visit(part);
  for (const [name, inner] of Object.entries(part)) if (name !== "datasets") each(inner, visit);
}

function legendsBeneath(spec, room) {
  each(spec, ({ encoding }) => {
    for (const channel of Object.values(encoding ?? {})) {
      if (!channel.legend) continue;
      const names = channel.legend.values ?? channel.scale?.domain ?? [];
      const widest = Math.min(channel.legend.labelLimit ?? 170, Math.max(0, ...names.map(letters))) + 34;
      Object.assign(channel.legend, { orient: "bottom" }, channel.type === "quantitative" ? {} : { columns: Math.max(1, Math.floor(room / widest)) });
    }
  });
}

/* Pixels beside panels of these: class names are wider than numbers. */
function axisWidth(spec) {
  let width = 4;
  each(spec, ({ encoding }) => {
    if (!encoding?.y || encoding.y.axis === null) return;
    const names = encoding.y.type === "nominal" ? encoding.y.scale?.domain ?? [] : [];
    width = Math.max(width, AXIS, 32 + Math.min(encoding.y.axis?.labelLimit ?? 110, Math.max(0, ...names.map(letters))));
  });
  return width;
}

/* Pixels of what is written at both sides of a panel without axes, as the names beside average ranks are. */
function besides(panel, datasets) {
  const widest = { left: 0, right: 0 };
  for (const { mark, encoding, data } of panel.layer ?? []) {
    if (mark.type !== "text" || !(mark.align in widest) || encoding.x?.scale === null || encoding.y?.axis !== null) continue;
    widest[mark.align] = Math.max(widest[mark.align], ...datasets[data.name].map((row) => letters(row[encoding.text.field]) + 8));
  }
  return widest.left && widest.right ? widest.left + widest.right : 0;
}

function scale(panel, width) {
  const factor = width / panel.width;
  panel.height *= panel.height > width || panel.height === panel.width || factor > 1 ? factor : 1;
  panel.width = width;
  /* Names that were placed beside marks, pixel by pixel, would stand elsewhere: the legend has them. */
  const isPlaced = ({ mark, encoding }) => mark?.type === "text" && encoding.x?.scale === null;
  if (panel.layer && factor !== 1) panel.layer = panel.layer.filter((layer) => !isPlaced(layer));
  each(panel, ({ mark }) => {
    if (mark?.limit) mark.limit *= factor;
    if (mark?.type === "text" && mark.fontSize) mark.fontSize = Math.max(READABLE, mark.fontSize * Math.max(factor, 1));
  });
}

/* Axes are labelled at the left and where nothing is beneath, which are other panels than before. */
function relabel(panels, columns) {
  for (const [channel, labelled] of [["y", (k) => k % columns === 0], ["x", (k) => k + columns >= panels.length]]) {
    const found = [];
    panels.forEach((panel, k) => each(panel, ({ encoding }) => {
      if (encoding?.[channel]?.axis) found.push([k, encoding[channel].axis]);
    }));
    const full = structuredClone(found.find(([, axis]) => axis.labels !== false && axis.title)?.[1]);
    if (!full) continue;
    const bare = { ...full, labels: false, ticks: false, title: null };
    const named = found.every(([, axis]) => axis.labels !== false) && found.some(([, axis]) => !axis.title);
    for (const [k, axis] of found) {
      if (named) axis.title = labelled(k) ? full.title : ""; // each panel has its own scale, and only the title is shared
      else {
        for (const name of Object.keys(axis)) delete axis[name];
        Object.assign(axis, labelled(k) ? full : bare);
      }
    }
  }
}

/* Titles in lines that panels of a width hold; the pixels of what lines are more than before. */
function breakTitles(panels, width) {
  let [most, before, height] = [1, 1, 0];
  for (const { title } of panels) {
    if (!Array.isArray(title?.text)) continue;
    before = Math.max(before, title.text.length);
    const room = Math.floor(width / (0.56 * title.fontSize));
    title.text = title.text.join("").match(new RegExp(`.{1,${room}}$|.{1,${room}}(?<=[-:,_ \\]])|.{1,${room}}`, "g"));
    most = Math.max(most, title.text.length);
    height = title.lineHeight;
  }
  return (most - before) * height;
}

function rewrap(spec, room) {
  const panels = spec.concat;
  const gap = spec.spacing?.column ?? spec.spacing ?? 14;
  const inner = room - axisWidth(panels);
  const before = Math.min(spec.columns ?? panels.length, panels.length);
  const columns = Math.max(1, Math.min(before, Math.floor((inner + gap) / (0.8 * panels[0].width + gap))));
  const width = Math.min((inner - gap * (columns - 1)) / columns, Math.max(panels[0].width, 150));
  panels.forEach((panel) => scale(panel, width));
  if (columns === before) return;
  const more = breakTitles(panels, width);
  spec.columns = columns;
  if (spec.spacing?.row === undefined) spec.spacing = { row: gap + 22, column: gap };
  spec.spacing.row += more + (panels.length % columns ? AXIS / 2 : 0); // an axis may stand above the last row's titles
  relabel(panels, columns);
}

const isFoot = (row) => row.text !== undefined && row.kind === undefined;

/* What may be done with a gallery's images stands beneath them, in letters as large as the caption's. */
function footLines(spec, size) {
  const letter = new RegExp(`.{1,${Math.floor(spec.width / (0.52 * size))}}(\\s|$)|\\S+`, "g");
  const [name, given] = Object.entries(spec.datasets).find(([, rows]) => rows.some(isFoot));
  const top = Math.min(...given.map((row) => row.y));
  const lines = given.flatMap((row) => row.text.match(letter) ?? []);
  spec.datasets[name] = lines.map((text, k) => ({ x: 0, y: top + 1.3 * size * k, text: text.trim() }));
  spec.height = top + 1.3 * size * lines.length + 4;
  each(spec, (part) => { if (part.data?.name === name) Object.assign(part.mark, { fontSize: size, limit: spec.width }); });
}

/* A gallery's places are pixels: what stood at the right comes beneath. */
function stack(spec) {
  const rows = Object.values(spec.datasets).flat();
  const heads = rows.filter((row) => row.kind === "head").sort((a, b) => a.x - b.x);
  const two = heads.length > 2; // columns of methods; else one, with the methods' names at the left of both sides
  const [from, to] = two ? [heads[2].x, 0] : [heads[1].x, heads[0].x];
  const down = Math.min(...rows.filter(isFoot).map((row) => row.y)) - 8;
  for (const [name, given] of Object.entries(spec.datasets)) {
    spec.datasets[name] = given.flatMap((row) => {
      if (isFoot(row)) return [{ ...row, y: row.y + down }];
      const moved = row.x >= from ? { ...row, x: row.x - from + to, y: row.y + down } : row;
      return !two && row.kind === "name" ? [moved, { ...row, y: row.y + down }] : [moved];
    });
  }
  spec.width = two ? from - 20 : to + (spec.width - from);
  each(spec, ({ mark }) => { if (mark?.type === "text") mark.fontSize = Math.max(READABLE, mark.fontSize); });
}

/* `room`: pixels across, or null where there is enough. */
function fitted(spec, room) {
  let gallery = false;
  each(spec, ({ mark }) => { gallery ||= mark?.type === "image"; });
  if (gallery) {
    if (room) stack(spec);
    footLines(spec, CAPTION / Math.min(LARGER, room ? room / spec.width : LARGER));
  } else if (room) {
    legendsBeneath(spec, room);
    each(spec, (part) => {
      if (Array.isArray(part.concat)) rewrap(part, room);
      else if (part.layer || part.mark) {
        const written = besides(part, spec.datasets);
        if (written) part.width = Math.max(60, Math.min(part.width, room - written)); // as high as its lines of text
        else if (part.width > room - axisWidth(part)) scale(part, room - axisWidth(part));
      }
    });
  }
  return spec;
}
