// Every page, light and dark, as those need it who do not see it, or see it badly.

import { expectAccessible, expectCleanHtml, expectWellMade } from "../support/checks.mjs";
import { Findings, facts, go, journey } from "../support/journey.mjs";
import { OPEN_PAGES, pages } from "../support/pages.mjs";

await journey(async (open) => {
  const findings = new Findings();
  for (const theme of ["light", "dark"]) {
    const stranger = await (await open({ theme, still: true })).page();
    for (const [name, path] of OPEN_PAGES) {
      await go(stranger, path);
      await findings.collect(() => expectAccessible(stranger, `${name}, ${theme}`));
    }
    const page = await (await open({ theme, still: true })).signIn("ada");
    for (const [name, path, status] of pages(facts)) {
      if (status) page.watch.tolerate(new RegExp(`${status} .*`));
      let html = "";
      const look = async () => (html = await (await go(page, path, status)).text());
      if (!(await findings.collect(look))) continue;
      if (theme === "light") {
        await findings.collect(() => expectWellMade(page, name));
        await findings.collect(() => expectCleanHtml(page, html, name));
      }
      await findings.collect(() => expectAccessible(page, `${name}, ${theme}`));
    }
  }
  findings.expectNone();
});
