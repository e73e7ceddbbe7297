// What kinds used of one resource beside what was requested: one line a kind.

class ResourcePlot {
  // kinds: the report's; field: which resource; format: value => text; step: for the ticks of a linear axis.
  constructor(kinds, { field, title, unit, format, tick, step, explain, binary = false }) {
    this.kinds = kinds.map((kind, number) => ({ kind, number, use: kind[field] })).filter(({ use }) => use.used.count);
    Object.assign(this, { title, unit, format, tick, step, explain, binary, most: 20 });
    const positive = this.kinds.flatMap(({ use }) => [use.used.bins.length ? 2 ** (use.used.bins[0][0] / 8) : 0, use.used.most, use.requested ? use.requested.most : 0]).filter((value) => value > 0);
    this.low = Math.min(...positive);
    this.high = Math.max(...positive);
    this.log = this.high / this.low > 40;
    this.area = el("div");
    this.scale = el("button", { type: "button", onclick: () => { this.log = !this.log; this.draw(this.width); } });
    this.more = el("button", { type: "button", onclick: () => { this.most = Infinity; this.draw(this.width); } }, `Show all ${number(this.kinds.length)} kinds`);
    this.node = el("div", {}, el("div", { class: "head" }, el("h3", {}, title), el("div", { class: "tools" }, this.scale)), el("p", { class: "soft small" }, explain), this.area, this.more);
    this.empty = !positive.length;
    onResize(this.area, (width) => this.draw(width));
  }

  // A function from values to pixels, and its ticks.
  axis(left, right) {
    if (!this.log) {
      const step = this.step(this.high / Math.max(2, (right - left) / 90)), top = Math.ceil(this.high / step - 1e-9) * step;
      return { x: (value) => left + Math.min(1, value / top) * (right - left), ticks: ticksBetween(0, top, step) };
    }
    const gutter = left + 20, low = Math.log2(this.low) - 0.1, high = Math.log2(this.high) + 0.1;
    const x = (value) => value <= 0 ? left + 4 : gutter + Math.max(0, Math.min(1, (Math.log2(value) - low) / (high - low))) * (right - gutter);
    return { x, ticks: [...(this.kinds.some(({ use }) => use.used.zeros) ? [0] : []), ...this.logTicks(low, high, (right - gutter) / 52)] };
  }
  logTicks(low, high, most) {
    if (this.binary) {
      const step = Math.max(1, Math.ceil((high - low) / Math.max(2, most)));
      return ticksBetween(low, high, step).map((power) => 2 ** power);
    }
    const a = low * Math.log10(2), b = high * Math.log10(2), ticks = [];
    const factors = (b - a) * 3 <= most ? [1, 2, 5] : [1], step = Math.max(1, Math.ceil((b - a) / Math.max(2, most)));
    for (let power = Math.floor(a / step) * step; power <= b; power += step)
      for (const factor of factors) if (factor * 10 ** power >= 10 ** a && factor * 10 ** power <= 10 ** b) ticks.push(factor * 10 ** power);
    return ticks;
  }

