// A log as a list that draws only what is seen. What it asks of the server depends on where the reader is, and
// not on how long the log is.

import { tellNote } from "./log-pieces.js";
import { PIECE, Sizes } from "./log-sizes.js";
import { Windows } from "./log-windows.js";

/** Pieces that a selection of text may hold on to. */
const HELD = 200;
/** Browsers draw nothing beyond 17 to 33 million pixels: a longer list is seen through a frame that moves. */
const TALLEST = 12_000_000;
/** Pixels at both ends of a longer list that are those of the frame. */
const EDGE = 1_000_000;
const STILL = 160;

export class LogList {
  sizes = new Sizes();
  isFollowing = false;
  isWrapped = false;
  /** The lines that are marked, from and to. */
  marked = [0, 0];
  /** Where the frame begins, in virtual pixels. */
  #offset = 0;
  #top = 0;
  #ownTop = -1;
  #direction = 1;
  /** Height of what is seen; asked for once, as asking in the middle of drawing makes the browser lay out anew. */
  #seen = 0;
  #frame = 0;
  #settling = 0;
  #shown = new Map();
  #view;
  #canvas = document.createElement("div");
  #head;
  #told;

  /** `head` is the template of a section's head, `told` is called after drawing. */
  constructor(view, { head, address, told }) {
    this.#view = view;
    this.#head = head;
    this.#told = told;
    this.#canvas.className = "log-canvas";
    const build = (piece, lines) => this.#build(piece, lines);
    this.windows = new Windows(this.sizes, { address, build, changed: () => this.redraw() });
    view.replaceChildren(this.#canvas);
    this.#measureRows();
    view.addEventListener("scroll", () => this.redraw(), { passive: true });
    this.#seen = view.clientHeight;
    new ResizeObserver(() => this.#resized()).observe(view);
  }

  #resized() {
    this.#seen = this.#view.clientHeight;
    if (this.isWrapped) this.keeping(() => {});
    else if (this.isFollowing) this.moveToEnd();
    else this.redraw();
  }

  get #at() {
    return this.#top + this.#offset;
  }

  get #farthest() {
    return Math.max(0, this.sizes.total - this.#seen);
  }

  get isAtEnd() {
    return this.#at >= this.#farthest - this.sizes.row;
  }

  /** The element that stands for a line, if it is here. */
  lineElement(line) {
    return this.windows.piece(this.sizes.pieceOf(line))?.querySelector(`#L${line}`);
  }

  // ---- moving

