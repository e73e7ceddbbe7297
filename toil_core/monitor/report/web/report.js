// The report: a page from the data that it carries.

const OUTCOMES = {
  succeeded: ["good", "succeeded"], failed: ["bad", "failed"], running: ["calm", "running when this was made"], stopped: ["warn", "stopped before its end"],
  died: ["bad", "its leader died"], unknown: ["warn", "perhaps running: its leader's machine could not be asked"], "not started": ["warn", "not started"],
};

function header({ status, facts: f, made }) {
  const [tone, word] = OUTCOMES[f.outcome], elapsed = f.ended - f.started, open = f.jobs - f.done - f.failed;
  return card("head", "",
    el("div", { class: "head" }, el("h1", {}, status.name || "workflow"), el("span", { class: `badge ${tone}` }, word)),
    el("p", { class: "soft" }, `on ${status.job_store}, begun ${moment(status.created)}; toil-core ${status.engine}; this page was made ${moment(made)}`),
    progressBar(f),
    facts([
      ["jobs done", number(f.done), [`of ${number(f.jobs)}`, f.failed ? `${number(f.failed)} failed for good` : "", open ? `${number(open)} not done` : ""].filter(Boolean).join(", ")],
      ["attempts", number(f.attempts), f.again ? `${number(f.again)} of them without success` : "all successful"],
      f.attempts ? ["elapsed", span(elapsed), elapsed - f.busy > 0.01 * elapsed + 1 ? `something ran in ${span(f.busy)} of it` : moment(f.started)] : null,
      f.attempts ? ["time in jobs", span(f.wall), f.busy ? `${short(f.wall / f.busy)} ran at once on average, ${number(f.peak)} at most` : ""] : null,
      f.attempts ? ["CPU time", span(f.cpu), f.requested ? `${percent(f.cpu / f.requested)} of the requested cores' time` : ""] : null,
      f.nodes ? ["machines", number(f.nodes)] : null,
      f.read || f.written ? ["from and to disks", `${bytes(f.read)} read`, `${bytes(f.written)} written`] : null,
    ]),
    status.corrupt.map((trouble) => el("p", { class: "warn" }, `warning: ${trouble}`)));
}

function progressBar(f) {
  if (!f.jobs) return null;
  const part = (many, colour) => el("i", { style: { width: `${100 * many / f.jobs}%`, background: `var(${colour})` } });
  return tipped(el("div", { class: "bar" }, part(f.done, "--good"), part(f.failed, "--bad")), `${number(f.done)} done, ${number(f.failed)} failed, ${number(f.jobs - f.done - f.failed)} not done, of ${number(f.jobs)}`);
}

function adviceCard(advice) {
  if (!advice.length) return null;
  return card("advice", "What could be better", el("ul", { class: "advice" }, advice.map((item) => el("li", {}, el("span", { class: "chip" }, item.about), el("span", {}, item.text.split("`").map((part, i) => i % 2 ? el("code", {}, part) : part))))));
}

async function timelineCard({ timeline, facts: f }) {
  if (!timeline.packed.rows) return null;
  const left = timeline.left_out ? el("p", { class: "soft small" }, `${count(timeline.left_out, "attempt")} whose time is not known ${timeline.left_out === 1 ? "is" : "are"} left out.`) : null;
  if (typeof DecompressionStream === "undefined") return { card: card("timeline", "When what ran", el("p", { class: "warn" }, "This browser is too old for the timeline: it cannot decompress data. All else on this page is complete.")), view: null };
  const view = new Timeline(await unpack(timeline.packed), timeline, f.started, f.ended - f.started);
  const open = f.outcome === "running" || f.outcome === "unknown" ? el("p", { class: "soft small" }, "Attempts that have ended; what still runs is not drawn yet.") : null;
  return { card: card("timeline", "When what ran", open, view.node, left), view };
}

function graphCard({ picture, status, kinds }) {
  if (!picture) return status.kinds.length ? card("graph", "The graph", el("p", { class: "soft" }, `It has ${number(status.kinds.length)} different names of jobs: too many to draw.`)) : null;
  const known = new Map(status.kinds.map((kind) => [kind.name, kind])), colours = new Map(kinds.map((kind, number) => [kind.name, group(number)]));
  const line = (name) => {
    const kind = known.get(name);
    return kind.done === kind.total ? count(kind.total, "job") : `${number(kind.done)} of ${count(kind.total, "job")}`;
  };
  const view = new GraphView(picture, { colour: (name) => colours.get(name) ?? GROUPS - 1, line, bad: (name) => known.get(name).failed > 0, share: (name) => known.get(name).done / known.get(name).total });
  return card("graph", "The graph", el("p", { class: "soft small" }, "Jobs of one name are one box."), view.node);
}

