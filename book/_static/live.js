// Live figures: a few sliders, one plot and one sentence, with the formulas of engine.js.
(() => {
  "use strict";
  const { chain, evaluate, kept, number, paper, powerOfTen, shrinkage, signs, ticks } = w2s;
  const percent = (x) => `${number(100 * x)} %`;
  const steps = (low, high, count, log) => Array.from({ length: count + 1 }, (_, i) =>
    log ? low * (high / low) ** (i / count) : low + ((high - low) * i) / count);
  /** Round places on a linear axis, about five. */
  const roundTicks = (low, high) => {
    const power = 10 ** Math.floor(Math.log10((high - low) / 4));
    const step = power * [1, 2, 2.5, 5, 10].find((f) => f * power >= (high - low) / 5);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
  };
  const NAMES = { weak: "teacher", student: "student", baseline: "strong baseline", ceiling: "strong ceiling" };
  const risks = (s, axis) => Object.keys(NAMES).map((model) => ({
    look: model,
    name: NAMES[model],
    at: (x) => evaluate({ ...s, [axis]: x }).risks[model],
  }));

  const SLIDERS = {
    N: ["pseudo-labels N", 110, 1000000, 4000, true],
    n: ["labels n", 210, 100000, 400, true],
    d_sw: ["shared dimensions d_sw", 1, 99, 10],
    noise_variance: ["label noise σ²", 0.0001, 1, 0.01, true, false],
  };
  /** Variance that a student keeps: what is inherited, and what is not averaged out. */
  const inAll = (...at) => { const { inherited, reduced } = kept(...at); return inherited + reduced; };
  /** Risks of teacher, middle model if there is one, and student; steps share the pseudo-labels. */
  const through = (s, ...middle) => chain({
    d: 20, noise_variance: 1, target: s.target, angles: [0, ...middle, s.student],
    sizes: [s.n, ...(middle.length ? [300, 300] : [600])],
  });
  /** The two ratios of the paper's pair along one of the sizes. */
  const ratios = (axis, of) => ({
    caption: `PGR and OPR of the paper’s pair against ${of}: the two ratios of expected risks.`,
    sliders: { [axis]: SLIDERS[axis], ...SLIDERS },
    x: { key: axis, label: SLIDERS[axis][0], log: true },
    y: { label: "ratio", range: (values) => [Math.max(Math.min(0, ...values), -1), Math.min(Math.max(1.2, ...values), 20)] },
    curves: (s) => [
      { look: "student", name: "PGR", at: (x) => evaluate({ ...paper(s.d_sw), ...s, [axis]: x }).pgr },
      { look: "baseline", name: "OPR", at: (x) => evaluate({ ...paper(s.d_sw), ...s, [axis]: x }).opr },
    ],
    says: (s) => {
      const e = evaluate({ ...paper(s.d_sw), ...s });
      if (e.pgr === null || e.opr === null) return "One of the ratios is not defined here.";
      const beats = (yes, whom) => `${yes ? "beats" : "does not beat"} ${whom}`;
      return `PGR ${number(e.pgr)}, OPR ${number(e.opr)}: the student ${beats(e.pgr > 0, "its teacher")}, ${beats(e.opr > 1, "the strong baseline")} and ${beats(e.pgr > 1, "the strong ceiling")}.`;
    },
  });

  // Each: sliders (the first may be the horizontal axis), the curves of a setting, and what it says.
  const FIGURES = {
    angle: {
      caption: "What becomes of a teacher’s variance along one direction, by its angle to the student’s features, for a student of 100 dimensions.",
      sliders: { angle: ["angle θ, degrees", 0, 90, 60], N: ["pseudo-labels N", 210, 100000, 1000, true] },
      x: { key: "angle", label: "angle to the student’s features, degrees" },
      y: { label: "variance kept, share of the teacher’s", range: () => [0, 1] },
      curves: (s) => [
        { look: "student", name: "kept", at: (x) => inAll(x, 100, s.N) },
        { look: "inherited", name: "inherited, cos² θ", at: (x) => kept(x, 100, s.N).inherited },
      ],
      says: (s) => {
        const k = kept(s.angle, 100, s.N);
        return `The student keeps ${percent(inAll(s.angle, 100, s.N))}: ${percent(k.inherited)} inherited, and ${percent(k.reduced)} that pseudo-labels have not averaged out.`;
      },
    },
    recovery: ratios("N", "pseudo-labels"),
    labels: ratios("n", "labels"),
    risks: {
      caption: "The four expected risks of the paper’s pair against labels, both axes logarithmic.",
      sliders: { n: SLIDERS.n, ...SLIDERS },
      x: { key: "n", label: "labels n", log: true },
      y: { label: "expected excess risk", log: true, range: (values) => [Math.min(...values) / 1.3, Math.max(...values) * 1.3] },
      curves: (s) => risks({ ...paper(s.d_sw), ...s }, "n"),
      says: (s) => {
        const { weak, student, baseline } = evaluate({ ...paper(s.d_sw), ...s }).risks;
        return `At n = ${number(s.n)} the student has ${number(student / weak)} times its teacher’s risk and ${number(student / baseline)} times the strong baseline’s.`;
      },
    },
    ridge: {
      caption: "What a ridge fit to m samples keeps of each of 100 directions whose variances fall as a power law.",
      sliders: { m: ["samples m", 5, 10000, 100, true], alpha: ["ridge α", 0.000001, 1, 0.001, true, false], decay: ["decay of the variances", 0, 3, 1, false, false] },
      x: { label: "direction, by its variance", log: true, span: [1, 100] },
      y: { label: "share kept", range: () => [0, 1] },
      curves: (s) => {
        const spectrum = Array.from({ length: 100 }, (_, i) => (i + 1) ** -s.decay);
        const { kappa } = shrinkage(spectrum, s.m, s.alpha);
        const kept_of = (x) => 1 / (1 + kappa * x ** s.decay);
        return [
          { look: "student", name: "of the target", at: kept_of },
          { look: "weak", name: "of noise: its square", at: (x) => kept_of(x) ** 2 },
        ];
      },
      says: (s) => {
        const { kappa, df1, df2 } = shrinkage(Array.from({ length: 100 }, (_, i) => (i + 1) ** -s.decay), s.m, s.alpha);
        return `The fit acts like one to infinite data with ridge κ = ${number(kappa)} in place of α = ${number(s.alpha)}; its soft dimensions are df₁ = ${number(df1)} and df₂ = ${number(df2)}.`;
      },
    },
    shift: {
      caption: "The same share where the pool correlates the student’s direction with the one at right angles to it, for a student of 100 dimensions.",
      sliders: { r: ["correlation in the pool", -0.95, 0.95, 0.5, false, false], angle: ["angle θ, degrees", 0, 90, 60], N: ["pseudo-labels N", 210, 100000, 1000, true] },
      x: { key: "r", label: "correlation of the two directions in the pool" },
      y: { label: "variance kept, share of the teacher’s", range: (values) => [0, Math.max(1, ...values)] },
      curves: (s) => [
        { look: "student", name: "kept", at: (x) => inAll(s.angle, 100, s.N, x) },
        { look: "inherited", name: "inherited", at: (x) => kept(s.angle, 100, s.N, x).inherited },
      ],
      says: (s) => {
        const share = (r) => inAll(s.angle, 100, s.N, r);
        return `At ${number(s.angle)}° the student keeps ${percent(share(s.r))} of the variance with correlation ${number(s.r)}, and ${percent(share(0))} without any.`;
      },
    },
    scale: {
      caption: "What a student gains over a teacher whose score has its best scale, in squared error (as a share of the target’s variance) and in right signs.",
      sliders: { scale: ["scale of the student’s score", 0, 2, 1.3, false, false], student: ["student’s correlation with the target", 0.3, 0.99, 0.8, false, false], teacher: ["teacher’s correlation with the target", 0.3, 0.99, 0.7, false, false] },
      x: { key: "scale", label: "scale of the student’s score" },
      y: { label: "gain over the teacher", range: (values) => [Math.min(...values, -0.1), Math.max(...values, 0.1)] },
      curves: (s) => [
        { look: "weak", name: "in squared error", at: (x) => signs(s.teacher, s.teacher).risk - signs(s.student, x).risk },
        { look: "student", name: "in accuracy", at: (x) => signs(s.teacher, s.teacher).wrong - signs(s.student, x).wrong },
      ],
      says: (s) => {
        const [teacher, student] = [signs(s.teacher, s.teacher), signs(s.student, s.scale)];
        const agree = (teacher.risk > student.risk) === (teacher.wrong > student.wrong);
        return `The student’s signs are right in ${percent(1 - student.wrong)}, its teacher’s in ${percent(1 - teacher.wrong)}. Squared errors, ${number(student.risk)} and ${number(teacher.risk)} of the target’s variance, ${agree ? "agree about who is better" : "say the opposite"}.`;
      },
    },
    chain: {
      caption: "Risk of the student, and of its teacher, by where a model in the middle stands; 20 planes, label noise 1, a target of length 1, 600 pseudo-labels in all.",
      sliders: { middle: ["angle of the middle model, degrees", 0, 90, 30], student: ["angle of the student, degrees", 0, 90, 60], target: ["angle of the target, degrees", 0, 90, 60], n: ["labels n", 30, 10000, 400, true] },
      x: { key: "middle", label: "angle of the middle model to the teacher, degrees" },
      y: { label: "expected excess risk", range: (values) => [0, 1.1 * Math.max(...values)] },
      curves: (s) => [
        { look: "student", name: "through the middle", at: (x) => through(s, x).at(-1) },
        { look: "baseline", name: "in one step", at: () => through(s).at(-1) },
        { look: "weak", name: "teacher", at: () => through(s)[0] },
      ],
      says: (s) => {
        const [by, once] = [through(s, s.middle).at(-1), through(s).at(-1)];
        return `The student’s risk is ${number(by)} through the middle and ${number(once)} in one step: the detour ${by < once ? "helps" : "does not help"}.`;
      },
    },
  };

  function make(tag, attributes = {}, ...children) {
    const svg = /^(svg|g|path|line|text|circle)$/.test(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function build(root, number_of) {
    const { caption, sliders, x, y, curves, says } = FIGURES[root.dataset.live];
    const setting = {};
    const controls = make("div", { class: "controls" });
    const picture = make("svg", { role: "img" });
    const words = make("p", { role: "status" });
    for (const [key, [label, low, high, start, log = false, whole = true]] of Object.entries(sliders)) {
      setting[key] = start;
      const position = (value) => 1000 * (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
      const valueAt = (share) => {
        const value = log ? low * (high / low) ** share : low + (high - low) * share;
        return whole ? Math.round(value) : Number(value.toPrecision(3));
      };
      const id = `live-${number_of}-${key}`;
      const shown = make("output", { for: id }, number(start));
      const input = make("input", { id, type: "range", min: 0, max: 1000, step: 1, value: position(start), "aria-valuetext": number(start) });
      input.addEventListener("input", () => {
        setting[key] = valueAt(input.value / 1000);
        shown.textContent = number(setting[key]);
        input.setAttribute("aria-valuetext", number(setting[key]));
        draw();
      });
      controls.append(make("label", { for: id }, label), input, shown);
    }

    function draw() {
      const width = Math.max(root.clientWidth, 260), height = Math.round(Math.min(Math.max(0.5 * width, 220), 330));
      const [left, right, top, bottom] = [52, 16, 12, 40];
      const [low, high] = x.span ?? sliders[x.key].slice(1, 3);
      const lines = curves(setting).map((curve) => ({
        ...curve,
        points: steps(low, high, 300, x.log).map((at) => [at, curve.at(at)]).filter(([, value]) => value !== null && Number.isFinite(value)),
      }));
      const values = lines.flatMap((line) => line.points.map((point) => point[1]));
      // Poles are cut off.
      const sorted = values.toSorted((a, b) => a - b);
      const inside = y.log ? sorted.slice(0, Math.ceil(0.97 * sorted.length)) : sorted;
      const [floor, roof] = y.range(inside);
      const share = (value, a, b, log) => (log ? Math.log(value / a) / Math.log(b / a) : (value - a) / (b - a));
      const X = (value) => left + (width - left - right) * share(value, low, high, x.log);
      const Y = (value) => height - bottom - (height - top - bottom) * Math.min(Math.max(share(value, floor, roof, y.log), 0), 1);
      const places = (a, b, log) => (log ? ticks : roundTicks)(a, b);
      const parts = [];
      for (const at of places(low, high, x.log)) {
        parts.push(make("line", { class: "grid", x1: X(at), x2: X(at), y1: top, y2: height - bottom }));
        parts.push(make("text", { x: X(at), y: height - bottom + 16, "text-anchor": "middle" }, at < 1e5 ? number(at) : powerOfTen(Math.round(Math.log10(at)))));
      }
      for (const at of places(floor, roof, y.log)) {
        parts.push(make("line", { class: "grid", x1: left, x2: width - right, y1: Y(at), y2: Y(at) }));
        parts.push(make("text", { x: left - 6, y: Y(at) + 4, "text-anchor": "end" }, number(Math.abs(at) < 1e-12 ? 0 : at, 2)));
      }
      parts.push(make("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, x.label));
      if (x.key) parts.push(make("line", { class: "now", x1: X(setting[x.key]), x2: X(setting[x.key]), y1: top, y2: height - bottom }));
      for (const { look, points, at } of lines) {
        const here = x.key ? at(setting[x.key]) : null;
        if (here !== null && here >= floor && here <= roof) {
          parts.push(make("circle", { class: `curve ${look}`, cx: X(setting[x.key]), cy: Y(here), r: 4 }));
        }
        if (points.length) parts.push(make("path", { class: `curve ${look}`, d: `M${points.map(([a, b]) => `${X(a).toFixed(1)} ${Y(b).toFixed(1)}`).join("L")}` }));
      }
      picture.replaceChildren(...parts);
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      legend.replaceChildren(...lines.map(({ look, name }) => make("span", { class: look }, name)));
      words.textContent = says(setting);
      picture.setAttribute("aria-label", `${y.label} against ${x.label}. ${words.textContent}`);
    }

    const legend = make("div", { class: "legend" });
    root.replaceChildren(make("div", { class: "axis" }, y.label), legend, picture, words, controls, make("figcaption", {}, `Live: ${caption}`));
    let drawn = 0;
    new ResizeObserver(() => {
      if (root.clientWidth !== drawn) draw();
      drawn = root.clientWidth;
    }).observe(root);
    draw();
  }

  addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-live]").forEach(build));
})();
