// A picture of every page: light, dark, and on a telephone.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { facts, go, journey } from "../support/journey.mjs";
import { OPEN_PAGES, pages } from "../support/pages.mjs";

const LOOKS = { light: { theme: "light" }, dark: { theme: "dark" }, phone: { theme: "light", phone: true } };

await journey(async (open) => {
  mkdirSync(facts.folder, { recursive: true });
  for (const [look, settings] of Object.entries(LOOKS)) {
    const take = async (page, name) => {
      await page.evaluate(() => document.activeElement?.blur());
      const path = join(facts.folder, `${name}-${look}.png`);
      await page.screenshot({ path, fullPage: true, animations: "disabled", caret: "hide" });
    };
    const stranger = await (await open({ ...settings, still: true })).page();
    for (const [name, path] of OPEN_PAGES) {
      await go(stranger, path);
      await take(stranger, name);
    }
    const page = await (await open({ ...settings, still: true })).signIn("ada");
    for (const [name, path, status] of pages(facts)) {
      if (status) page.watch.tolerate(new RegExp(`${status} .*`));
      await go(page, path, status);
      await take(page, name);
    }
  }
});