function resourcesCard({ kinds }) {
  if (!kinds.length) return null;
  const red = "red: what was requested";
  const plots = [
    { field: "memory", title: "Memory", unit: "memory at the peak of an attempt", format: bytes, step: binaryStep, binary: true, explain: `Most that an attempt held at a time, beyond what an idle worker holds; ${red}.` },
    { field: "cores", title: "Cores", unit: "cores busy, on average over an attempt", format: short, step: roundStep, explain: `CPU time by elapsed time, of attempts of 50 ms and more; ${red}.` },
    { field: "wall", title: "Time", unit: "time an attempt took", format: span, tick: spanTick, step: timeStep, explain: "From start to end of an attempt." },
    { field: "disk", title: "Disk", unit: "temporary disk at the end of an attempt", format: bytes, step: binaryStep, binary: true, explain: `What an attempt left on the disk; ${red}.` },
  ].map((plot) => new ResourcePlot(kinds, plot)).filter((plot) => !plot.empty && plot.kinds.some(({ use }) => use.used.most > 0));
  if (!plots.length) return null;
  return card("resources", "Used and requested",
    el("p", { class: "soft small" }, "Each line is a kind of job, the one that took most time in all first. Thin line: all attempts. Box: the middle half of them. Thick tick: the median. Shade or dots: where attempts lie."),
    el("div", { class: "panels" }, plots.map((plot) => plot.node)));
}

function kindsCard({ kinds, facts: f }) {
  if (!kinds.length) return null;
  const failed = (kind) => Object.values(kind.failed).reduce((sum, many) => sum + many, 0);
  const largest = Math.max(...kinds.map((kind) => kind.wall.used.total), 1e-9), memory = (kind) => kind.idle_memory / 2 ** 30 / 3600;
  const numbers = new Map(kinds.map((kind, number) => [kind, number]));
  const columns = [
    { name: "kind", text: true, value: (kind) => kind.name, show: (kind) => el("span", {}, swatch(numbers.get(kind)), ` ${kind.name}`) },
    { name: "jobs", value: (kind) => kind.jobs, show: (kind) => number(kind.jobs) },
    { name: "attempts without success", value: failed, show: (kind) => failed(kind) ? el("span", { class: "bad" }, number(failed(kind))) : "0" },
    { name: "time in all", value: (kind) => kind.wall.used.total, show: (kind) => el("span", {}, span(kind.wall.used.total), el("span", { class: "meter" }, el("i", { style: { width: `${100 * kind.wall.used.total / largest}%` } }))) },
    { name: "share", value: (kind) => kind.wall.used.total, show: (kind) => f.wall ? percent(kind.wall.used.total / f.wall) : "" },
    { name: "median", value: (kind) => kind.wall.used.median, show: (kind) => span(kind.wall.used.median) },
    { name: "longest", value: (kind) => kind.wall.used.most, show: (kind) => span(kind.wall.used.most) },
    { name: "CPU time", value: (kind) => kind.cpu, show: (kind) => span(kind.cpu) },
    { name: "idle core time", title: "Time of requested cores that was not used", value: (kind) => kind.idle_cores, show: (kind) => span(kind.idle_cores) },
    { name: "unused memory, GiB hours", title: "Requested memory that was not used, times how long it was held", value: memory, show: (kind) => memory(kind) > 0 && memory(kind) < 0.01 ? "under 0.01" : short(memory(kind)) },
    { name: "time lost in failed attempts", value: (kind) => kind.lost, show: (kind) => kind.lost ? span(kind.lost) : "0 s" },
  ];
  return card("kinds", "Slowest and most wasteful kinds", el("p", { class: "soft small" }, "Press a column's head to sort by it."), table(columns, kinds, { by: 3, most: 30 }));
}

