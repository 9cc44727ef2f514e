// Formulas of chapters 4, 6, 14, 16 and 18 and numbers in words, for the explorer and the live figures.
// The tests compare them with Python. A page may name this file twice.
var w2s = globalThis.w2s ?? (() => {
  "use strict";

  /** Risk of least squares on m labels, or null where it has no expectation. */
  const fitted = (d, rho, noise, m) => (m > d + 1 ? rho + ((noise + rho) * d) / (m - d - 1) : null);

  /** -1, 0 or 1 as a is below, equal to or above b, but for rounding. */
  const compare = (a, b) => (Math.abs(a - b) <= 1e-12 * Math.max(a, b) ? 0 : Math.sign(a - b));

  /** Expected excess risks and the parts of the student's; null where not defined. */
  function evaluate(s) {
    const both = (s.both / 100) * Math.min(s.rho_w, s.rho_s);
    const v = (s.noise_variance + s.rho_w) / (s.n - s.d_w - 1);
    const k = s.d_s / (s.N - s.d_s - 1);
    const parts = {
      inherited: v * s.d_sw,
      reduced: v * k * (s.d_w - s.d_sw),
      missed: s.rho_w - both,
      leaked: k * (s.rho_s - both),
      unseen: s.rho_s,
    };
    const taught = s.n > s.d_w + 1 && s.N > s.d_s + 1;
    const weak = fitted(s.d_w, s.rho_w, s.noise_variance, s.n);
    const student = taught ? Object.values(parts).reduce((a, b) => a + b) : null;
    const baseline = fitted(s.d_s, s.rho_s, s.noise_variance, s.n);
    const ceiling = fitted(s.d_s, s.rho_s, s.noise_variance, s.n + s.N);
    const gain = compare(student, weak) === 0 ? 0 : weak - student;
    return {
      risks: { weak, student, baseline, ceiling },
      parts: taught ? parts : null,
      v,
      k,
      lost: (1 + k) * (s.rho_s - both),
      pgr: taught && weak > ceiling ? gain / (weak - ceiling) : null,
      opr: baseline !== null && student > 0 ? baseline / student : null,
    };
  }

  /** GaussianPair.paper: beta_i^2 = 1/(i d_w d_s), d_w = 200, d_s = 100. */
  function paper(d_sw) {
    const energy = (from, to) => {
      let sum = 0;
      for (let i = from; i <= to; i++) sum += 1 / (i * 200 * 100);
      return sum;
    };
    const neither = energy(301 - d_sw, 300);
    const [rho_w, rho_s] = [energy(1, 100 - d_sw) + neither, energy(101, 300)];
    const both = (100 * neither) / Math.min(rho_w, rho_s);
    return { d_w: 200, d_s: 100, d_sw, n: 400, N: 4000, noise_variance: 0.01, rho_w, rho_s, both };
  }

  const radians = (degrees) => (degrees * Math.PI) / 180;

  /**
   * Share of a teacher's variance along one direction at this angle (degrees) to the student,
   * in a pool that correlates the student's direction and the one at right angles to it.
   */
  function kept(angle, d_s, N, correlation = 0) {
    const [along, across] = [Math.cos(radians(angle)), Math.sin(radians(angle))];
    const unseen = across ** 2 * (1 - correlation ** 2);
    return { inherited: (along + correlation * across) ** 2, reduced: (unseen * d_s) / (N - d_s - 1) };
  }

  /** Squared error and rate of wrong signs of scale (r t + √(1 − r²) ζ) for a target t of variance one. */
  const signs = (r, scale) => ({ risk: 1 - 2 * scale * r + scale ** 2, wrong: Math.acos(r) / Math.PI });

  /**
   * Risks along a chain whose models have one direction in each of d planes, at these angles (degrees).
   * The target is at an angle too, and of length one in all.
   */
  function chain({ d, angles, target, sizes, noise_variance }) {
    const turn = (i) => Math.cos(radians(angles[i] - (i ? angles[i - 1] : target)));
    let mean = turn(0);
    let variance = ((noise_variance + 1 - mean ** 2) * d) / (sizes[0] - d - 1);
    return angles.map((angle, i) => {
      if (i) {
        const unseen = (1 - turn(i) ** 2) * (mean ** 2 + variance);
        variance = turn(i) ** 2 * variance + (unseen * d) / (sizes[i] - d - 1);
        mean *= turn(i);
      }
      return 1 - 2 * mean * Math.cos(radians(angle - target)) + mean ** 2 + variance;
    });
  }

  /** Effective ridge of a fit to m samples, what it keeps of each direction, and soft dimensions. */
  function shrinkage(spectrum, m, alpha) {
    const total = (f) => spectrum.reduce((sum, l) => sum + f(l), 0);
    let kappa = 0;
    if (alpha > 0 || m < spectrum.length) {
      let q = m / (m * alpha + total((l) => l));
      for (let step = q; step > 1e-14 * q; q += step) {
        const gap = m - spectrum.length - m * alpha * q + total((l) => 1 / (1 + l * q));
        step = Math.max(gap, 0) / (m * alpha + total((l) => l / (1 + l * q) ** 2));
      }
      kappa = 1 / q;
    }
    const factors = spectrum.map((l) => l / (l + kappa));
    const sum = (f) => factors.reduce((total, x) => total + f(x), 0);
    return { kappa, factors, df1: sum((x) => x), df2: sum((x) => x * x) };
  }

  const SUPERSCRIPT = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };
  const powerOfTen = (e) => "10" + [...String(e)].map((c) => SUPERSCRIPT[c]).join("");
  function number(x, digits = 3) {
    if (x < 0) return `−${number(-x, digits)}`;
    if (Number.isInteger(x) && x < 1e7) return x.toLocaleString("en");
    const [mantissa, e] = x.toExponential(digits - 1).split("e");
    if (e >= -3 && e < 6) return String(Number(x.toPrecision(digits)));
    return (Number(mantissa) === 1 ? "" : `${Number(mantissa)}·`) + powerOfTen(Number(e));
  }

  /** Ticks of a logarithmic axis: powers of ten, with 2 and 5 where few powers are in view. */
  function ticks(low, high) {
    const inside = (factors) => {
      const found = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++) {
        for (const f of factors) if (f * 10 ** e >= low * 0.999 && f * 10 ** e <= high * 1.001) found.push(Number(`${f}e${e}`));
      }
      return found;
    };
    const powers = inside([1]);
    return powers.length > 2 ? powers : inside([1, 2, 5]);
  }

  return { chain, compare, evaluate, kept, number, paper, powerOfTen, shrinkage, signs, ticks };
})();
