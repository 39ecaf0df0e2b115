// How tall the pieces of a log are and where each begins, in virtual pixels from its first line. Knows nothing
// of elements.

/** Lines of one piece. */
export const PIECE = 25;

export class Sizes {
  /** Height of a line and of the head of a section. */
  row = 20;
  head = 36;
  lines = 0;
  sections = [];
  folded = new Set();
  /** Heights that were seen, where lines are wrapped. */
  measured = new Map();
  total = 0;
  #heights = new Float64Array(0);
  #tops = new Float64Array(1);

  get pieces() {
    return Math.max(1, Math.ceil(this.lines / PIECE));
  }

  /** The piece that a line is in; lines count from 1. */
  pieceOf(line) {
    return Math.min(this.pieces - 1, Math.floor(Math.max(0, line - 1) / PIECE));
  }

  /** The last line of a section; one before its first where it has none. */
  lastOf(index) {
    return (this.sections[index + 1]?.first ?? this.lines + 1) - 1;
  }

  sectionOf(line) {
    return this.sections.findLast((it, index) => it.first <= line && line <= this.lastOf(index));
  }

  top(piece) {
    return this.#tops[piece] ?? this.total;
  }

  height(piece) {
    return this.#heights[piece] ?? 0;
  }

  /** Counts anew: lines that are not folded away, and the heads between them. */
  count() {
    const count = this.pieces;
    const heights = new Float64Array(count).fill(PIECE * this.row);
    heights[count - 1] = (this.lines - (count - 1) * PIECE) * this.row;
    this.sections.forEach((section, index) => {
      if (section.title) heights[this.pieceOf(section.first)] += this.head;
      if (this.folded.has(section.id)) this.#fold(heights, section.first, this.lastOf(index));
    });
    for (const [piece, height] of this.measured) if (piece < count) heights[piece] = height;
    const tops = new Float64Array(count + 1);
    for (let piece = 0; piece < count; piece += 1) tops[piece + 1] = tops[piece] + heights[piece];
    this.#heights = heights;
    this.#tops = tops;
    this.total = tops[count] + this.row;
  }

  #fold(heights, first, last) {
    while (first <= last) {
      const piece = this.pieceOf(first);
      const end = Math.min(last, (piece + 1) * PIECE);
      heights[piece] -= (end - first + 1) * this.row;
      first = end + 1;
    }
  }

  /** The piece at a virtual pixel. */
  pieceAt(pixel) {
    let [low, high] = [0, this.pieces - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle] <= pixel) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where a line begins, if none is wrapped. */
  topOf(line) {
    const piece = this.pieceOf(line);
    let top = this.top(piece);
    this.sections.forEach((section, index) => {
      const isHere = this.pieceOf(section.first) === piece && section.first <= line;
      if (isHere && section.title) top += this.head;
      const from = Math.max(section.first, piece * PIECE + 1);
      const to = Math.min(this.lastOf(index), line - 1);
      if (!this.folded.has(section.id) && to >= from) top += (to - from + 1) * this.row;
    });
    return top;
  }
}
