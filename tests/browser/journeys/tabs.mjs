// One browser with more tabs than it has connections to a server: those that nobody looks at hold none, and catch up when
// somebody does.

import { ask, facts, go, journey } from "../support/journey.mjs";
import { expectSamePage, markPage } from "../support/live.mjs";

const TABS = 9;

/** A headless browser shows all its tabs at once; this one is told which of them is looked at. */
async function look(page, isHidden) {
  await page.evaluate((hidden) => {
    window.__hidden = hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}

await journey(async (open) => {
  const visitor = await open();
  await visitor.context.addInitScript(() => {
    Object.defineProperty(document, "hidden", { get: () => window.__hidden === true });
    Object.defineProperty(document, "visibilityState", { get: () => (window.__hidden === true ? "hidden" : "visible") });
  });
  const first = await visitor.signIn("ada");
  await go(first, "/runs");
  await markPage(first);
  const tabs = [first];
  for (let nth = 1; nth < TABS; nth += 1) {
    await look(tabs.at(-1), true);
    const tab = await visitor.page(nth % 2 ? "/" : "/runs");
    // Whatever it loads comes as soon as in the first tab.
    await tab.evaluate(() => fetch("/api/v1/runs"));
    tabs.push(tab);
  }
  await ask("push");
  await tabs.at(-1).locator("main").getByText(facts.title).first().waitFor();
  await look(tabs.at(-1), true);
  await look(first, false);
  await first.locator("main").getByText(facts.title).first().waitFor();
  await expectSamePage(first, "the first tab");
});