function slowestCard({ slowest, kinds, facts: f }) {
  if (!slowest.length) return null;
  const numbers = new Map(kinds.map((kind, number) => [kind.name, number]));
  const columns = [
    { name: "kind", text: true, value: (a) => a.name, show: (a) => el("span", {}, swatch(numbers.get(a.name)), ` ${a.name}`) }, { name: "job", text: true, value: (a) => a.job },
    { name: "time", value: (a) => a.wall, show: (a) => span(a.wall) }, { name: "CPU time", value: (a) => a.cpu, show: (a) => span(a.cpu) },
    { name: "memory", value: (a) => a.memory, show: (a) => a.cpu ? bytes(a.memory) : "unknown" },
    { name: "started at", title: "After the start of the first attempt", value: (a) => a.started, show: (a) => a.started ? span(a.started - f.started) : "unknown" }, { name: "where", text: true, value: (a) => a.node },
    { name: "outcome", text: true, value: (a) => a.outcome, show: (a) => a.outcome === "done" ? "done" : el("span", { class: "bad" }, a.outcome) },
  ];
  return card("slowest", `The ${slowest.length === 1 ? "longest attempt" : `${slowest.length} longest attempts`}`, table(columns, slowest, { by: 2 }));
}

const FATES = { failed: ["bad", "the job failed for good"], open: ["warn", "the job is not done yet"], done: ["soft", "another attempt succeeded"] };

function failure(item, log) {
  const [tone, fate] = FATES[item.fate];
  const code = item.exit_code === null ? "" : item.exit_code < 0 ? `, signal ${-item.exit_code}` : `, exit code ${item.exit_code}`;
  return el("div", { class: "failure" },
    el("div", { class: "head" }, el("h3", {}, `${item.name} ${item.job}`), el("span", { class: "chip" }, `${item.reason}${code}`), el("span", { class: `small ${tone}` }, `${item.attempt > 1 ? `attempt ${item.attempt}; ` : ""}${fate}`)),
    item.message && item.message !== item.reason ? el("p", {}, item.message) : null,
    el("div", { class: "small soft" }, [item.wall ? `after ${span(item.wall)}` : "", item.node ? `on ${item.node}` : ""].filter(Boolean).join(" ")),
    log || (item.log ? el("div", {}, el("span", { class: "soft small" }, "its log: "), el("code", { class: "command" }, item.log)) : null),
    item.tail ? el("details", { open: item.fate === "failed" }, el("summary", { class: "small" }, "the end of its log"), el("pre", {}, item.tail)) : null);
}

function failuresCard({ failures, facts: f, kinds }) {
  if (!failures.length) return null;
  const rows = kinds.flatMap((kind) => Object.entries(kind.failed).map(([reason, many]) => ({ kind, reason, many }))).sort((a, b) => b.many - a.many);
  const columns = [
    { name: "kind", text: true, value: (row) => row.kind.name }, { name: "reason", text: true, value: (row) => row.reason }, { name: "attempts", value: (row) => row.many, show: (row) => number(row.many) },
    { name: "of all its attempts", value: (row) => row.many / row.kind.attempts, show: (row) => percent(row.many / row.kind.attempts) },
  ];
  const jobs = new Set(), lost = [], others = [];
  for (const item of failures) (item.fate === "done" || jobs.has(item.job) ? others : lost).push(item) && jobs.add(item.job);
  const listed = (items) => items.map((item) => failure(item));
  return card("failures", "What failed",
    rows.length ? table(columns, rows, { by: 2, most: 12 }) : null, listed(lost.slice(0, 10)),
    lost.length > 10 ? el("details", {}, el("summary", {}, `${number(lost.length - 10)} more that failed`), listed(lost.slice(10))) : null,
    others.length ? el("details", {}, el("summary", {}, `${count(others.length, "attempt")} after which the job was tried again`), listed(others)) : null,
    f.again > failures.length ? el("p", { class: "soft small" }, `The first ${number(failures.length)} of ${number(f.again)} are listed; toil status --json and toil logs tell of all.`) : null);
}

async function showReport() {
  const report = JSON.parse(document.getElementById("data").textContent), page = document.getElementById("page");
  const timeline = await timelineCard(report);
  page.replaceChildren(header(report));
  for (const part of [adviceCard(report.advice), timeline && timeline.card, graphCard(report), resourcesCard(report), kindsCard(report), failuresCard(report), slowestCard(report)]) if (part) page.append(part);
  page.append(el("p", { class: "soft small" }, "Times, memory and disk are as the machines that ran the attempts measured them. Attempts without success count in all figures."));
  document.body.dataset.ready = "true";
}
