// A log of a hundred thousand lines that still grows: its end is followed, a word is found in its middle, a line has an address.

import { expect, facts, go, journey, until } from "../support/journey.mjs";

await journey(async (open) => {
  const visitor = await open();
  await visitor.signIn("ada");
  const path = `/runs/${facts.run}/stages/talk`;
  const page = await visitor.page(path);
  const main = page.locator("main");

  // The end comes by itself and stays in sight.
  const isInSight = (it) => it.evaluate((line) => {
    const box = line.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= innerHeight;
  }).catch(() => false);
  for (const nth of [3, 5]) {
    const tick = main.getByText(`tick ${nth}`, { exact: true }).first();
    await tick.waitFor();
    await until(`tick ${nth} is in sight`, () => isInSight(tick));
  }

  // Only what is looked at is in the page.
  const lines = await page.evaluate(() => document.querySelectorAll("main *").length);
  expect(lines < 5000, `the page has ${lines} elements for a log of which one sees fifty lines`);

  // Search leads to the line.
  const field = page.locator("main input[type=search], main input[name=search]").first();
  await field.fill("needle in the");
  await field.press("Enter");
  const needle = main.getByText("a needle in the haystack").first();
  await needle.waitFor();
  await until("what was searched is in sight", () => isInSight(needle));

  // A line has an address, and the address shows the line.
  await go(page, `${path}?line=50000`);
  const line = main.getByText("number 50000", { exact: true }).first();
  await line.waitFor();
  await until("the line of the address is in sight", () => isInSight(line));
  expect(!(await main.getByText("number 99000", { exact: true }).count()), "the whole log is in the page");

  // All of it can be had as it is.
  const raw = await main.locator("a", { hasText: /raw|download/i }).first().getAttribute("href");
  const length = await page.evaluate(async (href) => (await (await fetch(href)).text()).split("number 77777\n").length, raw);
  expect(length === 2, `the raw log has the line 77777 ${length - 1} times`);
});
