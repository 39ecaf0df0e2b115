// Nobody sees anything before they sign in, and goes on where they wanted to be; nobody sees anything after they have left.

import { expect, expectEqual, facts, go, journey } from "../support/journey.mjs";

await journey(async (open) => {
  const visitor = await open();
  const page = await visitor.page("/runs?status=failed");
  expectEqual(new URL(page.url()).pathname, "/sign-in", "who is not signed in is led");

  // A wrong password says neither which of the two is wrong, nor forgets the login.
  await page.fill("input[name=login]", "ada");
  await page.fill("input[name=password]", "not the password at all");
  await page.click("main button");
  await page.getByRole("alert").waitFor();
  expectEqual(await page.inputValue("input[name=login]"), "ada", "the login that was typed");

  await page.fill("input[name=password]", facts.password);
  await page.click("main button");
  await page.waitForURL((url) => url.pathname === "/runs");
  expectEqual(new URL(page.url()).search, "?status=failed", "the filters that were asked for");

  // Who is signed in is known by more than their password.
  await go(page, "/");
  const menu = page.locator("details.menu");
  expect((await menu.locator("summary").innerText()).includes("ada"), "the page does not say who is signed in");
  await menu.locator("summary").click();
  await menu.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
  const cookies = (await visitor.context.cookies()).filter((it) => it.value !== "" && it.name !== "trunkline-theme");
  expectEqual(cookies.map((it) => it.name), [], "cookies that are left");

  // The way back shows nothing that belongs to whoever was signed in.
  await page.goBack();
  await page.waitForLoadState();
  expectEqual(new URL(page.url()).pathname, "/sign-in", "going back after the sign-out leads");
});
