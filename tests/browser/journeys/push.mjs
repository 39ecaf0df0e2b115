// Somebody looks at the pages, somebody else pushes: the run appears, goes through its states and waits for people, and the
// page is never loaded again.

import { ask, expect, go, journey } from "../support/journey.mjs";
import { expectSamePage, markPage } from "../support/live.mjs";

await journey(async (open) => {
  const visitor = await open();
  const home = await visitor.signIn("ada");
  const runs = await visitor.page("/runs");
  await go(home, "/");
  await markPage(home);
  await markPage(runs);
  const revision = await ask("push");

  for (const page of [home, runs]) await page.locator("main").getByText("Sell umbrellas").first().waitFor();
  await expectSamePage(home, "home");
  await expectSamePage(runs, "runs");

  const link = runs.locator("main a[href^='/runs/']", { hasText: /ci|#|umbrellas/ }).first();
  await link.click();
  await runs.waitForURL((url) => /^\/runs\/[0-9a-z]{26}$/.test(url.pathname));
  await markPage(runs);
  const main = runs.locator("main");
  expect((await main.innerText()).includes(revision.slice(0, 7)), "the run does not say which commit it is of");
  for (const word of ["running", "waiting"]) await main.getByText(word).first().waitFor();

  // The stage's log comes line by line.
  const stage = await visitor.page(`${new URL(runs.url()).pathname}/stages/unit`);
  await stage.locator("main").getByText("line 4 of unit").first().waitFor();

  await ask("approve");
  await runs.locator("h1, main").getByText("passed").first().waitFor();
  await expectSamePage(runs, "run");
  await home.locator("#projects").getByText("passed").first().waitFor();
  await expectSamePage(home, "home");
});
