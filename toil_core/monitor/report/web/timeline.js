// When attempts ran: how many at a time, and each where it ran. Exact at every zoom: what shares a pixel is added up.

const NOWHERE = "unknown machine", GUTTER = 104, CROWD_HEIGHT = 150, AXIS = 22;

class Timeline {
  // data: columns of `unpack`, in ticks; meta: the report's `timeline`; start: seconds since 1970 of its beginning; end: its length in seconds.
  constructor(data, meta, start, end) {
    Object.assign(this, { data, meta, start, length: Math.max(end, 0.001), from: 0, to: Math.max(end, 0.001), only: -1 });
    this.used = [...new Set([...meta.kinds.keys()].map(group))];
    this.placeRows();
    this.crowd = el("canvas", { "aria-label": "Attempts that ran, over time" });
    this.map = el("canvas", { "aria-label": "What ran where, over time" });
    this.brushes = [el("div", { class: "brush", hidden: true }), el("div", { class: "brush", hidden: true })];
    this.whole = el("button", { type: "button", hidden: true, onclick: () => this.zoom(0, this.length) }, "Show the whole run");
    this.note = el("span", { class: "soft small" });
    this.mapNote = el("p", { class: "soft small" });
    const plots = [[this.crowd, "plot"], [this.map, "plot"]].map(([canvas, name], i) => el("div", { class: name }, canvas, this.brushes[i]));
    this.node = el("div", {},
      el("div", { class: "head" }, this.note, el("div", { class: "tools" }, this.whole)), this.legend(), plots[0],
      this.mapNote, el("div", { class: this.height > 460 ? "tall scroll" : "" }, plots[1]));
    plots.forEach((plot, i) => this.listen(plot, i === 0));
    onResize(this.node, (width) => { this.width = width; this.draw(); });
    onTheme(() => this.draw());
  }

  // One line a slot while they can be told apart, else one line a node.
  placeRows() {
    const { meta, data } = this, slots = meta.lanes.reduce((sum, many) => sum + many, 0);
    this.bySlot = slots <= 72;
    const first = [];
    let lines = 0;
    for (const many of meta.lanes) { first.push(lines); lines += this.bySlot ? many : 1; }
    this.first = first;
    this.lines = lines;
    this.lineHeight = this.bySlot ? Math.max(6, Math.min(18, Math.floor(360 / Math.max(lines, 1)))) : Math.max(10, Math.min(16, Math.floor(400 / lines)));
    this.height = 4 + lines * this.lineHeight + (this.bySlot ? meta.lanes.length * 4 : 0) + AXIS;
    this.rows = Array.from({ length: lines }, () => []);
    for (let row = 0; row < data.rows; row += 1) this.rows[first[data.node[row]] + (this.bySlot ? data.lane[row] : 0)].push(row);
    this.nodeOf = meta.lanes.flatMap((many, node) => Array(this.bySlot ? many : 1).fill(node));
  }
  top(line) { return 4 + line * this.lineHeight + (this.bySlot ? this.nodeOf[line] * 4 : 0); }

