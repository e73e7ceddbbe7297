// The dashboard: the report's parts, kept up to date by what the server sends.

const LEADERS = {
  none: "there was none yet", running: (l) => `process ${l.pid} on ${l.host}`, stopped: (l) => `ended in good order (process ${l.pid} on ${l.host})`,
  dead: (l) => l.host ? `died (process ${l.pid} on ${l.host})` : "not known", unknown: (l) => `process ${l.pid} on ${l.host}, which cannot be asked from here`,
};
const LIVE = { ...OUTCOMES, running: ["calm", "running"] };
const LONGEST_LIST = 30;

class Live {
  constructor(page, address) {
    Object.assign(this, { page, address, status: null, details: null, skew: 0, logs: new Map() });
    this.trouble = el("p", { class: "bad", role: "alert", hidden: true });
    this.parts = Object.fromEntries(["head", "running", "graph", "kinds", "failures", "age", "timeline", "advice", "resources", "slowest"].map((name) => [name, el("div")]));
    page.replaceChildren(this.trouble, ...Object.values(this.parts));
    this.view = null;
    setInterval(() => this.tick(), 1000);
  }

  connect() {
    const source = new EventSource(`${this.address}events`);
    source.addEventListener("status", (event) => this.take(JSON.parse(event.data)));
    source.addEventListener("details", (event) => this.takeDetails(JSON.parse(event.data)));
    source.addEventListener("trouble", (event) => this.warn(JSON.parse(event.data)));
    source.addEventListener("open", () => this.warn(""));
    source.addEventListener("error", () => this.warn("No connection to `toil dashboard`: has it been ended? What is shown may be old."));
  }
  warn(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }
  put(name, node) { this.parts[name].replaceChildren(...(node ? [node] : [])); }
  get now() { return Date.now() / 1000 - this.skew; }

  take(status) {
    this.status = status;
    status.active = Object.values(status.told).reduce((sum, many) => sum + many, 0);
    for (const kind of status.kinds) {
      kind.active = Math.min(status.told[kind.name] || 0, kind.total - kind.done - kind.failed);
      kind.waiting = kind.total - kind.done - kind.failed - kind.active;
    }
    this.skew = Date.now() / 1000 - status.now;
    document.title = `${status.total ? Math.floor(100 * status.done / status.total) : 0} % of ${status.name || "workflow"}`;
    this.put("head", this.head(status));
    this.put("running", this.running(status));
    this.put("kinds", this.kinds(status));
    this.put("failures", this.failures(status));
    this.tellAge();
    if (!status.detailed) this.put("timeline", card("timeline", "When what ran", el("p", { class: "soft" }, "This workflow has too many jobs to follow each of them here; `toil report` tells of all.")));
    if (this.graph) this.graph.draw(this.graph.node.clientWidth);
    document.body.dataset.ready = "true";
    document.body.dataset.done = status.done;
  }

  async takeDetails(details) {
    this.details = details;
    this.tellAge();
    this.colours = new Map(details.kinds.map((kind, number) => [kind.name, number]));
    this.put("advice", adviceCard(details.advice));
    this.put("graph", this.graphCard(details));
    this.put("resources", resourcesCard(details));
    this.put("slowest", slowestCard(details));
    if (this.status) this.put("kinds", this.kinds(this.status));
    const before = this.view, zoomed = before && (before.from > 0 || before.to < before.length);
    const made = await timelineCard(details);
    if (this.details !== details) return;
    this.put("timeline", made && made.card);
    this.view = made && made.view;
    if (this.view && zoomed) this.view.zoom(before.from, Math.min(before.to, this.view.length));
    document.body.dataset.details = details.facts.attempts;
  }

  // What is made of every attempt is made less often than the rest, and is told to be older.
  tellAge() {
    const { status: s, details: d } = this, going = s && s.outcome === "running";
    const text = !s || !s.detailed ? "" : !d ? "Every attempt is being read…" : going ? ["What follows is as it was ", this.since(d.made), " ago, and is made anew from time to time."] : "";
    this.put("age", text && el("p", { class: "soft", id: "age" }, text));
  }

  tick() {
    for (const node of document.querySelectorAll("[data-since]")) node.textContent = lapse(this.now - Number(node.dataset.since));
  }
  since(when) { return el("span", { "data-since": when }, lapse(this.now - when)); }

  head(s) {
    const [tone, word] = LIVE[s.outcome], active = Math.min(s.active, s.open), waiting = s.open - active, leader = LEADERS[s.leader.state], going = s.outcome === "running";
    const room = Math.min(waiting, s.ready + s.submitted - Math.max(0, active - s.running));  // the leader told that more run than have names
    const part = (many, colour) => el("i", { style: { width: `${100 * many / Math.max(1, s.total)}%`, background: `var(${colour})` } });
    return card("head", "",
      el("div", { class: "head" }, el("h1", {}, s.name || "workflow"), el("span", { class: `badge ${tone}` }, word)),
      el("p", { class: "soft" }, `on ${s.job_store}, begun ${moment(s.created)}; leader: ${typeof leader === "function" ? leader(s.leader) : leader}`),
      tipped(el("div", { class: "bar" }, part(s.done, "--good"), part(active, "--accent"), part(s.failed, "--bad")),
        `${number(s.done)} done, ${number(active)} running, ${number(s.failed)} failed for good, ${number(waiting)} waiting, of ${number(s.total)} known so far`),
      facts([
        ["done", `${number(s.done)} of ${number(s.total)}`, s.complete ? "" : "of those known so far"], ["running", number(active)], ["waiting", number(waiting), room > 0 ? `${number(room)} only for room` : ""],
        ["failed for good", s.failed ? el("span", { class: "bad" }, number(s.failed)) : "0"],
        going ? ["leader at work for", this.since(s.leader.started)] : null, s.as_of && going ? ["since the leader's last news", this.since(s.as_of)] : null,
      ]), s.corrupt.map((trouble) => el("p", { class: "warn" }, `warning: ${trouble}`)));
  }

