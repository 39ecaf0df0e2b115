// Pages that stay open while something happens.

import { expect } from "./journey.mjs";

/** Remembers this very page, so that a reload is seen. */
export async function markPage(page) {
  await page.evaluate(() => {
    window.__mark = true;
  });
}

export async function expectSamePage(page, what) {
  expect(await page.evaluate(() => window.__mark === true), `the page ${what} was loaded again`);
}

/** What a person reads in the middle of a page, without what only tells how long ago something was. */
export async function seenOn(page) {
  return page.evaluate(() => {
    const main = document.querySelector("main").cloneNode(true);
    for (const it of main.querySelectorAll("time, [data-ms], script, form, [hidden], .note, [data-size], [data-window]")) it.remove();
    return main.textContent.replace(/\s+/g, " ").trim();
  });
}
