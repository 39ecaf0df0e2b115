// Windows of a log: asked of the server as HTML when they are wanted, kept for a while, cut into pieces.

import { renew } from "./log-pieces.js";
import { PIECE } from "./log-sizes.js";
import { refresh } from "./trunkline.js";

/** Lines asked for at once: a whole number of pieces. */
const WINDOW = 200;
const KEPT = 60;
const FETCHES = 4;
const AGAIN = 2000;

export class Windows {
  #all = new Map();
  #sizes;
  #address;
  #build;
  #changed;
  /** Counts the news: a window that is older may lack lines. */
  version = 1;
  isComplete = false;
  /** Pieces whose element is the same as before, with other content. */
  renewed = new Set();

  /** `address` gives where a window is, `build` makes an element of lines, `changed` draws. */
  constructor(sizes, { address, build, changed }) {
    this.#sizes = sizes;
    this.#address = address;
    this.#build = build;
    this.#changed = changed;
  }

  /** The element of a piece, if it is here. */
  piece(piece) {
    return this.#all.get(Math.floor(piece * PIECE / WINDOW))?.pieces?.get(piece);
  }

  /** All pieces that are here. */
  * pieces() {
    for (const window of this.#all.values()) if (window.pieces) yield* window.pieces.values();
  }

  clear() {
    for (const window of this.#all.values()) window.wanted?.abort();
    this.#all.clear();
    this.renewed.clear();
  }

  /** Puts every piece together anew, of the same lines. */
  rebuild() {
    for (const { pieces } of this.#all.values()) {
      pieces?.forEach((element, piece) => {
        const lines = [...element.querySelectorAll("li")].map((it) => it.cloneNode(true));
        pieces.set(piece, this.#renew(piece, element, lines));
      });
    }
  }

  #renew(piece, old, lines) {
    const fresh = this.#build(piece, lines);
    if (!old) return fresh;
    this.renewed.add(piece);
    return renew(old, fresh);
  }

  /** Asks for the pieces that are seen, then for what comes next in the direction of reading; gives up the rest. */
  want(pieces, direction) {
    const seen = new Set(pieces.map((it) => Math.floor(it * PIECE / WINDOW)));
    const [from, to] = [Math.min(...seen), Math.max(...seen)];
    const next = direction > 0 ? [to + 1, to + 2] : [from - 1, from - 2];
    for (const [number, it] of this.#all) {
      const isNear = number >= from - 2 && number <= to + 2;
      if (!it.wanted || isNear) continue;
      it.wanted.abort();
      this.#all.delete(number);
    }
    for (const number of [...seen, ...next]) this.#ask(number);
  }

  #ask(number) {
    if (number < 0 || number * WINDOW >= this.#sizes.lines) return;
    const known = this.#all.get(number);
    if (known?.wanted) return;
    if (known && (known.isWhole || known.version >= this.version)) {
      // Moved to the end: what was used last goes last.
      this.#all.delete(number);
      this.#all.set(number, known);
      return;
    }
    if ([...this.#all.values()].filter((it) => it.wanted).length >= FETCHES) return;
    const wanted = new AbortController();
    this.#all.set(number, { ...known, wanted });
    this.#load(number, wanted, known).catch(() => {
      if (this.#all.get(number)?.wanted !== wanted) return;
      if (known) this.#all.set(number, known);
      else this.#all.delete(number);
      if (!wanted.signal.aborted) setTimeout(this.#changed, AGAIN);
    });
  }

  async #load(number, wanted, before) {
    const { version, isComplete } = this;
    const { lines } = this.#sizes;
    const from = number * WINDOW + 1;
    const answer = await fetch(this.#address(from, WINDOW), { signal: wanted.signal });
    if (answer.status === 401) await refresh();
    if (!answer.ok) throw new Error(`${answer.status}`);
    const html = await answer.text();
    if (this.#all.get(number)?.wanted !== wanted) return;
    const pieces = this.#cut(number, html, before);
    const isWhole = isComplete || lines >= from + WINDOW;
    this.#all.delete(number);
    this.#all.set(number, { pieces, version, isWhole, lines });
    for (const [other, it] of this.#all) {
      if (this.#all.size <= KEPT) break;
      if (!it.wanted) this.#all.delete(other);
    }
    this.#changed();
  }

  /** Makes pieces of a window; those that were whole before are kept. */
  #cut(number, html, before) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const lines = [...template.content.children];
    const pieces = new Map();
    for (let at = 0; at < lines.length; at += PIECE) {
      const piece = (number * WINDOW + at) / PIECE;
      const old = before?.pieces?.get(piece);
      const wasWhole = old && before.lines > (piece + 1) * PIECE;
      pieces.set(piece, wasWhole ? old : this.#renew(piece, old, lines.slice(at, at + PIECE)));
    }
    return pieces;
  }
}
