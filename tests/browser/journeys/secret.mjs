// A secret is set on a page: its value is then in no page, no answer and no log.

import { ask, expect, expectEqual, facts, go, journey } from "../support/journey.mjs";

const PROJECT = "/projects/shop/web";

await journey(async (open) => {
  const visitor = await open();
  const page = await visitor.signIn("ada");
  const answers = [];
  const value = Buffer.from(facts.value);
  // In any of the forms in which a page could have it by mistake.
  const forms = [facts.value, value.toString("base64").slice(0, 30), value.toString("hex")];
  page.on("response", async (response) => {
    const text = await response.text().catch(() => "");
    if (forms.some((it) => text.includes(it))) answers.push(response.url());
  });

  await go(page, `${PROJECT}/settings/secrets`);
  await page.fill("input[name=name]", "API_KEY");
  const field = page.locator("[name=value]");
  const kind = await field.evaluate((it) => `${it.tagName} ${it.type} ${it.autocomplete}`);
  expect(/^INPUT password|^TEXTAREA/.test(kind), `the value is typed into ${kind}`);
  await field.fill(facts.value);
  await page.locator("form", { has: page.locator("[name=value]") }).getByRole("button").first().click();
  await page.locator("#notice").waitFor();
  const list = await page.locator("main").innerText();
  expect(list.includes("API_KEY"), "the secret is not in the list");

  const run = await ask("run");
  await page.goBack();
  expectEqual(await page.locator("[name=value]").inputValue(), "", "the field, when one goes back");
  for (const path of [
    `${PROJECT}/settings/secrets`, `/runs/${run}`, `/runs/${run}/stages/leak`, `/runs/${run}/timeline`, "/admin/audit", PROJECT,
    `/api/v1/runs/${run}`, `/api/v1/runs/${run}/events`, `/api/v1/projects/shop/web/secrets`, `/api/v1/audit`,
  ]) {
    await page.goto(facts.url + path, { waitUntil: "load" });
    await page.waitForTimeout(200);
    const html = await page.content();
    expect(!forms.some((it) => html.includes(it)), `the value is on ${path}`);
  }
  await go(page, `/runs/${run}/stages/leak`);
  await page.locator("main").getByText("the key is ***.").first().waitFor();
  expectEqual(answers, [], "answers with the value");

  // Who presses twice sees what was made all the same.
  await go(page, "/account/tokens");
  await page.fill("input[name=name]", "pressed twice");
  await page.getByRole("button", { name: "Make the token" }).dblclick();
  await page.locator("#once").waitFor();
  expect((await page.inputValue("#once")).length > 20, "no token is shown");
});
