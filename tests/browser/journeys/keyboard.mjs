// Without a mouse: from the sign-in to an answer, and through every page from its top to its end.

import { Findings, expect, expectEqual, facts, go, journey, until } from "../support/journey.mjs";
import { expectNoTrap, tabTo } from "../support/keys.mjs";
import { pages } from "../support/pages.mjs";

await journey(async (open) => {
  const page = await (await open()).page("/sign-in");
  // The login has the focus from the start.
  await page.keyboard.type("ben");
  await page.keyboard.press("Tab");
  await page.keyboard.type(facts.password);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/");

  // The first stop jumps over what is on every page.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  expectEqual(await page.evaluate(() => document.activeElement.id), "main", "the skip link leads to");

  await go(page, "/");
  await tabTo(page, /^a Approvals/);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === "/approvals");
  await tabTo(page, /^a .*approve/s);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname.endsWith("/approval"));
  await tabTo(page, /^textarea/);
  await page.keyboard.type("By keyboard alone");
  await tabTo(page, /^button Approve/);
  await page.keyboard.press("Enter");
  await page.locator("#notice").getByText("Your approval is recorded.").waitFor();
  expect((await page.locator("main").innerText()).includes("By keyboard alone"), "the comment is not shown");

  // A menu opens and closes.
  await go(page, "/");
  await tabTo(page, /^summary Account/);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor({ state: "visible" });
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).waitFor({ state: "hidden" });

  // Lines come each second to a log that is followed, and who reads it stays where they are.
  await go(page, pages(facts).find(([name]) => name === "stage-at-work")[1]);
  const lines = page.locator(".log-number");
  await until("lines of the log", async () => (await lines.count()) > 2);
  await lines.nth(1).focus();
  const before = await lines.count();
  await until("two more lines", async () => (await lines.count()) > before + 1);
  expectEqual(await page.evaluate(() => document.activeElement.textContent), "2", "the focus is on line");

  const findings = new Findings();
  const ada = await (await open()).signIn("ada");
  for (const [name, path, status] of pages(facts)) {
    if (status) ada.watch.tolerate(new RegExp(`${status} .*`));
    if (!(await findings.collect(() => go(ada, path, status)))) continue;
    await findings.collect(() => expectNoTrap(ada, name));
  }
  findings.expectNone();
});
