"use strict";
const { samples } = JSON.parse(document.getElementById("data").textContent);
const SECTIONS = ["causes", "exclusions", "checks", "cautions", "missing"];
const WORDS = { accepted: ["接受", "Accept"], edited: ["修改", "Edit"], rejected: ["拒绝", "Reject"] };
const el = (id) => document.getElementById(id);
const decided = new Map();

// So that a closed window loses nothing: on this computer only, by what the page holds.
const kept = "consultd-review " + samples.map((it) => it.of).join("").slice(0, 256) + samples.length;
try {
  const { by, list } = JSON.parse(localStorage.getItem(kept)) ?? { by: "", list: [] };
  el("by").value = by;
  for (const [id, of, decision] of list) if (samples.some((it) => it.id === id && it.of === of)) decided.set(id, decision);
} catch { /* a browser that keeps nothing */ }
function keep() {
  const list = samples.filter((it) => decided.has(it.id)).map((it) => [it.id, it.of, decided.get(it.id)]);
  try { localStorage.setItem(kept, JSON.stringify({ by: el("by").value, list })); } catch { /* as above */ }
}

// Whatever is shown goes in as text.
function node(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
const both = ([zh, en]) => [zh, node("span", { className: "en", lang: "en", textContent: en })];
const button = (words, className, onclick) => node("button", { type: "button", className, onclick }, ...both(words));

function text(title, sample, completion, other) {
  const sections = SECTIONS.map((name, at) => {
    const lines = completion[name].map((line) => {
      const changed = other && !other[name].includes(line);
      return node("li", { textContent: line, className: changed ? "changed" : "" });
    });
    return node("div", {}, node("h3", { textContent: sample.headers[at] }), node("ul", {}, ...lines));
  });
  return node("div", { className: "text" }, node("h2", {}, ...both(title)), ...sections);
}

function editor(sample, from) {
  const areas = SECTIONS.map((name) => node("textarea", { value: from[name].join("\n"), rows: Math.max(2, from[name].length + 1) }));
  const labels = areas.map((area, at) => node("label", {}, node("h3", { textContent: sample.headers[at] }), area));
  const save = () => {
    const lines = areas.map((area) => area.value.split("\n").map((line) => line.trim()).filter(Boolean));
    if (!lines[1].some((line) => line !== sample.nothing)) {
      return tell("“不能排除”至少写一条。Name at least one thing that cannot be excluded.");
    }
    const completion = Object.fromEntries(SECTIONS.map((name, at) => [name, lines[at].length ? lines[at] : [sample.nothing]]));
    const same = JSON.stringify(completion) === JSON.stringify(Object.fromEntries(SECTIONS.map((name) => [name, sample.after[name]])));
    decide(sample, same ? { verdict: "accepted" } : { verdict: "edited", completion });
  };
  const buttons = [button(["保存", "Save"], "edited", save), button(["取消", "Cancel"], "", () => draw(sample))];
  return node("div", { className: "editor" }, ...labels, node("div", { className: "buttons" }, ...buttons));
}

function card(sample) {
  const decision = decided.get(sample.id);
  const now = decision?.completion ?? sample.after;
  const before = sample.before ?? (decision?.completion ? sample.after : null);
  const made = node("article", { id: "s-" + sample.id, className: decision?.verdict ?? "" });
  const first = WORDS[sample.verdict] ?? [sample.verdict, ""];
  made.append(node("p", { className: "head" },
    sample.department + " · " + sample.id.slice(0, 8) + " · 第一位 First: " + first.join(" "),
    node("b", { textContent: decision ? WORDS[decision.verdict].join(" ") : "" })));
  made.append(node("pre", { textContent: sample.question }));
  const texts = node("div", { className: "texts" });
  if (before) texts.append(text(["改前", "Before"], sample, before, now));
  texts.append(text(before ? ["改后", "After"] : ["答复", "Answer"], sample, now, before));
  made.append(texts);
  made.append(node("div", { className: "buttons" },
    button(WORDS.accepted, "accepted", () => decide(sample, { verdict: "accepted" })),
    button(WORDS.edited, "edited", () => { made.lastChild.replaceWith(editor(sample, now)); made.querySelector("textarea").focus(); }),
    button(WORDS.rejected, "rejected", () => decide(sample, { verdict: "rejected" })),
    ...(decision ? [button(["撤回", "Undo"], "", () => decide(sample, null))] : [])));
  return made;
}

function decide(sample, decision) {
  if (decision) decided.set(sample.id, decision); else decided.delete(sample.id);
  tell("");
  keep();
  draw(sample);
}
function draw(sample) {
  el("s-" + sample.id).replaceWith(card(sample));
  count();
}
function count() {
  el("count").textContent = decided.size + " / " + samples.length;
}
function tell(words) {
  el("told").textContent = words;
}

function download() {
  const by = el("by").value.trim();
  if (!by || by.includes("+")) {
    el("by").focus();
    return tell("请先填写审核人代号（不含 +）。Say who reviews: a word without +.");
  }
  const own = samples.filter((it) => decided.has(it.id) && (it.first ?? "").toLowerCase() === by.toLowerCase());
  if (own.length) {
    return tell("第一位与第二位须是两个人：" + own.length + " 条的第一位就是您，请先撤回。" +
      own.length + " of these you have reviewed first: undo them, another physician is to.");
  }
  const at = String(new Date().getFullYear());
  const lines = samples.filter((it) => decided.has(it.id))
    .map((it) => JSON.stringify({ id: it.id, by, ...decided.get(it.id), at, of: it.of }) + "\n");
  if (!lines.length) return tell("还没有审核任何一条。Nothing is reviewed yet.");
  const link = node("a", { download: "reviewed.jsonl" });
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  tell("已写出 " + lines.length + " 条，未审 " + (samples.length - lines.length) + " 条。" +
    lines.length + " written, " + (samples.length - lines.length) + " left.");
}

el("by").oninput = keep;
el("download").onclick = download;
el("list").append(...samples.map(card));
count();
