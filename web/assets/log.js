// The log of a stage comes alive: scrolled, followed, folded, searched. Without this script the page shows one
// window of lines, with links to the others.

import { LogList } from "./log-list.js";
import { searchIn } from "./log-search.js";
import { patiently } from "./trunkline.js";

const root = document.querySelector("[data-log]");
const view = root?.querySelector(".log-view");
/** Lines that one sees without moving the page. */
const LINES_IN_SIGHT = 20;

/** What the reader chose is kept in the browser, where it keeps things. */
const choices = {
  get(name) {
    try {
      return localStorage.getItem(`log-${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`log-${name}`, value);
    } catch {
      // It is forgotten with the page.
    }
  },
};

function begin() {
  const base = root.dataset.log;
  let outline = JSON.parse(root.dataset.outline);
  const toEnd = root.querySelector("[data-to-end]");
  const count = root.querySelector("[data-count]");
  const empty = root.querySelector("[data-empty]");

  const address = (from, lines) => {
    const query = { attempt: outline.attempt, from, count: lines, v: root.dataset.version };
    return `${base}/log?${new URLSearchParams(query)}`;
  };
  const told = () => {
    // What has the focus does not vanish from under it.
    const isFar = !list.isAtEnd || document.activeElement === toEnd;
    if (toEnd.hidden === isFar) toEnd.hidden = !isFar;
    const lines = outline.lines.toLocaleString("en");
    const words = `${lines} ${outline.lines === 1 ? "line" : "lines"}${list.isFollowing ? ", following" : ""}`;
    if (count.textContent !== words) count.textContent = words;
  };
  const head = root.querySelector("template[data-head]");
  root.classList.add("is-alive");
  const list = new LogList(view, { head, address, told });

  // ---- how it is shown

  const apply = (name, value) => {
    view.dataset[name] = value;
    if (name === "wrap") list.isWrapped = value === "on";
    for (const button of root.querySelectorAll(`[data-choose="${name}"]`)) {
      button.setAttribute("aria-pressed", String(button.value === value));
    }
  };
  apply("wrap", choices.get("wrap") ?? "off");
  apply("times", choices.get("times") ?? "none");
  for (const button of root.querySelectorAll("[data-choose]")) {
    button.addEventListener("click", () => {
      const isWrap = button.dataset.choose === "wrap";
      const value = isWrap && button.getAttribute("aria-pressed") === "true" ? "off" : button.value;
      choices.set(button.dataset.choose, value);
      list.keeping(() => apply(button.dataset.choose, value));
    });
  }

  // ---- where it is

  const readHash = () => {
    const found = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    if (!found) return false;
    const ends = [Number(found[1]), Number(found[2] ?? found[1])].sort((one, other) => one - other);
    list.mark(...ends);
    list.goTo(ends[0]);
    return true;
  };
  const chooseLine = (line, isRange) => {
    const [first] = list.marked;
    const ends = isRange && first ? [Math.min(first, line), Math.max(first, line)] : [line, line];
    list.mark(...ends);
    const hash = ends[0] === ends[1] ? `#L${line}` : `#L${ends[0]}-L${ends[1]}`;
    history.replaceState(history.state, "", hash);
  };
  view.addEventListener("click", (event) => {
    const number = event.target.closest("a.log-number");
    if (number && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      chooseLine(Number(number.textContent), event.shiftKey);
    }
    const button = event.target.closest(".log-head button");
    if (button) list.toggle(button.closest(".log-head").dataset.section);
  });
  addEventListener("hashchange", readHash);
  document.addEventListener("copy", (event) => {
    const text = list.selectedText();
    if (text === null) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  });
  toEnd.addEventListener("blur", () => requestAnimationFrame(told));
  toEnd.addEventListener("click", () => {
    list.isFollowing = !outline.isComplete;
    list.moveToEnd();
    view.focus();
  });

  // ---- news

  const learn = (news) => {
    if (news.attempt !== outline.attempt) {
      list.forget();
      list.isFollowing = true;
    }
    // How large it has become is not told, and an old size would be wrong.
    if (news.lines !== outline.lines) root.querySelector("[data-size]")?.remove();
    outline = news;
    empty.hidden = news.lines > 0;
    list.learn(news);
  };
  let source = null;
  const hangUp = () => {
    source?.close();
    source = null;
  };
  // A page that nobody sees holds no connection: browsers have few of them for a server.
  const listen = () => {
    if (source || document.hidden || !root.dataset.follow) return;
    source = new EventSource(root.dataset.follow);
    source.addEventListener("outline", (event) => learn(JSON.parse(event.data)));
    source.addEventListener("end", () => {
      root.dataset.follow = "";
      list.isFollowing = false;
      told();
      hangUp();
    });
    source.addEventListener("problem", (event) => comeBack(JSON.parse(event.data).status === 401 ? 0 : 5000));
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) comeBack(2000 + Math.random() * 2000);
    });
  };
  const comeBack = async (wait) => {
    hangUp();
    await patiently(wait);
    listen();
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? hangUp() : listen()));

  // ---- the beginning

  const { sizes } = list;
  for (const it of outline.sections) if (it.isFolded) sizes.folded.add(it.id);
  list.learn(outline);
  const line = Number(root.dataset.line);
  if (line) list.mark(line, line);
  if (!readHash()) {
    if (line) list.goTo(line);
    else {
      list.isFollowing = !outline.isComplete;
      if (list.isFollowing && outline.lines > 0) list.bringIntoSight();
      list.moveToEnd();
      // Why it failed is mostly said last: nobody should have to look for it. A short log is seen anyway.
      const isLong = outline.lines > LINES_IN_SIGHT;
      if (isLong && document.querySelector("#stage-head .s-failed")) root.scrollIntoView({ block: "end" });
    }
  }
  searchIn(root, list, { address: root.dataset.search, attempt: () => outline.attempt });
  listen();
}

if (view) begin();
