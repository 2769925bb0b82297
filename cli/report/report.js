// The page: what stands in the data, as charts, tables and a browser for completions.
"use strict";
let data, runs, several;
const color = i => `var(--c${i % 7})`;
const byId = id => document.getElementById(id);

function labels() {
  const names = runs.map(run => run.name);
  runs.forEach((run, i) => { run.label = names.indexOf(run.name) === names.lastIndexOf(run.name) ? run.name : run.path; run.color = color(i); });
}

function curve(run, name, label, stroke) {
  return {label, color: stroke, steps: run.steps, values: run.metrics[name] || []};
}

// One metric, a curve for each run; `spread` names what it varies by, `range` two metrics between which it lies.
function metricChart(title, name, extra = {}) {
  return {title, series: runs.map(run => {
    const made = curve(run, name, run.label, run.color), deviation = run.metrics[extra.spread];
    if (deviation) {
      made.low = made.values.map((v, i) => v === null || deviation[i] === null ? null : v - deviation[i]);
      made.high = made.values.map((v, i) => v === null || deviation[i] === null ? null : v + deviation[i]);
    }
    if (extra.range && run.metrics[extra.range[0]]) { made.low = run.metrics[extra.range[0]]; made.high = run.metrics[extra.range[1]]; }
    return made;
  })};
}

// Several metrics of each run.
function severalChart(title, names, stacked) {
  return runs.map(run => ({
    title: several ? `${title}: ${run.label}` : title, stacked,
    series: names.filter(([name]) => run.metrics[name]).map(([name, label], i) => curve(run, name, label, color(i)))
  }));
}

function rewardNames() {
  const names = new Set();
  for (const run of runs) for (const name of Object.keys(run.metrics)) {
    const found = /^rewards\/([^/]+)\/mean$/.exec(name);
    if (found) names.add(found[1]);
  }
  return [...names];
}

function drawCharts() {
  const rewards = rewardNames();
  const charts = [
    metricChart("Reward, with its spread in a group", "reward", {spread: "reward_std"}),
    ...(rewards.length > 1 ? severalChart("Rewards by name", rewards.map(r => [`rewards/${r}/mean`, r])) : []),
    metricChart("Accuracy (evaluation)", "eval/accuracy"),
    metricChart("Tokens predicted right, share", "mean_token_accuracy"),
    metricChart("Tokens predicted right, share (evaluation)", "eval/mean_token_accuracy"),
    metricChart("Completion length in tokens, from shortest to longest", "completions/mean_length", {range: ["completions/min_length", "completions/max_length"]}),
    metricChart("Completions cut off, share", "completions/clipped_ratio"),
    metricChart("Groups without a signal, share", "frac_reward_zero_std"),
    metricChart("KL from the reference", "kl"),
    metricChart("Entropy, nats", "entropy"),
    metricChart("Entropy, nats (evaluation)", "eval/entropy"),
    metricChart("Clipped tokens, share", "clip_ratio/region_mean"),
    metricChart("Gradient norm", "grad_norm"),
    metricChart("Loss", "loss"),
    metricChart("Loss (evaluation)", "eval/loss"),
    metricChart("Learning rate", "learning_rate"),
    ...severalChart("Seconds a step", [["timing_s/rollout", "rollout"], ["timing_s/reward", "reward"], ["timing_s/update", "update"],
                                       ["timing_s/evaluation", "evaluation"], ["timing_s/checkpoint", "checkpoint"]], true),
    ...severalChart("Tokens a second", [["perf/rollout_tokens_per_s", "rollout"], ["perf/update_tokens_per_s", "update"]]),
  ];
  // Whoever has moved to a curve stays there when it is drawn anew.
  const old = [...byId("charts").querySelectorAll("svg")], focused = old.indexOf(document.activeElement);
  byId("charts").replaceChildren(...charts.map(drawChart).filter(figure => figure));
  if (focused >= 0) byId("charts").querySelectorAll("svg")[focused]?.focus({preventScroll: true});
  byId("legend").replaceChildren();
  if (several) addLegend(runs, byId("legend"));
  const perPoint = runs.filter(run => run.steps_per_point > 1).map(run => `${run.label}: each point is the mean of ${run.steps_per_point} steps.`);
  for (const run of runs) if (run.metrics_note) perPoint.push(`${run.label}: ${run.metrics_note}`);
  byId("curves-note").textContent = perPoint.join(" ");
  const select = byId("any-metric"), names = [...new Set(runs.flatMap(run => Object.keys(run.metrics)))].sort(), before = select.value;
  select.replaceChildren(...names.map(name => element("option", {}, null, name)));
  if (names.includes(before)) select.value = before;
  drawAny();
}

