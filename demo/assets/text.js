// Text and numbers as every tab shows them. It stands before a tab's own script, in one function.
//
// Text reaches the page in two ways only, `textContent` (or a text node) and `setAttribute`, so
// that no prompt and no token can ever be markup.

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function addPieces(parent, pieces, breaks) {
  for (const [kind, text] of pieces) {
    if (kind === "newline" && breaks) {
      for (const mark of text) parent.append(node("span", "lx-newline", mark), node("br"));
    } else {
      parent.append(kind === "text" ? document.createTextNode(text) : node("span", "lx-" + kind, text));
    }
  }
  return parent;
}

const spelled = (pieces) => pieces.map(([, text]) => text).join("");
const bits = (value) => (value === null ? "∞" : value.toFixed(2)) + " bits";
const count = (value) => value.toLocaleString("en");

function percent(p) {
  if (p === 0) return "0 %";
  if (p < 1e-6) return p.toExponential(1);
  const shown = 100 * p;
  return (shown > 99.9 && p < 1 ? shown.toFixed(3) : String(Number(shown.toPrecision(3)))) + " %";
}