  legend() {
    const { meta } = this;
    const buttons = this.used.map((number) => {
      const others = meta.kinds.length - (GROUPS - 1);
      const name = number < GROUPS - 1 ? meta.kinds[number] : others === 1 ? meta.kinds[number] : `${others} others`;
      const press = () => {
        this.only = this.only === number ? -1 : number;
        buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(this.used[i] === this.only)));
        this.draw();
      };
      return el("button", { type: "button", "aria-pressed": "false", title: number < GROUPS - 1 ? name : meta.kinds.slice(GROUPS - 1).join(", "), onclick: press },
        swatch(number), el("span", {}, name));
    });
    return el("div", { class: "legend" }, buttons, meta.outcomes.length > 1
      ? el("button", { type: "button", disabled: true }, el("i", { class: "swatch", style: { background: "var(--lost)", width: "3px" } }), el("span", {}, "an attempt ended without success")) : null);
  }

  zoom(from, to) {
    Object.assign(this, { from, to });
    this.whole.hidden = from <= 0 && to >= this.length;
    this.draw();
  }

  // Canvas

  begin(canvas, height) {
    const scale = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    return pen;
  }
  get gutter() { return this.width < 520 ? 62 : GUTTER; }
  get pixels() { return Math.max(40, Math.floor(this.width - this.gutter - 8)); }
  get perPixel() { return (this.to - this.from) / this.pixels; }

  draw() {
    if (!this.width) return;
    this.colours = Array.from({ length: GROUPS }, (_, number) => theme(variable(number)));
    this.drawCrowd();
    this.drawMap();
    this.note.textContent = `${this.from <= 0 && this.to >= this.length ? "" : `from ${span(this.from)} to ${span(this.to)} after the start · `}a pixel is ${span(this.perPixel)} · drag over a plot to look closer`;
  }

  timeAxis(pen, height, label) {
    const { pixels, gutter } = this, step = timeStep((this.to - this.from) / Math.max(2, pixels / 90));
    pen.fillStyle = theme("--soft");
    pen.strokeStyle = theme("--grid");
    pen.lineWidth = 1;
    pen.textBaseline = "alphabetic";
    for (const tick of ticksBetween(this.from, this.to, step)) {
      const x = gutter + (tick - this.from) / (this.to - this.from) * pixels, text = timeTick(tick, step, this.to), half = pen.measureText(text).width / 2;
      pen.beginPath(); pen.moveTo(Math.round(x) + 0.5, 0); pen.lineTo(Math.round(x) + 0.5, height - AXIS + 4); pen.stroke();
      pen.textAlign = "center";
      if (x + half <= this.width) pen.fillText(text, x, height - 6);
    }
    if (label) { pen.textAlign = "left"; pen.fillText(label, 0, height - 6); }
  }

  // How much of each pixel's time attempts of each colour fill, added to `sums`: [colour * pixels + pixel], in attempts.
  cover(rows, sums, ends) {
    const { data, pixels } = this, ticks = this.meta.ticks, scale = pixels / (this.to - this.from);
    for (const row of rows) {
      const a = (data.start[row] / ticks - this.from) * scale, b = a + data.wall[row] / ticks * scale;
      if (b < 0 || a > pixels) continue;
      const base = group(data.kind[row]) * pixels, left = Math.max(a, 0), right = Math.min(b, pixels);
      const i = Math.min(Math.floor(left), pixels - 1), j = Math.min(Math.floor(right), pixels - 1);
      if (i === j) sums[base + i] += right - left;
      else {
        sums[base + i] += i + 1 - left;
        for (let k = i + 1; k < j; k += 1) sums[base + k] += 1;
        sums[base + j] += right - j;
      }
      if (ends && data.outcome[row] && b <= pixels) ends.push(b);
    }
  }
  *every() { for (const rows of this.rows) yield* rows; }

  drawCrowd() {
    const height = CROWD_HEIGHT + AXIS, pen = this.begin(this.crowd, height), { pixels, gutter } = this;
    const sums = new Float64Array(GROUPS * pixels);
    this.cover(this.every(), sums);
    const totals = new Float64Array(pixels);
    for (let number = 0; number < GROUPS; number += 1) for (let x = 0; x < pixels; x += 1) totals[x] += sums[number * pixels + x];
    const most = totals.reduce((a, b) => Math.max(a, b), 0), step = Math.max(1, roundStep(Math.max(most, 1) / 4));
    const high = Math.ceil(Math.max(most, 1) / step - 1e-9) * step, y = (value) => CROWD_HEIGHT - (CROWD_HEIGHT - 10) * value / high;
    this.totals = totals;
    this.timeAxis(pen, height, "");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of ticksBetween(0, high, step)) {
      pen.beginPath(); pen.moveTo(gutter, Math.round(y(tick)) + 0.5); pen.lineTo(this.width - 8, Math.round(y(tick)) + 0.5); pen.stroke();
      pen.fillText(number(tick), gutter - 6, y(tick));
    }
    pen.save();
    pen.translate(10, CROWD_HEIGHT / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center";
    pen.fillText("running at once", 0, 0);
    pen.restore();
    const floor = new Float64Array(pixels);
    for (const number of this.used) {
      pen.fillStyle = this.colours[number];
      pen.globalAlpha = this.only < 0 || this.only === number ? 1 : 0.15;
      for (let x = 0; x < pixels; x += 1) {
        const value = sums[number * pixels + x];
        if (!value) continue;
        pen.fillRect(gutter + x, y(floor[x] + value), 1, y(floor[x]) - y(floor[x] + value));
        floor[x] += value;
      }
    }
    pen.globalAlpha = 1;
  }

  drawMap() {
    const pen = this.begin(this.map, this.height), { pixels, gutter, meta } = this, bad = theme("--lost"), lanes = meta.lanes;
    this.timeAxis(pen, this.height, "");
    pen.textBaseline = "middle";
    const sums = new Float64Array(GROUPS * pixels);
    for (let line = 0; line < this.lines; line += 1) {
      const top = this.top(line), tall = this.lineHeight - (this.lineHeight > 5 ? 2 : 1), ends = [];
      sums.fill(0);
      this.cover(this.rows[line], sums, ends);
      for (let x = 0; x < pixels; x += 1) {
        let best = -1, most = 0, all = 0;
        for (const number of this.used) {
          const value = sums[number * pixels + x];
          all += value;
          if (value > most) { most = value; best = number; }
        }
        if (best < 0) continue;
        const full = this.bySlot ? 1 : lanes[this.nodeOf[line]];
        pen.fillStyle = this.colours[best];
        pen.globalAlpha = (this.only < 0 || this.only === best ? 1 : 0.12) * (0.25 + 0.75 * Math.min(1, all / full));
        pen.fillRect(gutter + x, top + 1, 1, tall);
      }
      pen.globalAlpha = 1;
      pen.fillStyle = bad;
      // Where many attempts share a line, one that failed is a small part of it, and so is its mark.
      const [wide, high] = this.bySlot ? [2, tall] : [1, Math.min(3, tall)];
      for (const x of ends) pen.fillRect(gutter + Math.max(0, Math.round(x) - wide / 2), top + 1, wide, high);
    }
    this.drawNames(pen);
    this.mapNote.textContent = this.bySlot
      ? `Each line is a slot: as many lines as attempts ran at once on ${lanes.length === 1 ? "the machine" : "each machine"}. Where several share a pixel, the colour is that of the one with the most time in it, and paler the longer the slot was idle.`
      : `Each line is a machine; the colour is that of the jobs with the most time in a pixel, and paler the fewer ran beside each other, compared with the busiest moment of that machine.`;
  }

  drawNames(pen) {
    const { gutter, meta } = this;
    pen.fillStyle = theme("--soft");
    pen.textAlign = "right";
    let free = -9;
    for (const [node, line] of this.first.entries()) {
      const lines = this.bySlot ? meta.lanes[node] : 1, middle = this.top(line) + lines * this.lineHeight / 2;
      if (middle - free < 12) continue;
      free = middle;
      let name = meta.nodes[node] || "unknown";
      while (name.length > 2 && pen.measureText(name).width > gutter - 10) name = `${name.slice(0, -2)}…`;
      pen.fillText(name, gutter - 6, middle);
    }
  }

  // Pointer

  listen(plot, isCrowd) {
    let from = null;
    const at = (event) => Math.max(0, Math.min(this.pixels, event.clientX - plot.getBoundingClientRect().left - this.gutter));
    plot.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType === "mouse") { from = at(event); plot.setPointerCapture(event.pointerId); } });
    plot.addEventListener("pointermove", (event) => {
      if (from !== null) this.brush(Math.min(from, at(event)), Math.max(from, at(event)));
      const box = plot.getBoundingClientRect(), x = event.clientX - box.left - this.gutter;
      showTip(event, x < 0 || x > this.pixels ? "" : isCrowd ? this.crowdText(Math.floor(x)) : this.mapText(x, event.clientY - box.top));
    });
    plot.addEventListener("pointerleave", () => showTip(null, ""));
    plot.addEventListener("pointerup", (event) => {
      const [a, b] = [from, at(event)].sort((left, right) => left - right);
      const chosen = from !== null && b - a >= 4;
      from = null;
      this.brush(0, -1);
      if (chosen) this.zoom(this.from + a * this.perPixel, this.from + b * this.perPixel);
    });
    plot.addEventListener("dblclick", () => this.zoom(0, this.length));
  }
  brush(a, b) {
    for (const brush of this.brushes) {
      brush.hidden = b <= a;
      Object.assign(brush.style, { left: `${this.gutter + a}px`, width: `${Math.max(0, b - a)}px` });
    }
  }

  when(pixel) { return `${span(this.from + pixel * this.perPixel)} after the start, ${moment(this.start + this.from + pixel * this.perPixel)}`; }
  crowdText(pixel) {
    const total = this.totals[Math.min(pixel, this.pixels - 1)];
    return `${short(total)} running, the mean of ${span(this.perPixel)}\n${this.when(pixel)}`;
  }

  mapText(x, y) {
    let line = this.rows.findIndex((_, i) => y >= this.top(i) && y < this.top(i) + this.lineHeight);
    if (line < 0) return "";
    const { data, meta } = this, ticks = meta.ticks, low = (this.from + Math.floor(x) * this.perPixel) * ticks, high = low + this.perPixel * ticks;
    const here = this.rows[line].filter((row) => data.start[row] <= high && data.start[row] + data.wall[row] >= low);
    const place = `${meta.nodes[this.nodeOf[line]] || NOWHERE}, ${this.when(Math.floor(x))}`;
    if (!here.length) return `nothing ran\n${place}`;
    if (here.length === 1) return this.attemptText(here[0]);
    const names = new Map();
    for (const row of here) names.set(meta.kinds[data.kind[row]], (names.get(meta.kinds[data.kind[row]]) || 0) + 1);
    const listed = [...names].sort((a, b) => b[1] - a[1]).slice(0, 6).map(([name, many]) => `${number(many)} × ${name}`).join(", ");
    const longest = here.reduce((a, b) => data.wall[b] > data.wall[a] ? b : a);
    return `${count(here.length, "attempt")} in this pixel of ${span(this.perPixel)}: ${listed}\n${place}\nthe longest of them:\n${this.attemptText(longest)}`;
  }

  attemptText(row) {
    const { data, meta } = this, ticks = meta.ticks, outcome = meta.outcomes[data.outcome[row]], [cores, memory] = meta.requests[data.request[row]];
    const wall = data.wall[row] / ticks, cpu = data.cpu[row] / ticks;
    return `${meta.kinds[data.kind[row]]} ${data.ids[row]}${data.attempt[row] > 1 ? `, attempt ${data.attempt[row]}` : ""}${outcome === "done" ? "" : `: ${outcome}`}
${span(wall)} on ${meta.nodes[data.node[row]] || NOWHERE}, from ${span(data.start[row] / ticks)} after the start
${span(cpu)} of CPU time; ${number(cores, cores % 1 ? 2 : 0)} ${cores === 1 ? "core" : "cores"} requested
${data.cpu[row] ? bytes(data.memory[row] * 1024) : "unknown amount"} of memory at the peak; ${bytes(memory)} requested`;
  }
}
