// Something is red: two clicks lead from the home page to the line that says why. Then only what failed runs again.

import { expect, go, journey } from "../support/journey.mjs";
import { expectSamePage, markPage } from "../support/live.mjs";

await journey(async (open) => {
  const page = await (await open()).signIn("ada");
  await go(page, "/");
  const main = page.locator("main");

  // The first click: the run, with what failed at its top.
  await page.locator("#projects").getByText("failed").first().click();
  await page.waitForURL((url) => /^\/runs\/[0-9a-z]{26}$/.test(url.pathname));
  const text = await main.innerText();
  for (const it of ["unit", "AssertionError: umbrellas are sold out", "a command failed", "push"]) {
    expect(text.includes(it), `the run does not say \`${it}\`: ${text.slice(0, 1500)}`);
  }

  // The second click: the log, where it ends.
  const run = new URL(page.url()).pathname;
  await main.locator(`a[href*='/stages/unit']`).first().click();
  await page.waitForURL((url) => url.pathname === `${run}/stages/unit`);
  await main.getByText("AssertionError: umbrellas are sold out").first().waitFor({ state: "visible" });
  const isInSight = await main.getByText("AssertionError: umbrellas are sold out").last().evaluate((it) => {
    const box = it.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= innerHeight;
  });
  expect(isInSight, "one has to look for the line that says why");

  // Again, what failed and no more.
  await go(page, run);
  await page.getByRole("button", { name: /failed/i }).first().click();
  await page.locator("#notice").getByText("You asked for the stages to run again.").waitFor();
  await markPage(page);
  await page.locator("main").getByText("passed").first().waitFor();
  await page.waitForFunction(() => !/running|queued/.test(document.querySelector("main").innerText));
  await expectSamePage(page, "run");
  // What was asked for has been done: neither the page nor its address goes on telling of it.
  await page.locator("#notice").waitFor({ state: "hidden" });
  expect(new URL(page.url()).search === "", `the address is ${page.url()}`);
  const shown = await page.evaluate(async (path) => (await fetch(`/api/v1${path}`)).json(), new URL(page.url()).pathname);
  expect(shown.status === "passed", `the run is ${shown.status}`);
});