  draw(width) {
    if (!width || this.empty) return;
    this.width = width;
    this.scale.textContent = this.log ? "change to linear scale" : "change to log scale";
    const shown = this.kinds.slice(0, this.most), line = 24, top = 4, bottom = top + shown.length * line;
    this.more.hidden = shown.length === this.kinds.length;
    const names = Math.min(150, Math.max(70, width * 0.26)), texts = width > 460 ? 138 : 0, left = names + 8, right = width - texts - 12;
    const { x, ticks } = this.axis(left, right);
    const picture = svg("svg", { width, height: bottom + 40, role: "img", "aria-label": `${this.title} by kind` });
    let free = -99;
    for (const tick of ticks) {
      picture.append(svg("line", { x1: x(tick), x2: x(tick), y1: top, y2: bottom + 4, stroke: "var(--grid)" }));
      const text = (this.tick || this.format)(tick), half = text.length * 3.2;
      if (x(tick) - half < free || x(tick) + half > width) continue;
      free = x(tick) + half + 6;
      picture.append(svg("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle", class: "soft" }, text));
    }
    const title = `${this.unit} (${this.log ? "log scale" : "linear scale"})`, half = title.length * 3.1;
    picture.append(svg("text", { x: Math.max(half, Math.min((left + right) / 2, width - half)), y: bottom + 35, "text-anchor": "middle", class: "soft" }, title));
    shown.forEach((item, i) => picture.append(this.row(item, top + i * line, line, x, names, texts ? right + 12 : 0)));
    this.area.replaceChildren(picture);
  }

  row({ kind, number, use }, top, line, x, names, texts) {
    const { used, requested } = use, middle = top + line / 2, tall = line - 10, colour = paint(group(number)), most = Math.max(1, ...used.bins.map((bin) => bin[1]), used.zeros);
    const longest = Math.floor(names / 6.9), label = kind.name.length > longest ? `${kind.name.slice(0, longest - 1)}…` : kind.name;
    const part = svg("g", {}, svg("rect", { x: 0, y: top, width: this.width, height: line, fill: "transparent" }), svg("text", { x: names, y: middle + 4, "text-anchor": "end" }, label));
    const strip = (from, to, many) => part.append(svg("rect", { x: x(from), y: middle - tall / 2, width: Math.max(1, x(to) - x(from)), height: tall, fill: colour, opacity: 0.12 + 0.6 * Math.sqrt(many / most) }));
    if (used.values.length) for (const value of used.values) part.append(svg("circle", { cx: x(value), cy: middle, r: 3.2, fill: colour, opacity: 0.55 }));
    else {
      for (const [bin, many] of used.bins) strip(Math.max(used.zeros ? 0 : used.least, 2 ** (bin / 8)), Math.min(used.most, 2 ** ((bin + 1) / 8)), many);
      if (used.zeros) strip(0, 0, used.zeros);
    }
    part.append(svg("line", { x1: x(used.least), x2: x(used.most), y1: middle, y2: middle, stroke: "var(--box)", "stroke-width": 1 }));
    if (used.count >= 5) part.append(svg("rect", { x: x(used.low), y: middle - 5, width: Math.max(1, x(used.high) - x(used.low)), height: 10, fill: "none", stroke: "var(--box)", "stroke-width": 1.2 }));
    part.append(svg("line", { x1: x(used.median), x2: x(used.median), y1: middle - 6, y2: middle + 6, stroke: "var(--box)", "stroke-width": 2.4 }));
    if (requested) for (const value of new Set([requested.usual, requested.most])) {
      if (!value) continue;
      part.append(svg("line", { x1: x(value), x2: x(value), y1: top + 2, y2: top + line - 2, stroke: "var(--request)", "stroke-width": 2, opacity: value === requested.usual ? 1 : 0.45 }));
    }
    const asked = requested && requested.most > requested.usual ? `up to ${this.format(requested.most)}` : requested && requested.usual ? this.format(requested.usual) : "";
    const at = asked ? `${this.format(used.most)} of ${asked}` : `up to ${this.format(used.most)}`;
    if (texts) part.append(svg("text", { x: texts, y: middle + 4, class: "soft" }, at));
    return tipped(part, () => this.text(kind, used, requested));
  }

  text(kind, used, requested) {
    const asked = requested ? `requested: ${this.format(requested.usual)}${requested.least === requested.most ? "" : ` mostly; from ${this.format(requested.least)} to ${this.format(requested.most)}`}` : "";
    return `${kind.name}: ${count(used.count, "attempt")}\nat most ${this.format(used.most)}\nthree quarters up to ${this.format(used.high)}\nhalf up to ${this.format(used.median)}\na quarter up to ${this.format(used.low)}\nat least ${this.format(used.least)}${asked && `\n${asked}`}`;
  }
}