  running(s) {
    if (!s.running_jobs.length) return null;
    const nodes = new Map();
    for (const job of s.running_jobs) nodes.set(job.node || "", [...(nodes.get(job.node || "") || []), job]);
    const number_ = (name) => this.colours && this.colours.has(name) ? this.colours.get(name) : GROUPS;
    const row = (job) => el("tr", {}, el("td", { class: "text" }, swatch(number_(job.name)), ` ${job.name}`), el("td", { class: "text" }, job.job, job.behind ? el("span", { class: "soft" }, ` and ${number(job.behind)} after it`) : null),
      el("td", {}, job.since ? this.since(job.since) : ""));
    const cards = [...nodes].sort(([a], [b]) => a < b ? -1 : 1).map(([node, jobs]) => el("div", {},
      el("div", { class: "head" }, el("h3", {}, node || NOWHERE), el("span", { class: "soft small" }, count(jobs.length, "job"))),
      el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, jobs.slice(0, LONGEST_LIST).map(row)))), jobs.length > LONGEST_LIST ? el("p", { class: "soft small" }, `and ${number(jobs.length - LONGEST_LIST)} more`) : null));
    const more = s.running > s.running_jobs.length ? el("p", { class: "soft small" }, `The first ${number(s.running_jobs.length)} of ${number(s.running)} are shown.`) : null;
    return card("running", `Running on ${nodes.size === 1 ? "one machine" : `${number(nodes.size)} machines`}`, more, el("div", { class: "panels" }, cards));
  }

  graphCard(details) {
    if (!details.picture) return graphCard(details);
    const known = (name) => (this.status || details.status).kinds.find((kind) => kind.name === name) || { total: 0, done: 0, failed: 0, running: 0 };
    const line = (name) => {
      const kind = known(name);
      return `${number(kind.done)} of ${count(kind.total, "job")}`;
    };
    const share = (name) => { const kind = known(name); return kind.total ? kind.done / kind.total : 0; };
    this.graph = new GraphView(details.picture, { colour: (name) => group(this.colours.get(name) ?? GROUPS), line, bad: (name) => known(name).failed > 0, share });
    return card("graph", "The graph", el("p", { class: "soft small" }, "Jobs of one name are one box; its bar fills as they are done."), this.graph.node);
  }

  kinds(s) {
    if (!s.kinds.length) return null;
    const number_ = (name) => this.colours && this.colours.has(name) ? this.colours.get(name) : GROUPS;
    const columns = [
      { name: "kind", text: true, value: (k) => k.name, show: (k) => el("span", {}, swatch(number_(k.name)), ` ${k.name}`) },
      { name: "done", value: (k) => k.done / k.total, show: (k) => el("span", {}, `${number(k.done)} of ${number(k.total)}`, el("span", { class: "meter" }, el("i", { style: { width: `${100 * k.done / Math.max(1, k.total)}%`, background: "var(--good)" } }))) },
      { name: "running", value: (k) => k.active, show: (k) => number(k.active) }, { name: "waiting", value: (k) => k.waiting, show: (k) => number(k.waiting) },
      { name: "failed", value: (k) => k.failed, show: (k) => k.failed ? el("span", { class: "bad" }, number(k.failed)) : "0" },
      { name: "mean time", value: (k) => k.done ? k.wall / k.done : 0, show: (k) => k.done ? span(k.wall / k.done) : "" }, { name: "CPU time", value: (k) => k.cpu, show: (k) => span(k.cpu) },
      { name: "most memory", value: (k) => k.memory, show: (k) => k.memory ? bytes(k.memory) : "" },
    ];
    return card("kinds", "Kinds of jobs", table(columns, s.kinds, { most: 40 }));
  }

  failures(s) {
    if (!s.failures.length) return null;
    const listed = s.failures.slice(0, 100).map((item) => failure({ ...item, fate: item.final ? "failed" : "open", attempt: 0, wall: 0, node: "", tail: "" }, this.log(item)));
    return card("failures", "What failed", listed, s.failures.length > 100 ? el("p", { class: "soft small" }, `The first 100 of ${number(s.failures.length)} are listed.`) : null);
  }

  // The log of a failed attempt, fetched when it is asked for; what was opened stays open when the list is drawn anew.
  log(item) {
    if (!item.log) return null;
    const [job, execution] = item.log.split("/").slice(-2), shown = this.logs.get(item.log);
    const pre = el("pre", {}, shown || ""), details = el("details", { open: shown !== undefined || null }, el("summary", { class: "small" }, "its log"), pre);
    details.addEventListener("toggle", async () => {
      if (!details.open) { this.logs.delete(item.log); return; }
      if (this.logs.has(item.log)) return;
      this.logs.set(item.log, "");
      const answer = await fetch(`${this.address}log?job=${encodeURIComponent(job)}&execution=${encodeURIComponent(execution)}`).catch(() => null);
      const text = answer ? await answer.text() : "It could not be fetched.";
      if (!this.logs.has(item.log)) return;
      this.logs.set(item.log, text);
      this.put("failures", this.failures(this.status));
    });
    return details;
  }
}

function showDashboard() {
  const live = new Live(document.getElementById("page"), location.pathname);
  live.connect();
}
