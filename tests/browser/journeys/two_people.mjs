// Two people, each with a browser: what one does, the other sees, and both see the same.

import { ask, expectEqual, go, journey, until } from "../support/journey.mjs";
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

  await go(ben, `${path}/stages/approve/approval`);
  await ben.fill("textarea[name=comment]", "Looks good to me");
  await ben.getByRole("button", { name: "Approve" }).click();
  await ben.locator("#notice").getByText("Your approval is recorded.").waitFor();
  await go(ben, path);
  await both("passed");
  await expectSamePage(ada, "the run");

  const approval = await ada.context().newPage();
  await approval.goto(`${new URL(ada.url()).origin}${path}/stages/approve/approval`);
  const text = await approval.locator("main").innerText();
  expectEqual([/ben/.test(text), /Looks good to me/.test(text)], [true, true], "who has said what");
});