function drawAny() {
  const name = byId("any-metric").value, figure = drawChart(metricChart(name, name));
  byId("any-chart").replaceChildren(...(figure ? [figure] : []));
}

function table(parent, head, rows) {
  parent.replaceChildren();
  const scroll = element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "table, scrolls sideways"}, parent), made = element("table", {}, scroll);
  const top = element("tr", {}, element("thead", {}, made)), body = element("tbody", {}, made);
  for (const text of head) element("th", {scope: "col"}, top, text);
  for (const row of rows) { const line = element("tr", {}, body); for (const text of row) element("td", {}, line, text); }
}

// Mean of the first or the last tenth of what there is.
function tenthMean(values, last) {
  const there = (values || []).filter(v => v !== null), n = Math.max(1, Math.floor(there.length / 10));
  const part = last ? there.slice(-n) : there.slice(0, n);
  return part.length ? part.reduce((a, b) => a + b, 0) / part.length : null;
}

function drawSummary() {
  byId("title").textContent = runs.map(run => run.label).join(" and ");
  document.title = `cohort report: ${byId("title").textContent}`;
  byId("subtitle").textContent = runs.map(run => run.path).join(", ");
  const sum = values => (values || []).reduce((a, b) => a + (b || 0), 0);
  table(byId("summary"), ["run", "steps", "reward, first tenth", "last tenth", "accuracy, last", "length, last tenth", "seconds", "rollout tokens/s"], runs.map(run => {
    const m = run.metrics, accuracy = (m["eval/accuracy"] || []).filter(v => v !== null);
    return [run.label, String(run.steps[run.steps.length - 1]), show(tenthMean(m.reward)), show(tenthMean(m.reward, true)), show(accuracy[accuracy.length - 1]),
            show(tenthMean(m["completions/mean_length"], true)), show(sum(m["timing_s/step"]) * run.steps_per_point), show(tenthMean(m["perf/rollout_tokens_per_s"], true))];
  }));
  const findings = runs.flatMap(run => run.findings.map(finding => element("li", {}, null, (several ? `${run.label}: ` : "") + finding.text)));
  byId("findings").hidden = findings.length === 0;
  byId("findings").querySelector("ul").replaceChildren(...findings);
}

function drawEvaluations() {
  const all = [...new Set(runs.flatMap(run => run.evaluations.flatMap(e => Object.keys(e))))].filter(name => name !== "step");
  const names = all.filter(name => !/\/ci95_(low|high)$/.test(name));  // an interval stands beside its value
  const cell = (e, name) => {
    const low = e[`${name}/ci95_low`], high = e[`${name}/ci95_high`];
    return show(e[name]) + (low === undefined || low === null ? "" : ` (${show(low)} to ${show(high)})`);
  };
  byId("evaluations").hidden = names.length === 0;
  byId("evaluations-note").textContent = runs.filter(run => run.evaluations_note).map(run => (several ? `${run.label}: ` : "") + run.evaluations_note).join(" ");
  table(byId("evaluations").querySelector("div"), ["run", "step", ...names.map(name => name.replace("eval/", "") + (all.includes(`${name}/ci95_low`) ? " (95 % interval)" : ""))],
        runs.flatMap(run => run.evaluations.map(e => [run.label, String(e.step), ...names.map(name => cell(e, name))])));
}

