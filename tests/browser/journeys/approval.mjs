// What waits for people: its author cannot let it through, nobody without the role can, a second person can.

import { expect, facts, go, journey } from "../support/journey.mjs";

const path = `/runs/${facts.run}/stages/approve/approval`;

await journey(async (open) => {
  const ada = await (await open()).signIn("ada");
  await go(ada, path);
  const main = ada.locator("main");
  const text = await main.innerText();
  for (const it of ["Sell harder", "src/shop.py", "prompts/sell.md", "f1"]) {
    expect(text.includes(it), `the page does not say \`${it}\`: ${text.slice(0, 2000)}`);
  }
  const approve = ada.getByRole("button", { name: "Approve" });
  expect(await approve.isDisabled(), "the author could say yes to their own change");
  expect(/author/i.test(text), "the page does not say why the author may not answer");
  // Whoever presses it all the same is refused by the server.
  ada.watch.tolerate(/status of 4[0-9][0-9]/);
  await ada.evaluate(() => document.getElementById("act").submit());
  await ada.waitForURL((url) => url.pathname.endsWith("/approve"));
  await ada.locator("h1").waitFor();
  const refused = await ada.locator("main").innerText();
  expect(/made this change/.test(refused), `the refusal does not say why: ${refused.slice(0, 500)}`);

  const cleo = await (await open()).signIn("cleo");
  await go(cleo, path);
  const forbidden = cleo.getByRole("button", { name: "Approve" });
  expect((await forbidden.count()) === 0 || (await forbidden.isDisabled()), "a viewer could say yes");

  const ben = await (await open()).signIn("ben");
  await ben.locator("main").getByText("approve").first().waitFor();
  await ben.locator(`main a[href^='${path}']`).first().click();
  await ben.fill("textarea[name=comment]", "The numbers are better");
  await ben.getByRole("button", { name: "Approve" }).click();
  await ben.locator("#notice").getByText("Your approval is recorded.").waitFor();

  // The author's page of the run has gone on by itself.
  await go(ada, `/runs/${facts.run}`);
  await ada.locator("main").getByText("passed").first().waitFor();
  await go(ada, path);
  const answered = await ada.locator("main").innerText();
  for (const it of ["ben", "The numbers are better"]) expect(answered.includes(it), `the page does not say \`${it}\``);
  expect((await ada.getByRole("button", { name: "Approve" }).count()) === 0, "what is answered can be answered again");
});
