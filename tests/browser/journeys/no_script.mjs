// With JavaScript switched off: every page is there, what people do they do by links and forms.

import { expect, facts, go, journey } from "../support/journey.mjs";
import { pages } from "../support/pages.mjs";

await journey(async (open) => {
  const visitor = await open({ script: false });
  const page = await visitor.signIn("ada");
  for (const [name, path, status] of pages(facts)) {
    if (status) page.watch.tolerate(new RegExp(`${status} .*`));
    await go(page, path, status);
    const text = await page.locator("main").innerText();
    expect(text.length > 40, `${name} is empty without a script: ${text}`);
    expect(!/loading|enable javascript/i.test(text), `${name} waits for a script: ${text.slice(0, 300)}`);
  }

  // A log can be read.
  await go(page, `/runs/${facts.red}/stages/${encodeURIComponent(facts.failing)}`);
  expect((await page.locator("main").innerText()).includes("AssertionError: 2 != 3"), "the log is not there");

  // Somebody else says yes, and the run goes on.
  const ben = await (await open({ script: false })).signIn("ben");
  await go(ben, "/approvals");
  await ben.locator("main a", { hasText: "approve" }).first().click();
  await ben.fill("textarea[name=comment]", "Without a script");
  await ben.getByRole("button", { name: "Approve" }).click();
  await ben.waitForURL((url) => url.search.includes("done=approved"));
  await ben.getByRole("status").getByText("recorded").waitFor();
  expect((await ben.locator("main").innerText()).includes("Without a script"), "the comment is not shown");

  // What failed runs again.
  await go(page, `/runs/${facts.red}`);
  await page.getByRole("button", { name: /failed/i }).first().click();
  await page.waitForURL((url) => url.search.includes("done="));

  await page.locator("details.menu summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
});