function completionRow(row, shade) {
  const item = element("li");
  const parts = [`step ${row.step}`, row.problem, `reward ${show(row.reward)}`, ...Object.entries(row.rewards || {}).map(([name, score]) => `${name} ${show(score)}`),
                 `advantage ${show(row.advantage)}`, row.finish_reason === "length" ? "cut off" : row.finish_reason];
  element("h3", {}, item, parts.filter(p => p !== undefined).join(" · "));
  const reasons = Object.entries(row.explain || {});
  if (reasons.length) {
    const list = element("dl", {class: "reasons"}, item);
    for (const [name, reason] of reasons) element("dt", {}, list, name), element("dd", {}, list, reason);
  }
  if (row.prompt) element("pre", {class: "prompt", tabindex: "0"}, item, row.prompt);
  const text = element("pre", {tabindex: "0"}, item);
  if (!shade || !row.logprobs) {
    text.textContent = row.pieces.join("");
  } else {
    // The darker, the less likely the token was: full at a probability of 0.2 %.
    row.pieces.forEach((piece, i) => element("span", {style: `background:rgba(var(--warm),${Math.min(0.65, -row.logprobs[i] / 9.5).toFixed(2)})`,
                                                      title: `log-prob ${row.logprobs[i]}`}, text, piece));
  }
  if (row.cut) text.append(" …");
  return item;
}

// The browser for completions. What is chosen stays when the data become newer; the latest step goes on being the latest.
const SHOWN_AT_FIRST = 20;
let shown = SHOWN_AT_FIRST, shownRows = "";

function fillRuns() {
  const select = byId("filter").run, before = select.value;
  select.replaceChildren(...runs.map((run, i) => element("option", {value: i}, null, run.label)));
  if (runs[before]) select.value = before;
  fillSteps(true);
}

function fillSteps(keep) {
  const form = byId("filter"), select = form.step, completions = runs[form.run.value].completions;
  const steps = [...new Set(completions.rows.map(row => row.step))].sort((a, b) => a - b), last = steps.length ? String(steps[steps.length - 1]) : "";
  const before = select.value, wasLast = before === "" ? select.options.length === 0 : before === select.options[select.options.length - 1].value;
  select.replaceChildren(element("option", {value: ""}, null, "all"), ...steps.map(step => element("option", {value: step}, null, String(step))));
  select.value = keep && !wasLast && (before === "" || steps.includes(Number(before))) ? before : last;
  byId("completions-note").textContent = completions.note;
}

function drawCompletions() {
  const form = byId("filter");
  const value = row => row.reward === null || row.reward === undefined ? -Infinity : row.reward, text = form.text.value.toLowerCase();
  let rows = runs[form.run.value].completions.rows.filter(row => (form.step.value === "" || row.step === Number(form.step.value)) &&
    (text === "" || [row.prompt || "", row.pieces.join(""), ...Object.values(row.explain || {})].join("\n").toLowerCase().includes(text)));
  if (form.order.value === "best") rows = [...rows].sort((a, b) => value(b) - value(a));
  if (form.order.value === "worst") rows = [...rows].sort((a, b) => value(a) - value(b));
  if (form.order.value === "given") rows = [...rows].sort((a, b) => a.step - b.step || String(a.problem).localeCompare(String(b.problem)) || a.sample - b.sample);
  const drawn = JSON.stringify([rows.slice(0, shown), form.shade.checked]);
  byId("count").textContent = `${rows.length} completion${rows.length === 1 ? "" : "s"}${rows.length > shown ? `, ${shown} of them shown` : ""}`;
  byId("more").hidden = rows.length <= shown;
  if (drawn === shownRows) return;  // whoever reads there is not disturbed
  shownRows = drawn;
  byId("rows").replaceChildren(...rows.slice(0, shown).map(row => completionRow(row, form.shade.checked)));
}

function drawEvents(run) {
  const events = (run.events || []).filter(event => event.event === "warning" || event.event === "stop" || event.event === "end");
  if (events.length === 0) return;
  const list = element("ul", {}, byId("configs"));
  for (const event of events) element("li", {}, list, `after step ${event.step}: ${event.event === "warning" ? "warning: " : ""}${event.text}`);
}

