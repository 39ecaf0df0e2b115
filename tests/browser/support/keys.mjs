// Going through pages with the Tab key.

import { expect } from "./journey.mjs";

const STOPS_MAX = 250;

/** What has the focus: its role and words, and whether one sees that it has it. */
async function focused(page) {
  return page.evaluate(() => {
    const it = document.activeElement;
    if (!it || it === document.body) return null;
    const style = getComputedStyle(it);
    const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const box = it.getBoundingClientRect();
    window.__stops ??= new Map();
    if (!window.__stops.has(it)) window.__stops.set(it, window.__stops.size);
    return {
      nth: window.__stops.get(it),
      html: it.outerHTML.slice(0, 140),
      words: `${it.tagName.toLowerCase()} ${(it.getAttribute("aria-label") || it.innerText || it.name || it.value || "").trim()}`,
      isSeen: (hasOutline || style.boxShadow !== "none") && box.width > 0 && box.height > 0,
    };
  });
}

/** Presses Tab until what has the focus is called so. */
export async function tabTo(page, words) {
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    await page.keyboard.press("Tab");
    const it = await focused(page);
    if (it && words.test(it.words)) return it;
  }
  throw new Error(`the keyboard does not reach ${words} on ${page.url()}`);
}

const REACHED = "a[href], button, input:not([type=hidden]), select, textarea, summary";

/**
 * Tabs once through the whole page: everything that can be clicked is reached, seen, and left again. What comes while
 * this goes on need not be reached, but it may not take the focus away either.
 */
export async function expectNoTrap(page, what) {
  await page.evaluate((reached) => {
    window.__there = new Set(document.querySelectorAll(reached));
    document.activeElement?.blur();
    window.getSelection().removeAllRanges();
    window.__stops = new Map();
  }, REACHED);
  let [last, stays] = [-1, 0];
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    await page.keyboard.press("Tab");
    const it = await focused(page);
    // Past the end, or around to the first one.
    if (!it || (it.nth === 0 && last > 0)) break;
    // A date has a stop for each of its parts.
    stays = it.nth === last ? stays + 1 : 0;
    expect(stays < 5, `${what}: the keyboard is caught in ${it.html}`);
    expect(it.isSeen, `${what}: one does not see that this has the focus: ${it.html}`);
    last = it.nth;
  }
  const missed = await page.evaluate((reached) => {
    const wanted = [...document.querySelectorAll(reached)].filter((it) => window.__there.has(it));
    const isRadio = (it) => it.type === "radio";
    return wanted
      .filter((it) => it.checkVisibility({ visibilityProperty: true }) && !it.disabled && it.tabIndex >= 0 && !isRadio(it))
      .filter((it) => !window.__stops.has(it))
      .map((it) => it.outerHTML.slice(0, 140));
  }, REACHED);
  expect(missed.length === 0, `${what}: the keyboard does not reach\n  ${missed.slice(0, 5).join("\n  ")}`);
}
