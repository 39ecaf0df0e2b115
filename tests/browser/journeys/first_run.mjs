// From an empty server to the first green run, as a new owner does it.

import { expect, expectEqual, facts, go, journey } from "../support/journey.mjs";

await journey(async (open) => {
  const visitor = await open();
  const page = await visitor.page("/");
  expectEqual(new URL(page.url()).pathname, "/set-up", "an empty server leads");

  // A token that is none is refused, and what was typed stays.
  await page.fill("input[name=token]", "tls_none");
  await page.fill("input[name=login]", "ada");
  await page.fill("input[name=password]", facts.password);
  await page.click("main button");
  await page.getByRole("alert").waitFor();
  expectEqual(await page.inputValue("input[name=login]"), "ada", "the login that was typed");
  await page.fill("input[name=token]", facts.token);
  await page.fill("input[name=password]", facts.password);
  await page.click("main button");
  await page.waitForURL((url) => url.pathname === "/");
  await page.getByRole("status").getByText("This server is yours").waitFor();

  await page.getByRole("link", { name: "Make a team" }).click();
  await page.fill("input[name=name]", "shop");
  await page.fill("input[name=title]", "The shop");
  await page.click("main button.first");
  await page.waitForURL((url) => url.pathname.startsWith("/teams/shop"));

  await go(page, "/");
  await page.getByRole("link", { name: /project/i }).first().click();
  await page.waitForURL((url) => url.pathname === "/projects/new");
  await page.fill("input[name=name]", "web");
  await page.fill("input[name=address]", facts.address);
  await page.click("main button.first");
  await page.waitForURL((url) => url.pathname.startsWith("/projects/shop/web"));

  await go(page, "/projects/shop/web");
  await page.getByRole("link", { name: "Start a run" }).click();
  await page.waitForURL((url) => url.pathname === "/projects/shop/web/start");
  const pipeline = page.locator("input[name=pipeline]:not([type=hidden])");
  if (await pipeline.count()) await pipeline.fill("ci");
  await page.getByRole("button", { name: "Start" }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/runs/"));
  await page.locator("main").getByText("passed").first().waitFor();
  expect((await page.locator("main").innerText()).includes("hello"), "the run does not show its stage");

  await go(page, "/");
  await page.locator("#projects").getByText("passed").waitFor();
});
