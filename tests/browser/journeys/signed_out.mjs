// A session ends while pages are open: they say so, lead to the sign-in, and go on when somebody has signed in again elsewhere.

import { ask, expectEqual, facts, journey } from "../support/journey.mjs";
import { expectSamePage, markPage } from "../support/live.mjs";

await journey(async (open) => {
  const visitor = await open();
  const home = await visitor.signIn("ada");
  const pages = { run: await visitor.page(`/runs/${facts.run}`), log: await visitor.page(`/runs/${facts.run}/stages/unit`) };
  await home.close();
  for (const page of Object.values(pages)) {
    await markPage(page);
    page.watch.tolerate(/net::ERR_|Failed to load resource|EventSource/);
  }

  await ask("kill");
  await visitor.context.clearCookies();
  await ask("serve");
  for (const [name, page] of Object.entries(pages)) {
    const told = page.locator("#signed-out");
    await told.waitFor({ state: "visible" });
    const path = new URL(page.url()).pathname;
    const link = await told.locator("a").getAttribute("href");
    expectEqual(decodeURIComponent(link), `/sign-in?return_to=${path}`, `the way in on the page ${name}`);
    await page.locator("#connection").waitFor({ state: "hidden" });
  }

  await visitor.signIn("ada");
  for (const [name, page] of Object.entries(pages)) {
    await page.locator("#signed-out").waitFor({ state: "hidden" });
    await expectSamePage(page, name);
  }
  await pages.log.locator("main").getByText("line 4 of unit").first().waitFor();
  await pages.run.locator("main").getByText("waiting").first().waitFor();
});
