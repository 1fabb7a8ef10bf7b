// Paints the tokens of one generation and the alternatives of the one that is looked at.
//
// Runs, after text.js, as the body of a function of (element, props, watch). The template holds no
// data, therefore Gradio leaves the painted nodes alone.

const TOP = 10; // bits: one swatch a bit, the last for all above
const MEANING = {
  entropy: "How undecided the model was before the token. 0: certain; 1 bit: a coin toss.",
  surprisal: "How unexpected the token was, −log₂ p. 0: certain; each bit more is half as likely.",
};
const NARROW = window.matchMedia("(max-width: 760px)"); // here the panel lies over the tokens
const find = (selector) => element.querySelector(selector);
const strip = find(".lx-strip");
let measure = "entropy";
let selected = null; // index of the step that is looked at
let painted = 0; // steps that have a node
let run = null; // the generation that is painted
let stopped = null; // the generation that was stopped here

const steps = () => (props.value && props.value.steps) || [];
const nodes = () => strip.querySelectorAll(".lx-token");

function colour(target, step) {
  const value = step[measure];
  target.dataset.level = value === null ? TOP : Math.min(TOP, Math.floor(value));
  target.setAttribute("aria-label", `${spelled(step.pieces)}, ${measure} ${bits(value)}`);
}

function addToken(step, index) {
  const token = node("span", "lx-token");
  token.dataset.index = index;
  token.tabIndex = index === 0 ? 0 : -1;
  token.setAttribute("role", "option");
  token.setAttribute("aria-selected", "false");
  colour(token, step);
  strip.append(addPieces(token, step.pieces, true));
}

function paint() {
  const view = props.value;
  if (!view) return;
  if (view.state === "error") {
    find(".lx-status").textContent = view.status;
    element.dataset.state = "error";
    return; // what was painted before stays
  }
  if (view.run !== run || view.steps.length < painted) {
    run = view.run;
    painted = 0;
    selected = null;
    strip.replaceChildren();
    for (const pieces of view.prompt) strip.append(addPieces(node("span", "lx-prompt"), pieces, true));
  }
  for (; painted < view.steps.length; painted++) addToken(view.steps[painted], painted);
  const ended = stopped === run && view.state === "running";
  element.dataset.state = ended ? "done" : view.state;
  find(".lx-status").textContent = ended ? `Stopped after ${painted} tokens` : view.status;
  if (selected !== null) return;
  if (element.dataset.state === "done" && painted && !NARROW.matches) select(mostUndecided());
  else paintPanel();
}

// What is looked at until the reader chooses: where the model hesitated most.
function mostUndecided() {
  return steps().reduce((best, step, i, all) => (step.entropy > all[best].entropy ? i : best), 0);
}

function select(index) {
  nodes().forEach((token, i) => {
    token.setAttribute("aria-selected", String(i === index));
    token.tabIndex = i === index ? 0 : -1;
  });
  selected = index;
  paintPanel();
  if (NARROW.matches) nodes()[index].scrollIntoView({ block: "nearest" });
}

function fact(list, name, value) {
  list.append(node("dt", "", name), node("dd", "", value));
}

function bar(alternative, step, most, index) {
  const chosen = alternative.id === step.id;
  const row = node("li", "lx-alternative" + (chosen ? " lx-chosen" : ""));
  if (step.cut !== null && index >= step.cut) row.classList.add("lx-dropped");
  const track = node("span", "lx-track");
  const fill = node("span", "lx-fill");
  fill.style.width = `${(100 * alternative.p) / most}%`;
  track.append(fill);
  row.append(
    node("span", "lx-pick", chosen ? "▸" : ""),
    addPieces(node("span", "lx-word"), alternative.pieces, false),
    track,
    node("span", "lx-p", percent(alternative.p)),
  );
  row.setAttribute("aria-label", `${spelled(alternative.pieces)} ${percent(alternative.p)}${chosen ? ", chosen" : ""}`);
  return row;
}

function paintPanel() {
  const panel = find(".lx-panel");
  const step = selected === null ? null : steps()[selected];
  if (!step) {
    panel.replaceChildren(node("p", "lx-hint", "Choose a token to see what the model could have said instead."));
    return;
  }
  const facts = node("dl", "lx-facts");
  fact(facts, "Entropy", bits(step.entropy));
  fact(facts, "Surprisal", bits(step.surprisal));
  fact(facts, "Rank", `${count(step.rank)} of ${count(props.value.vocabulary)}`);
  fact(facts, "Kept", step.kept === 1 ? "1 token" : `${count(step.kept)} tokens`);
  fact(facts, "Probability", percent(step.p));
  fact(facts, "After strategy", percent(step.p_after));

  const rows = [...step.alternatives];
  const mass = rows.reduce((sum, a) => sum + a.p, 0);
  const most = Math.max(...rows.map((a) => a.p), Number.MIN_VALUE);
  const list = node("ol", "lx-alternatives");
  rows.forEach((alternative, i) => {
    if (i === step.cut) list.append(node("li", "lx-cut", `cut off: ${percent(step.kept_mass)} kept above`));
    list.append(bar(alternative, step, most, i));
  });
  const outside = !rows.some((a) => a.id === step.id);
  if (outside) {
    const row = bar(step, { ...step, cut: null }, most, 0);
    row.classList.add("lx-outside");
    list.append(row);
  }
  const rest = Math.max(0, 1 - mass - (outside ? step.p : 0));
  const others = props.value.vocabulary - rows.length - (outside ? 1 : 0);
  list.append(node("li", "lx-rest", `${count(Math.max(0, others))} others share ${percent(rest)}`));

  const title = node("h3", "lx-title");
  title.append(addPieces(node("span", "lx-word"), step.pieces, false), node("span", "lx-place", `token ${selected + 1}, id ${step.id}`));
  panel.replaceChildren(title, facts, list);
}

function setMeasure(name) {
  measure = name;
  element.querySelectorAll("[data-measure]").forEach((button) => {
    button.setAttribute("aria-checked", String(button.dataset.measure === name));
    button.tabIndex = button.dataset.measure === name ? 0 : -1;
  });
  find(".lx-meaning").textContent = MEANING[name];
  nodes().forEach((token, i) => colour(token, steps()[i]));
}

for (let level = 0; level <= TOP; level++) {
  const swatch = node("span", "", level === TOP ? `${TOP}+ bits` : String(level));
  swatch.dataset.level = level;
  find(".lx-ramp").append(swatch);
}

strip.addEventListener("click", (event) => {
  const token = event.target.closest(".lx-token");
  if (token) select(Number(token.dataset.index));
});
strip.addEventListener("keydown", (event) => {
  const all = nodes();
  const here = [...all].indexOf(document.activeElement);
  if (here < 0) return;
  const to = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Enter" || event.key === " ") select(here);
  else if (to !== undefined && all[to]) all[to].focus();
  else if (to === undefined) return;
  event.preventDefault();
});
find(".lx-switch").addEventListener("click", (event) => {
  if (event.target.dataset.measure) setMeasure(event.target.dataset.measure);
});
find(".lx-switch").addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow")) return;
  event.preventDefault();
  setMeasure(measure === "entropy" ? "surprisal" : "entropy");
  find(`[data-measure="${measure}"]`).focus();
});
window.addEventListener("lexigram:stop", () => {
  stopped = run;
  paint();
});
watch("value", paint);
setMeasure(measure);
paint();