function drawConfigs() {
  const open = [...byId("configs").querySelectorAll("details")].map(details => details.open);
  byId("configs").replaceChildren();
  const lines = runs.map(run => new Set(run.config.split("\n")));
  for (const [i, run] of runs.entries()) {
    // A run begins at step 1: a first start behind it is that of a run that wrote no events before.
    const resumes = (run.starts || []).filter((step, n) => n > 0 || step > 1), events = [];
    if (resumes.length) events.push(`went on at step ${resumes.join(", ")}`);
    else if (run.starts === null) events.push("whether it was resumed is not known without event files (log.tensorboard)");
    events.push(run.checkpoints.length ? `checkpoints of step ${run.checkpoints.join(", ")}` : "no checkpoint");
    if (run.starts && !resumes.length) events.push("no resume");
    element("p", {}, byId("configs"), `${run.label}: ${events.join("; ")}.`);
    drawEvents(run);
    const details = element("details", {}, byId("configs"));
    details.open = open[i] || false;
    element("summary", {}, details, `Config of ${run.label}${several ? ", with what differs marked" : ""}`);
    const text = element("pre", {tabindex: "0"}, details);
    for (const line of run.config.split("\n")) {
      const differs = several && lines.some((other, j) => j !== i && !other.has(line));
      element("span", differs ? {class: "changed"} : {}, text, line);
      text.append("\n");
    }
  }
}

function drawPage(fresh) {
  data = fresh;
  runs = data.runs;
  several = runs.length > 1;
  document.querySelector("main").hidden = runs.length === 0;
  if (runs.length === 0) return;
  labels();
  drawSummary();
  drawCharts();
  drawEvaluations();
  fillRuns();
  drawCompletions();
  drawConfigs();
}

// Whoever reads stays where they are while what stands above grows: completions where they are seen, else the section in the middle. At the top
// of the page nothing is held.
function inPlace(draw) {
  const seen = part => part.getClientRects().length && part.getBoundingClientRect().top < 0.9 * innerHeight && part.getBoundingClientRect().bottom > 0;
  const middle = () => [...document.querySelectorAll("main > section")].filter(part => part.getClientRects().length && part.getBoundingClientRect().top < innerHeight / 2).pop();
  const held = scrollY > 0 && (seen(byId("rows")) ? byId("rows") : middle()), before = held && held.getBoundingClientRect().top;
  draw();
  if (held) scrollBy(0, held.getBoundingClientRect().top - before);
}

// cohort watch: asks for what is newer, and says so when nobody answers.
async function follow() {
  const status = byId("live"), say = text => { status.hidden = false; if (status.textContent !== text) status.textContent = text; };
  for (;;) {
    say(data.waiting ? `Waiting: ${data.waiting}` : "Live: the page follows the run.");
    await new Promise(resolve => setTimeout(resolve, 2000));
    try {
      const answer = await fetch(`data${location.search}&have=${data.version}`);
      if (answer.status === 200) {
        const fresh = await answer.json();
        inPlace(() => drawPage(fresh));
      } else if (answer.status !== 204) throw new Error(`status ${answer.status}`);
    } catch (error) {
      say(`cohort watch does not answer any more (${error.message}): this is what the run was when it last did.`);
      await new Promise(resolve => setTimeout(resolve, 5000));
    }
  }
}

const filter = byId("filter");
filter.addEventListener("submit", event => event.preventDefault());
filter.addEventListener("input", event => { shown = SHOWN_AT_FIRST; if (event.target === filter.run) fillSteps(false); drawCompletions(); });
byId("more").addEventListener("click", () => { shown += 50; drawCompletions(); });
byId("any-metric").addEventListener("change", drawAny);
drawPage(JSON.parse(byId("data").textContent));
if (data.live) follow();
// For scripts/check_report.sh.
document.documentElement.dataset.ready = "true";
document.documentElement.dataset.readyMs = String(Math.round(performance.now()));  // since the page was asked for
document.documentElement.dataset.overflow = String(document.documentElement.scrollWidth > window.innerWidth);
