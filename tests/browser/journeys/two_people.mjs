// Two people, each with a browser: what one does, the other sees, and both see the same.

import { ask, expectEqual, facts, go, journey, until } from "../support/journey.mjs";
import { expectSamePage, markPage, seenOn } from "../support/live.mjs";

await journey(async (open) => {
  const ada = await (await open()).signIn("ada");
  const ben = await (await open({ theme: "dark", phone: true })).signIn("ben");
  await go(ada, "/");
  await go(ben, "/");
  await ask("push");
  const link = ada.locator("main a[href^='/runs/']").first();
  await link.waitFor();
  const path = (await link.getAttribute("href")).match(/^\/runs\/[0-9a-z]{26}/)[0];
  for (const page of [ada, ben]) await go(page, path);
  await markPage(ada);

  const both = async (word) => {
    for (const page of [ada, ben]) await page.locator("main").getByText(word).first().waitFor();
    await until(`both see the same at ${word}`, async () => (await seenOn(ada)) === (await seenOn(ben)));
  };
  await both("waiting");

  // Ada writes while Ben decides: her words stay, and say that they were not sent.
  const late = await ada.context().newPage();
  await late.goto(`${new URL(ada.url()).origin}${path}/stages/approve/approval`);
  await late.fill("textarea[name=comment]", "Not on a Friday");
  // A session that ends while Ben writes costs him none of his words.
  await go(ben, `${path}/stages/approve/approval`);
  await ben.fill("textarea[name=comment]", "Looks good to me");
  await ben.context().clearCookies();
  ben.watch.tolerate(/status of 40[13]|Failed to load resource|net::ERR_|EventSource/);
  await ben.getByRole("button", { name: "Approve" }).click();
  await ben.locator("main").getByRole("link", { name: "Sign in" }).click();
  await ben.fill("input[name=login]", "ben");
  await ben.fill("input[name=password]", facts.password);
  await ben.press("input[name=password]", "Enter");
  await ben.waitForURL((url) => url.pathname === `${path}/stages/approve/approval`);
  expectEqual(await ben.inputValue("textarea[name=comment]"), "Looks good to me", "what was typed before the sign-in");
  await ben.getByRole("button", { name: "Approve" }).click();
  await ben.locator("#notice").getByText("Your approval is recorded.").waitFor();
  await late.getByText("This was not sent").waitFor();
  expectEqual(await late.inputValue("#unsent"), "Not on a Friday", "what was typed while another decided");
  await go(ben, path);
  await both("passed");
  await expectSamePage(ada, "the run");

  const approval = await ada.context().newPage();
  await approval.goto(`${new URL(ada.url()).origin}${path}/stages/approve/approval`);
  const text = await approval.locator("main").innerText();
  expectEqual([/ben/.test(text), /Looks good to me/.test(text)], [true, true], "who has said what");
});
