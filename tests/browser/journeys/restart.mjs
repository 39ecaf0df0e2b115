// The server dies in the middle of a run and comes back: pages say that they are cut off, catch up, and are not loaded again.

import { ask, expect, expectEqual, facts, journey, until } from "../support/journey.mjs";
import { expectSamePage, markPage, seenOn } from "../support/live.mjs";

await journey(async (open) => {
  const visitor = await open();
  const home = await visitor.signIn("ada");
  const run = await visitor.page(`/runs/${facts.run}`);
  const log = await visitor.page(`/runs/${facts.run}/stages/unit`);
  const pages = { home, run, log };
  for (const page of Object.values(pages)) {
    await markPage(page);
    // While nobody answers, the browser says so on the console.
    page.watch.tolerate(/net::ERR_|Failed to load resource|EventSource/);
  }
  await run.locator("main").getByText("running").first().waitFor();

  await ask("kill");
  for (const page of Object.values(pages)) await page.locator("#connection").waitFor({ state: "visible" });
  // A session's signed token runs out after ten minutes; who was cut off for longer must get in again by themselves.
  const gone = (await visitor.context.cookies()).filter((it) => it.name === "trunkline");
  expectEqual(gone.length, 1, "the cookie of the session");
  await visitor.context.clearCookies({ name: "trunkline" });
  await ask("serve");

  for (const [name, page] of Object.entries(pages)) {
    await page.locator("#connection").waitFor({ state: "hidden" });
    await expectSamePage(page, name);
  }
  await run.locator("main").getByText("waiting").first().waitFor();
  await log.locator("main").getByText("line 4 of unit").first().waitFor();
  await home.locator("#now").getByText("waiting").first().waitFor();
  for (const [name, page] of Object.entries(pages)) await expectSamePage(page, name);

  // What a page shows after it has caught up is what it shows when it is new.
  const paths = { home: "/", run: `/runs/${facts.run}`, log: `/runs/${facts.run}/stages/unit` };
  for (const [name, page] of Object.entries(pages)) {
    const fresh = await visitor.page(paths[name]);
    fresh.watch.tolerate(/net::ERR_|Failed to load resource|EventSource/);
    let seen = ["", ""];
    await until(`${name} reads like a new page`, async () => {
      seen = [await seenOn(page), await seenOn(fresh)];
      return seen[0] === seen[1];
    }).catch((error) => {
      throw new Error(`${error.message}\n--- old:\n${seen[0]}\n--- new:\n${seen[1]}`);
    });
    await fresh.close();
  }
  const lines = await log.locator("main").innerText();
  for (const nth of [1, 2, 3, 4]) {
    const count = lines.split(`line ${nth} of unit`).length - 1;
    expect(count === 1, `line ${nth} is there ${count} times`);
  }
});
