// The graph of names: boxes and arrows where `toil_core.monitor.report.layout` put them.

class GraphView {
  // picture: the report's `picture`; colour: name => number of its colour; line: name => second line of its box; bad: name => whether to frame it.
  constructor(picture, { colour, line, bad, share = () => 1 }) {
    Object.assign(this, { picture, colour, line, bad, share });
    this.box = el("div", { class: "scroll" });
    this.node = el("div", {}, this.box, this.key());
    onResize(this.node, (width) => this.draw(width));
  }

  key() {
    const sample = (how) => svg("svg", { width: 34, height: 12 }, svg("path", { d: "M2 6H30", fill: "none", stroke: "var(--soft)", "stroke-width": 1.5, "stroke-dasharray": DASHES[how] }));
    const used = Object.keys(DASHES).filter((how) => this.picture.edges.some((edge) => edge.how === how));
    const words = { child: "is a child of", "follow-on": "is a follow-on of", value: "is given a value of" };
    return el("div", { class: "key soft small" }, used.map((how) => el("span", { class: "head" }, sample(how), words[how])));
  }

  draw(width) {
    const { right, down } = this.picture, drawing = right.width * SMALLEST <= width || right.width <= down.width ? right : down;
    const scale = Math.max(SMALLEST, Math.min(1, width / drawing.width));
    const between = new Map();
    for (const edge of this.picture.edges) {
      const key = JSON.stringify([edge.source, edge.target]);
      between.set(key, [...(between.get(key) || []), edge]);
    }
    const labels = new Map(this.picture.boxes.map((box) => [box.name, box.label]));
    const picture = svg("svg", { width: drawing.width * scale, height: drawing.height * scale, viewBox: `0 0 ${drawing.width} ${drawing.height}`, role: "img", "aria-label": "Graph of the workflow by names of jobs" },
      svg("defs", {}, svg("marker", { id: "tip-of-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto", markerUnits: "userSpaceOnUse" },
        svg("path", { d: "M0 0.5L8 4L0 7.5z", fill: "var(--soft)" }))));
    const boxes = new Map(drawing.boxes.map((box) => [box.name, box]));
    for (const arrow of drawing.arrows) picture.append(this.arrow(arrow, boxes, between.get(JSON.stringify([arrow.source, arrow.target])) || [], drawing.down));
    for (const box of drawing.boxes) picture.append(this.drawBox(box, labels.get(box.name)));
    this.box.replaceChildren(picture);
  }

  arrow(arrow, boxes, edges, down) {
    const how = ["child", "follow-on", "value"].find((kind) => edges.some((edge) => edge.how === kind)) || "child";
    const path = svg("path", { d: arrow.points.length ? curve(arrow.points, down) : loop(boxes.get(arrow.source)), fill: "none", stroke: "var(--soft)", "stroke-width": 1.4,
      "stroke-dasharray": DASHES[how], "marker-end": "url(#tip-of-arrow)", class: "arrow" });
    const wide = svg("path", { d: path.getAttribute("d"), fill: "none", stroke: "transparent", "stroke-width": 12 });
    const words = { child: "as children", "follow-on": "as follow-ons", value: "values of it are given to" };
    const text = edges.map((edge) => edge.how === "value"
      ? `${edge.target} is given values of ${edge.source} (${number(edge.count)} times)` : `${edge.source} has ${number(edge.count)} ${edge.target} ${words[edge.how]}`).join("\n");
    return tipped(svg("g", {}, path, wide), text);
  }

  drawBox(box, label) {
    const number = this.colour(box.name), bad = this.bad(box.name), part = this.share(box.name);
    return tipped(svg("g", { class: "box" },
      svg("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: 7, fill: "var(--card)", stroke: bad ? "var(--bad)" : "var(--line)", "stroke-width": bad ? 2 : 1.2 }),
      svg("rect", { x: box.x + 5, y: box.y + 6, width: 4, height: box.height - 12, rx: 2, fill: paint(number), opacity: 0.25 }),
      svg("rect", { x: box.x + 5, y: box.y + 6 + (box.height - 12) * (1 - part), width: 4, height: (box.height - 12) * part, rx: 2, fill: paint(number) }),
      svg("text", { x: box.x + 16, y: box.y + 19, "font-weight": 600 }, label),
      svg("text", { x: box.x + 16, y: box.y + 36, class: "soft" }, this.line(box.name))), () => `${box.name}\n${this.line(box.name)}`);
  }
}

const SMALLEST = 0.8;
const DASHES = { child: "none", "follow-on": "7 4", value: "1.5 4" };

function curve(points, down) {
  let path = `M${points[0].join(" ")}`;
  for (let i = 1; i < points.length; i += 1) {
    const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
    if (i % 2 === 0) { path += `L${bx} ${by}`; continue; }
    path += down ? `C${ax} ${(ay + by) / 2} ${bx} ${(ay + by) / 2} ${bx} ${by}` : `C${(ax + bx) / 2} ${ay} ${(ax + bx) / 2} ${by} ${bx} ${by}`;
  }
  return path;
}
function loop(box) {
  const x = box.x + box.width, y = box.y;
  return `M${x - 34} ${y}C${x - 34} ${y - 15} ${x - 12} ${y - 15} ${x - 12} ${y - 1}`;
}
