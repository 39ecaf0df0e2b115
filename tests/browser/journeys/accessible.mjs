// Every page, light and dark, as those need it who do not see it, or see it badly.

import { expectAccessible, expectCleanHtml, expectWellMade } from "../support/checks.mjs";
import { facts, go, journey } from "../support/journey.mjs";
import { OPEN_PAGES, pages } from "../support/pages.mjs";

await journey(async (open) => {
  for (const theme of ["light", "dark"]) {
    const stranger = await (await open({ theme, still: true })).page();
    for (const [name, path] of OPEN_PAGES) {
      await go(stranger, path);
      await expectAccessible(stranger, `${name}, ${theme}`);
    }
    const page = await (await open({ theme, still: true })).signIn("ada");
    for (const [name, path, status] of pages(facts)) {
      if (status) page.watch.tolerate(new RegExp(`${status} .*`));
      const response = await go(page, path, status);
      if (theme === "light") {
        await expectWellMade(page, name);
        await expectCleanHtml(page, await response.text(), name);
      }
      await expectAccessible(page, `${name}, ${theme}`);
    }
  }
});