  /** Shows the list from this virtual pixel on, with the bar of scrolling where it belongs. */
  moveTo(pixel) {
    const wanted = Math.round(Math.min(Math.max(0, pixel), this.#farthest));
    this.#ownTop = this.#top = this.#barAt(wanted);
    this.#offset = wanted - this.#top;
    this.#place();
    this.#view.scrollTop = this.#top;
    this.#draw();
  }

  /** Where the bar stands for a virtual pixel: pixel by pixel at both ends, and between them a share of the way. */
  #barAt(pixel) {
    const [far, room] = [this.#farthest, TALLEST - this.#seen];
    if (far <= room || pixel <= EDGE) return pixel;
    if (pixel >= far - EDGE) return room - (far - pixel);
    return Math.round(EDGE + (pixel - EDGE) / (far - 2 * EDGE) * (room - 2 * EDGE));
  }

  /** The virtual pixel that the bar stands for. */
  #pixelOf(bar) {
    const [far, room] = [this.#farthest, TALLEST - this.#seen];
    if (far <= room || bar <= EDGE) return bar;
    if (bar >= room - EDGE) return far - (room - bar);
    return Math.round(EDGE + (bar - EDGE) / (room - 2 * EDGE) * (far - 2 * EDGE));
  }

  /** Scrolls the page so far that all of the list is seen. */
  bringIntoSight() {
    this.#view.scrollIntoView({ block: "nearest" });
  }

  moveToEnd() {
    this.moveTo(this.#farthest);
  }

  /** Shows a line, opening the section that it is in. */
  goTo(line) {
    const wanted = Math.min(Math.max(1, line), this.sizes.lines);
    const section = this.sizes.sectionOf(wanted);
    if (section && this.sizes.folded.has(section.id)) this.#fold(section.id, false);
    this.isFollowing = false;
    this.bringIntoSight();
    this.moveTo(this.#topOf(wanted) - this.#seen / 3);
    // Wrapped lines are as tall as they turn out to be.
    if (this.isWrapped) this.moveTo(this.#topOf(wanted) - this.#seen / 3);
  }

  #topOf(line) {
    const piece = this.sizes.pieceOf(line);
    const drawn = this.isWrapped ? this.#shown.get(piece)?.querySelector(`#L${line}`) : null;
    return drawn ? this.sizes.top(piece) + drawn.offsetTop : this.sizes.topOf(line);
  }

  /** Draws in the next frame. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#scrolled();
    });
  }

  #scrolled() {
    const top = this.#view.scrollTop;
    const moved = top - this.#top;
    const isOwn = Math.abs(top - this.#ownTop) < 2;
    this.#top = top;
    if (moved && !isOwn) {
      this.#ownTop = -1;
      this.#direction = Math.sign(moved);
      if (this.sizes.total > TALLEST) this.#slide(moved);
      this.isFollowing = !this.windows.isComplete && this.isAtEnd;
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#settle(), STILL);
    }
    this.#draw();
  }

  /** In a list that is taller than its frame a short way is so many pixels, and a long one a share of all. */
  #slide(moved) {
    if (Math.abs(moved) > 8 * this.#seen) {
      this.#offset = this.#pixelOf(this.#top) - this.#top;
      this.#place();
    } else if (this.#top <= 0 || this.#at < 0 || this.#at > this.#farthest) {
      this.moveTo(this.#at);
    }
  }

  /** Once it stands still, the frame goes back to where the bar of scrolling says. */
  #settle() {
    if (this.sizes.total > TALLEST || this.#offset !== 0) this.moveTo(this.#at);
  }

  // ---- drawing

  /** Lays the drawn pieces where they are within the frame. */
  #place() {
    const height = `${Math.min(this.sizes.total, TALLEST)}px`;
    if (this.#canvas.style.height !== height) this.#canvas.style.height = height;
    for (const [piece, element] of this.#shown) this.#lay(piece, element);
  }

  #lay(piece, element) {
    const top = `${this.sizes.top(piece) - this.#offset}px`;
    if (element.style.top !== top) element.style.top = top;
  }

  #draw() {
    const { sizes } = this;
    const spare = this.#seen / 2;
    const first = sizes.pieceAt(this.#at - spare);
    const last = sizes.pieceAt(this.#at + this.#seen + spare);
    this.#removeFar(first - 1, last + 1);
    const added = [];
    const seen = this.#notFolded(first, last);
    for (const piece of seen) {
      const ready = this.windows.piece(piece);
      const there = this.#shown.get(piece);
      const isRenewed = this.windows.renewed.delete(piece);
      if (there && ((there === ready && !isRenewed) || !ready)) continue;
      const element = ready ?? this.#blank(piece);
      this.#lay(piece, element);
      if (!there) this.#canvas.insertBefore(element, this.#after(piece));
      else if (there !== element) there.replaceWith(element);
      this.#shown.set(piece, element);
      if (ready) added.push(piece);
    }
    if (this.isWrapped && added.length) this.#measure(added);
    this.windows.want(seen, this.#direction);
    this.#told();
  }

  /** The drawn element that comes after a piece: keys and screen readers go by the order of elements. */
  #after(piece) {
    const later = [...this.#shown.keys()].filter((it) => it > piece);
    return later.length ? this.#shown.get(Math.min(...later)) : null;
  }

  /** Pieces from one to another, without those that are folded away whole. */
  #notFolded(first, last) {
    const pieces = [];
    for (let piece = first; piece <= last; piece += 1) {
      if (this.sizes.height(piece) === 0) piece = this.sizes.pieceAt(this.sizes.top(piece));
      if (piece <= last) pieces.push(piece);
    }
    return pieces;
  }

  #removeFar(from, to) {
    let held;
    for (const [piece, element] of this.#shown) {
      if (piece >= from && piece <= to) continue;
      held ??= this.#selected();
      if ((piece >= held[0] && piece <= held[1]) || element.contains(document.activeElement)) continue;
      element.remove();
      this.#shown.delete(piece);
    }
  }

  #blank(piece) {
    const element = document.createElement("div");
    element.className = "log-piece is-blank";
    element.style.height = `${this.sizes.height(piece)}px`;
    return element;
  }

  /** How tall wrapped pieces have become; what is seen stays where it is. */
  #measure(added) {
    const anchor = this.sizes.pieceAt(this.#at);
    const within = this.#at - this.sizes.top(anchor);
    let isChanged = false;
    for (const piece of added) {
      const height = this.#shown.get(piece).offsetHeight;
      isChanged ||= height !== this.sizes.height(piece);
      this.sizes.measured.set(piece, height);
    }
    if (!isChanged) return;
    this.sizes.count();
    if (this.isFollowing) this.moveToEnd();
    else {
      this.#offset = this.sizes.top(anchor) + within - this.#top;
      this.#place();
      clearTimeout(this.#settling);
      this.#settling = setTimeout(() => this.#settle(), STILL);
    }
  }

  #measureRows() {
    const piece = document.createElement("div");
    piece.className = "log-piece";
    const list = this.#listOf([document.createElement("li")], "");
    const head = this.#headOf({ id: "", title: "x", note: "", status: "" });
    piece.append(list, head);
    this.#canvas.append(piece);
    this.sizes.row = list.getBoundingClientRect().height || this.sizes.row;
    this.sizes.head = head.getBoundingClientRect().height || this.sizes.head;
    piece.remove();
  }

  // ---- pieces

  #build(piece, lines) {
    const element = document.createElement("div");
    element.className = "log-piece";
    const { sizes } = this;
    const first = piece * PIECE + 1;
    const end = first + lines.length - 1;
    const isLast = piece === sizes.pieces - 1;
    sizes.sections.forEach((section, index) => {
      const begins = section.first >= first && (section.first <= end || isLast);
      if (begins && section.title) element.append(this.#headOf(section));
      const [from, to] = [Math.max(section.first, first), Math.min(sizes.lastOf(index), end)];
      if (from <= to) element.append(this.#listOf(lines.slice(from - first, to - first + 1), section.id));
    });
    return element;
  }

  #listOf(lines, section) {
    const list = document.createElement("ol");
    list.className = "log-lines";
    list.dataset.section = section;
    list.hidden = this.sizes.folded.has(section);
    list.append(...lines);
    lines.forEach((it) => this.#mark(it));
    return list;
  }

  #headOf(section) {
    const element = this.#head.content.firstElementChild.cloneNode(true);
    element.dataset.section = section.id;
    const button = element.querySelector("button");
    button.textContent = section.title;
    button.setAttribute("aria-expanded", String(!this.sizes.folded.has(section.id)));
    tellNote(element, section);
    return element;
  }

  // ---- changes

  /** Makes a change of sizes and keeps the line at the top where it is. */
  keeping(change) {
    const piece = this.sizes.pieceAt(this.#at);
    const within = this.#at - this.sizes.top(piece);
    const lines = [...(this.#shown.get(piece)?.querySelectorAll("li") ?? [])];
    const first = lines.find((it) => it.offsetParent && it.offsetTop >= within);
    const line = Number(first?.id.slice(1) ?? piece * PIECE + 1);
    change();
    this.sizes.measured.clear();
    this.sizes.count();
    this.#place();
    this.#draw();
    if (this.isWrapped) this.#measure([...this.#shown.keys()]);
    this.moveTo(this.isFollowing ? this.#farthest : this.#topOf(line));
  }

  #fold(id, isFolded) {
    if (isFolded) this.sizes.folded.add(id);
    else this.sizes.folded.delete(id);
    for (const piece of this.windows.pieces()) {
      for (const part of piece.querySelectorAll(`[data-section="${CSS.escape(id)}"]`)) {
        if (part.tagName === "OL") part.hidden = isFolded;
        else part.querySelector("button").setAttribute("aria-expanded", String(!isFolded));
      }
    }
    this.sizes.measured.clear();
    this.sizes.count();
    this.#place();
  }

  /** Folds a section or opens it; its head stays where it is. */
  toggle(id) {
    const section = this.sizes.sections.find((it) => it.id === id);
    const top = () => this.sizes.topOf(section.first) - this.sizes.head;
    const above = top() - this.#at;
    this.isFollowing = false;
    this.#fold(id, !this.sizes.folded.has(id));
    this.moveTo(top() - above);
  }

  /** There is more, or there are other heads. */
  learn({ lines, sections, isComplete }) {
    const layout = (all) => JSON.stringify(all.map(({ id, first, title }) => [id, first, title]));
    const isOther = layout(sections) !== layout(this.sizes.sections);
    Object.assign(this.sizes, { lines, sections });
    this.windows.isComplete = isComplete;
    this.windows.version += 1;
    if (isOther) {
      this.windows.rebuild();
      this.sizes.measured.clear();
    } else {
      this.#tellNotes(sections);
    }
    this.sizes.count();
    if (this.isFollowing) this.moveToEnd();
    else {
      this.#place();
      this.#draw();
    }
  }

  #tellNotes(sections) {
    const known = new Map(sections.map((it) => [it.id, it]));
    for (const piece of this.windows.pieces()) {
      for (const head of piece.querySelectorAll(".log-head")) tellNote(head, known.get(head.dataset.section));
    }
  }

  /** Another log is to be shown. */
  forget() {
    this.windows.clear();
    for (const element of this.#shown.values()) element.remove();
    this.#shown.clear();
    this.sizes.measured.clear();
    this.sizes.folded.clear();
  }

  // ---- lines that are marked, and text that is selected

  mark(from, to) {
    this.marked = [from, to];
    for (const piece of this.windows.pieces()) {
      piece.querySelectorAll("li").forEach((it) => this.#mark(it));
    }
  }

  #mark(item) {
    const line = Number(item.id.slice(1));
    item.classList.toggle("is-marked", line >= this.marked[0] && line <= this.marked[1]);
  }

  /** The first and the last piece that the selection needs; none has the number -1. */
  #selected() {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || !this.#view.contains(selection.anchorNode)) return [-1, -1];
    const pieceWith = (node) => [...this.#shown].find(([, it]) => it.contains(node))?.[0] ?? -1;
    const ends = [pieceWith(selection.anchorNode), pieceWith(selection.focusNode)];
    if (ends.includes(-1)) return [Math.max(...ends), Math.max(...ends)];
    ends.sort((one, other) => one - other);
    return ends[1] - ends[0] < HELD ? ends : [-1, -1];
  }

  /** The selected text as it was printed: without numbers and times. */
  selectedText() {
    const selection = document.getSelection();
    if (!selection.rangeCount || selection.isCollapsed || !this.#view.contains(selection.anchorNode)) return null;
    const range = selection.getRangeAt(0);
    const pieces = [...this.#shown].sort(([one], [other]) => one - other).map(([, it]) => it);
    const texts = pieces.flatMap((it) => [...it.querySelectorAll("li > span")])
      .filter((it) => it.offsetParent && range.intersectsNode(it));
    const text = (line) => {
      const part = document.createRange();
      part.selectNodeContents(line);
      if (line.contains(range.startContainer)) part.setStart(range.startContainer, range.startOffset);
      if (line.contains(range.endContainer)) part.setEnd(range.endContainer, range.endOffset);
      return part.toString();
    };
    return texts.length ? texts.map(text).join("\n") : null;
  }
}
