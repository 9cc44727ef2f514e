// The explorer: the four expected risks of w2s_utils.theory.exact, recomputed as the reader moves
// a control. No library: inputs, one SVG and a table. The tests compare it with Python.
(() => {
  "use strict";
  const { compare, evaluate, number, paper, powerOfTen, ticks } = w2s;
  const root = document.getElementById("w2s-explorer");

  // --- Words for the parts of the student's risk -----------------------------------------------

  const PARTS = {
    inherited: "teacher variance that both see; more labels n lower it, pseudo-labels do not",
    reduced: "teacher variance outside the student’s features; pseudo-labels N average it down",
    missed: "signal that the teacher never mentions; neither n nor N lowers it",
    leaked: "right answers that the student cannot represent, noise to it; N averages it down",
    unseen: "signal outside the student’s features; only a better student lowers it",
  };

  // --- The setting --------------------------------------------------------------------------------

  const CONTROLS = {
    d_w: { symbol: "d_w", name: "dimensions the teacher sees", whole: true, min: 1, max: 1e5, scale: [1, 1000] },
    d_s: { symbol: "d_s", name: "dimensions the student sees", whole: true, min: 1, max: 1e5, scale: [1, 1000] },
    d_sw: { symbol: "d_sw", name: "dimensions both see", whole: true, min: 0, max: 1e5 },
    n: { symbol: "n", name: "labels", whole: true, min: 1, max: 1e9, scale: [10, 1e6] },
    N: { symbol: "N", name: "pseudo-labels", whole: true, min: 1, max: 1e9, scale: [10, 1e6] },
    noise_variance: { symbol: "σ²", name: "label noise", min: 0, max: 1e6, scale: [1e-5, 10] },
    rho_w: { symbol: "ρ_w", name: "target the teacher misses", min: 0, max: 1e6, scale: [1e-6, 10] },
    rho_s: { symbol: "ρ_s", name: "target the student misses", min: 0, max: 1e6, scale: [1e-6, 10] },
    both: { symbol: "ρ_ws", name: "missed by both, % of the smaller ρ", min: 0, max: 100 },
  };
  const GROUPS = {
    "Feature spaces": ["d_w", "d_s", "d_sw"],
    Data: ["n", "N", "noise_variance"],
    Target: ["rho_w", "rho_s", "both"],
  };

  const PRESETS = {
    "Paper, d_sw = 10": paper(10),
    "Paper, d_sw = 50": paper(50),
    "Paper, d_sw = 90": paper(90),
    "Beats the ceiling": { ...paper(10), n: 2000, N: 2000, noise_variance: 0.1 },
    "Teacher hurts": { ...paper(90), n: 2000, rho_w: 0.002, rho_s: 0.002, both: 0 },
  };

  /** Why a value does not fit its control, or "". */
  function objection(key, value, s) {
    const c = CONTROLS[key];
    const max = key === "d_sw" ? Math.min(s.d_w, s.d_s) : c.max;
    const fits = value >= c.min && value <= max && (!c.whole || Number.isInteger(value));
    const why = key === "d_sw" ? ", the smaller of d_w and d_s" : "";
    return fits ? "" : `${c.symbol} must be a ${c.whole ? "whole number" : "number"} from ${c.min} to ${max.toLocaleString("en")}${why}.`;
  }

  /** Make a setting possible after `moved` has changed; say what else had to change. */
  function settle(s, moved) {
    const notes = [];
    const set = (key, value, why) => {
      if (s[key] === value) return;
      s[key] = value;
      notes.push(`${CONTROLS[key].symbol} is now ${number(value)}: ${why}.`);
    };
    set("d_sw", Math.min(s.d_sw, s.d_w, s.d_s), "two spaces share at most the smaller dimension");
    const order = (small, large, why) => {
      if (s[small] <= s[large]) return;
      if (moved === small) set(large, s[small], why);
      else set(small, s[large], why);
    };
    if (s.d_sw === s.d_s) order("rho_w", "rho_s", "the teacher sees all that the student sees");
    if (s.d_sw === s.d_w) order("rho_s", "rho_w", "the student sees all that the teacher sees");
    if (nested(s)) set("both", 100, "one model sees all that the other sees");
    return notes;
  }
  const nested = (s) => s.d_sw === Math.min(s.d_w, s.d_s);

  // --- Words --------------------------------------------------------------------------------------

  const percent = (x) => x > 0 && x < 1e-4 ? "< 0.01\u00a0%" : `${Number((100 * x).toPrecision(x < 0.1 ? 2 : 3))}\u00a0%`;

  /** What a model lacks for its expected risk, or "". */
  function lacking(model, s) {
    const needs = [];
    const need = (size, d, text) => size > d + 1 || needs.push(`${text} + 1 = ${number(d + 1)}`);
    if (model === "weak" || model === "student") need(s.n, s.d_w, "n > d_w");
    if (model === "student") need(s.N, s.d_s, "N > d_s");
    if (model === "baseline") need(s.n, s.d_s, "n > d_s");
    if (model === "ceiling") need(s.n + s.N, s.d_s, "n + N > d_s");
    return needs.length ? `not defined: needs ${needs.join(" and ")}` : "";
  }

  /** The verdict and the sentences that give its reasons. */
  function verdict(s, e) {
    const { weak, student, baseline, ceiling } = e.risks;
    if (student === null) {
      return ["No verdict.", [`The student’s expected risk is ${lacking("student", s)}.`]];
    }
    const teacher = compare(student, weak);
    const own = baseline === null ? null : compare(student, baseline);
    const first = ["beats its teacher", "equals its teacher", "is worse than its teacher"][teacher + 1];
    let headline = `The student ${first}.`;
    if (own === -1) headline = `The student ${first} ${teacher === -1 ? "and" : "but beats"} the strong baseline.`;
    if (own === 0) headline = `The student ${first} and equals the strong baseline.`;
    if (own === 1) {
      headline = teacher === 1 ? "The student is worse than its teacher and the strong baseline: this teacher hurts."
        : `The student ${first} but is worse than the strong baseline.`;
    }
    const beyond = compare(student, ceiling) === -1;
    if (beyond && teacher === -1 && own === -1) {
      headline = "The student beats its teacher, the strong baseline and even the strong ceiling.";
    }

    const reasons = [];
    const inherited = s.d_sw / s.d_w;
    const left = e.k * (1 - inherited);
    if (e.v > 0) {
      const rest = e.k < 1 ? "left when N pseudo-labels average the rest" : "from the rest, which N ≤ 2 d_s + 1 pseudo-labels do not average down";
      const sources = s.d_sw === s.d_w ? "all is inherited" : `${percent(inherited)} inherited, and ${percent(left)} ${rest}`;
      reasons.push(`Of its teacher’s variance the student keeps ${percent(inherited + left)}: ${sources}.`);
    }
    const saved = e.v * (s.d_w - s.d_sw) * (1 - e.k);
    if (saved || e.lost) {
      const words = saved < 0 ? `adds ${number(-saved)} of variance` : `saves ${number(saved)} of variance`;
      const cost = e.lost ? `${saved < 0 ? "and" : "but"} loses ${number(e.lost)} to signal that only the teacher sees` : "and loses no signal";
      reasons.push(`Against its teacher it ${words} ${cost}.`);
    }
    if (own !== null) {
      reasons.push(
        `The baseline pays ${number(baseline - s.rho_s)} for fitting n noisy labels, ` +
          `the student ${number(student - s.rho_s)} for what is wrong with its pseudo-labels.`,
      );
    }
    if (beyond) reasons.push("The ceiling’s labels are many, but noisier than a good teacher’s answers.");
    const largest = Object.keys(PARTS).reduce((a, b) => (e.parts[b] > e.parts[a] ? b : a));
    if (student > 0) {
      reasons.push(`Largest part of the student’s risk: ${largest}, ${percent(e.parts[largest] / student)}.`);
    }
    return [headline, reasons];
  }

  // --- Elements -----------------------------------------------------------------------------------

  const MODELS = {
    weak: ["weak teacher", "n labels"],
    student: ["W2S student", "N pseudo-labels"],
    baseline: ["strong baseline", "n labels"],
    ceiling: ["strong ceiling", "n + N labels"],
  };
  const MARKERS = {
    weak: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    student: "M-4.5 -4.5h9v9h-9z",
    baseline: "M0 -5.8L5.6 4.4H-5.6z",
    ceiling: "M0 -6L6 0L0 6L-6 0z",
  };

  function make(tag, attributes = {}, ...children) {
    const svg = /^(svg|g|path|line|text|rect|clipPath)$/.test(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  /** Text in which d_sw and its like have their index below the line. */
  function withIndices(text) {
    return text.split(/([dρ]_(?:sw|ws|w|s))/).flatMap((piece, i) => {
      const [letter, index] = piece.split("_");
      return i % 2 ? [make("i", {}, letter), make("sub", {}, index)] : [piece];
    });
  }
  const swatch = (model) =>
    make("svg", { class: `swatch ${model}`, viewBox: "-14 -7 28 14", width: 28, height: 14, "aria-hidden": "true" },
      make("line", { x1: -14, x2: 14, y1: 0, y2: 0, class: "curve" }), make("path", { d: MARKERS[model], class: "marker" }));
  const exactly = (value, text) => make("data", { value: value ?? "" }, text);

  // --- Controls -----------------------------------------------------------------------------------

  const STEPS = 1000; // positions of a slider
  let setting = { ...PRESETS["Paper, d_sw = 10"] };
  let axis = "N";

  /** Value at a slider's position: logarithmic, with 0 at the left end where 0 is allowed. */
  function valueAt(key, position) {
    const { scale, min, whole } = CONTROLS[key];
    if (key === "d_sw" || key === "both") return position;
    if (position === 0 && min === 0) return 0;
    const value = scale[0] * (scale[1] / scale[0]) ** (position / STEPS);
    return whole ? Math.round(value) : Number(value.toPrecision(3));
  }
  function positionOf(key, value) {
    const { scale } = CONTROLS[key];
    if (key === "d_sw" || key === "both") return value;
    if (value === 0) return 0;
    const share = Math.log(value / scale[0]) / Math.log(scale[1] / scale[0]);
    return Math.min(Math.max(Math.round(STEPS * share), 0), STEPS);
  }

  function control(key) {
    const { symbol, name, whole } = CONTROLS[key];
    const field = make("input", { id: `explorer-${key}`, type: "number", step: whole ? 1 : "any", inputmode: "decimal" });
    const slider = make("input", { type: "range", min: 0, max: STEPS, step: 1, "aria-label": `${symbol.replace("_", " ")}, ${name}: slider` });
    const label = make("label", { for: field.id }, make("b", {}, ...(symbol.includes("_") ? withIndices(symbol) : [make("i", {}, symbol)])), ` ${name}`);
    field.addEventListener("input", () => change(key, field.value === "" ? NaN : Number(field.value), field));
    field.addEventListener("blur", () => show());
    slider.addEventListener("input", () => change(key, valueAt(key, Number(slider.value)), slider));
    Object.assign(CONTROLS[key], { field, slider });
    return make("div", { class: "control" }, label, field, slider);
  }

  function change(key, value, source) {
    const problem = objection(key, value, setting);
    source.toggleAttribute("aria-invalid", false);
    if (problem) {
      source.setAttribute("aria-invalid", "true");
      say([problem]);
      return;
    }
    setting = { ...setting, [key]: value };
    say(settle(setting, key));
    show(source);
    remember();
  }

  const say = (notes) => note.replaceChildren(...withIndices(notes.join(" ")));

  /** Write the setting into the controls, but not into the one in use. */
  function showControls(inUse) {
    for (const [key, { field, slider, min, max }] of Object.entries(CONTROLS)) {
      const value = setting[key];
      const top = key === "d_sw" ? Math.min(setting.d_w, setting.d_s) : max;
      Object.assign(field, { min, max: top, disabled: key === "both" && nested(setting) });
      slider.disabled = field.disabled;
      if (key === "d_sw" || key === "both") slider.max = top;
      if (field !== inUse) {
        const rounded = Number(value.toPrecision(4));
        field.value = Number.isInteger(value) ? value : rounded < 1e-3 ? rounded.toExponential() : rounded;
        field.removeAttribute("aria-invalid");
      }
      // A slider that already stands for the value stays: small whole numbers have many positions.
      if (slider !== inUse && valueAt(key, Number(slider.value)) !== value) slider.value = positionOf(key, value);
      slider.setAttribute("aria-valuetext", number(value));
    }
    for (const button of presets.children) {
      const same = Object.entries(PRESETS[button.dataset.preset]).every(([key, value]) => setting[key] === value);
      button.setAttribute("aria-pressed", String(same));
    }
    for (const option of axes.querySelectorAll("input")) option.checked = option.value === axis;
    const { d_w, d_s, d_sw } = setting;
    const all = d_w + d_s - d_sw;
    const place = (bar, from, size) => Object.assign(bar.style, { left: `${(100 * from) / all}%`, width: `${(100 * size) / all}%` });
    place(spaces.children[0], 0, d_w);
    place(spaces.children[1], d_w - d_sw, d_s);
    place(spaces.children[2], d_w - d_sw, d_sw);
  }

  // --- The address holds the setting --------------------------------------------------------------

  let waiting;
  function remember() {
    clearTimeout(waiting);
    // Browsers limit how often a page may change its address.
    waiting = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams({ ...setting, axis })}`), 250);
  }

  function recall() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (![...given.keys()].some((key) => key in CONTROLS)) return;
    clearTimeout(waiting);
    setting = { ...PRESETS["Paper, d_sw = 10"] };
    const notes = [];
    for (const key of Object.keys(CONTROLS)) {
      if (!given.has(key)) continue;
      const value = given.get(key).trim() === "" ? NaN : Number(given.get(key));
      const problem = objection(key, value, setting);
      if (problem) notes.push(`Not taken from the address: ${problem}`);
      else setting[key] = value;
    }
    if (given.get("axis") === "n" || given.get("axis") === "N") axis = given.get("axis");
    say([...notes, ...settle(setting)]);
    show();
  }

  // --- The picture --------------------------------------------------------------------------------

  /** Range of the horizontal axis: from the first defined risk to where little changes any more. */
  function range() {
    const edge = Math.max(axis === "N" ? setting.d_s : Math.min(setting.d_w, setting.d_s), 5);
    const power = 10 ** Math.floor(Math.log10(edge));
    const low = power * [5, 2, 1].find((f) => f * power <= edge);
    const far = Math.max(setting.d_w, setting.d_s, axis === "n" ? setting.n / 50 : setting.N / 50);
    return [Math.min(low, setting[axis]), 10 ** Math.ceil(Math.log10(100 * far))];
  }

  function draw(now) {
    const width = Math.max(chart.clientWidth, 240);
    const height = Math.round(Math.min(Math.max(0.56 * width, 215), 360));
    const [left, right, top, bottom] = [48, 22, 8, 22];
    const [low, high] = range();
    const points = Array.from({ length: 401 }, (_, i) => {
      const x = low * (high / low) ** (i / 400);
      return { x, ...evaluate({ ...setting, [axis]: x }).risks };
    });
    // Cut the poles off: the highest value in view is the one at 1.2 times the pole.
    const pole = { weak: setting.d_w + 1, student: axis === "n" ? setting.d_w + 1 : setting.d_s + 1, baseline: setting.d_s + 1, ceiling: 0 };
    const models = Object.keys(MODELS);
    const seen = models.flatMap((model) => points.filter((p) => p[model] > 0 && p.x >= 1.2 * pole[model]).map((p) => p[model]));
    const present = Object.values(now.risks).filter((value) => value > 0);
    const values = [...seen, ...present];
    if (!values.length) values.push(0.1, 1);
    const floor = Math.min(...values) / 1.4;
    const roof = Math.max(...values, 12 * floor) * 1.2;
    const X = (x) => left + ((width - left - right) * Math.log(x / low)) / Math.log(high / low);
    const Y = (y) => top + ((height - top - bottom) * Math.log(roof / y)) / Math.log(roof / floor);

    const parts = [make("clipPath", { id: "explorer-clip" }, make("rect", { x: left, y: top, width: width - left - right, height: height - top - bottom }))];
    for (const x of ticks(low, high)) {
      parts.push(make("line", { class: "grid", x1: X(x), x2: X(x), y1: top, y2: height - bottom }));
      parts.push(make("text", { x: X(x), y: height - bottom + 16, "text-anchor": "middle" }, x < 1e5 ? number(x) : powerOfTen(Math.log10(x))));
    }
    for (const y of ticks(floor, roof)) {
      parts.push(make("line", { class: "grid", x1: left, x2: width - right, y1: Y(y), y2: Y(y) }));
      parts.push(make("text", { x: left - 6, y: Y(y) + 4, "text-anchor": "end" }, number(y)));
    }
    const at = X(Math.min(setting[axis], high));
    parts.push(make("line", { class: "now", x1: at, x2: at, y1: top, y2: height - bottom }));
    const curves = make("g", { "clip-path": "url(#explorer-clip)" });
    for (const model of models) {
      const line = points.filter((p) => p[model] > 0).map((p) => `${X(p.x).toFixed(1)} ${Math.max(Y(p[model]), -1e4).toFixed(1)}`);
      if (line.length) curves.append(make("path", { class: `curve ${model}`, d: `M${line.join("L")}` }));
    }
    parts.push(curves);
    for (const model of models) {
      if (now.risks[model] > 0) {
        parts.push(make("path", { class: `marker ${model}`, d: MARKERS[model], transform: `translate(${at} ${Y(now.risks[model])})` }));
      }
    }
    picture.replaceChildren(...parts);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const defined = models.filter((model) => now.risks[model] !== null).map((model) => `${MODELS[model][0]} ${number(now.risks[model])}`);
    picture.setAttribute("aria-label", `Expected excess risk against ${axis === "N" ? "pseudo-labels N" : "labels n"}, both axes logarithmic; at ${number(setting[axis])}: ${defined.join(", ") || "none defined"}.`);
    picture.onpointerdown = picture.onpointermove = (event) => {
      if (!(event.buttons & 1)) return;
      const share = (event.clientX - picture.getBoundingClientRect().left - left) / (width - left - right);
      change(axis, Math.max(Math.round(low * (high / low) ** Math.min(Math.max(share, 0), 1)), 1), picture);
    };
  }

  // --- All of it ----------------------------------------------------------------------------------

  function show(inUse) {
    const now = evaluate(setting);
    showControls(inUse);
    const [headline, reasons] = verdict(setting, now);
    if (words.textContent !== headline) words.textContent = headline;
    why.replaceChildren(...reasons.map((reason) => make("li", {}, ...withIndices(reason))));
    const ratio = (value, missing) => exactly(value, value === null ? missing : number(value));
    pgr.replaceChildren(ratio(now.pgr, "–"));
    opr.replaceChildren(ratio(now.opr, "–"));
    const noGap = now.risks.student !== null && now.pgr === null;
    pgrMeaning.textContent = noGap ? "undefined: the teacher is no worse than the ceiling" : "of the gap to the ceiling";
    for (const [model, cell] of Object.entries(cells)) {
      const lack = lacking(model, setting);
      const value = now.risks[model];
      cell.replaceChildren(exactly(value, lack ? "" : number(value)), ...withIndices(lack));
    }
    for (const [part, { bar, cell, share }] of Object.entries(partCells)) {
      const value = now.parts?.[part] ?? null;
      const fraction = value === null ? null : value / now.risks.student || 0;
      bar.style.width = `${100 * (fraction ?? 0)}%`;
      cell.replaceChildren(exactly(value, value === null ? "–" : number(value)));
      share.textContent = fraction === null ? "–" : percent(fraction);
    }
    draw(now);
  }

  const presets = make("div", { class: "presets", role: "group", "aria-label": "Settings to start from" });
  for (const name of Object.keys(PRESETS)) {
    const button = make("button", { type: "button", "data-preset": name }, ...withIndices(name));
    button.addEventListener("click", () => {
      setting = { ...PRESETS[name] };
      say([]);
      show();
      remember();
    });
    presets.append(button);
  }
  const spaces = make("div", { class: "spaces", "aria-hidden": "true" }, make("div", { class: "weak" }), make("div", { class: "student" }), make("div", { class: "shared" }));
  const controls = make("form", { class: "controls", "aria-label": "Setting" });
  for (const [legend, keys] of Object.entries(GROUPS)) {
    controls.append(make("fieldset", {}, make("legend", {}, legend), ...keys.map(control), ...(legend === "Feature spaces" ? [spaces] : [])));
  }
  controls.addEventListener("submit", (event) => event.preventDefault());

  const words = make("p", { class: "verdict", role: "status" });
  const why = make("ul", { class: "why" });
  const [pgr, opr] = [make("span", { class: "value" }), make("span", { class: "value" })];
  const pgrMeaning = make("small");
  const ratios = make("div", { class: "ratios" },
    make("p", {}, make("b", {}, "PGR"), " ", pgr, " ", pgrMeaning),
    make("p", {}, make("b", {}, "OPR"), " ", opr, " ", make("small", {}, "baseline’s risk over student’s")));

  const picture = make("svg", { role: "img", class: "plot" });
  const note = make("p", { class: "note", role: "status" });
  const chart = make("div", { class: "chart" }, picture, note);
  const axes = make("fieldset", { class: "axes" }, make("legend", {}, "Excess risk against"));
  for (const [value, text] of [["N", "pseudo-labels N"], ["n", "labels n"]]) {
    const option = make("input", { type: "radio", name: "explorer-axis", value });
    option.addEventListener("change", () => {
      axis = value;
      show();
      remember();
    });
    axes.append(make("label", {}, option, ` ${text}`));
  }

  const cells = {};
  const table = make("table", { class: "risks" }, make("caption", {}, "Expected excess risk"));
  for (const [model, [name, fit]] of Object.entries(MODELS)) {
    cells[model] = make("td", { "data-model": model });
    table.append(make("tr", {}, make("th", { scope: "row" }, swatch(model), ` ${name} `, make("small", {}, fit)), cells[model]));
  }
  const partCells = {};
  const stack = make("div", { class: "stack", "aria-hidden": "true" });
  const partTable = make("table", { class: "parts" }, make("caption", {}, "What the student’s risk is made of"));
  for (const [part, meaning] of Object.entries(PARTS)) {
    const bar = make("span", { class: part });
    const cell = make("td", { "data-part": part });
    const share = make("td");
    stack.append(bar);
    partCells[part] = { bar, cell, share };
    const key = make("span", { class: `key ${part}`, "aria-hidden": "true" });
    partTable.append(make("tr", {}, make("th", { scope: "row" }, key, ` ${part} `, make("small", {}, meaning)), cell, share));
  }

  root.replaceChildren(
    presets,
    make("div", { class: "answer" }, words, ratios, chart, axes),
    make("div", { class: "question" }, controls),
    make("div", { class: "details" }, table, why),
    make("div", { class: "anatomy" }, partTable, stack),
  );
  let drawn = 0;
  new ResizeObserver(() => {
    if (chart.clientWidth !== drawn) draw(evaluate(setting));
    drawn = chart.clientWidth;
  }).observe(chart);
  addEventListener("hashchange", recall);
  show();
  recall();
})();
