// Every page on a telephone: nothing sticks out at the side, and what is tapped is large enough.

import { expectFits, expectTappable, expectWellMade } from "../support/checks.mjs";
import { Findings, facts, go, journey } from "../support/journey.mjs";
import { OPEN_PAGES, pages } from "../support/pages.mjs";

await journey(async (open) => {
  const stranger = await open({ phone: true });
  const visitor = await open({ phone: true, theme: "dark" });
  const findings = new Findings();
  const tab = await stranger.page();
  for (const [name, path] of OPEN_PAGES) {
    await go(tab, path);
    await findings.collect(() => expectFits(tab, name));
    await findings.collect(() => expectTappable(tab, name));
  }
  const page = await visitor.signIn("ada");
  for (const [name, path, status] of pages(facts)) {
    if (status) page.watch.tolerate(new RegExp(`${status} .*`));
    if (!(await findings.collect(() => go(page, path, status)))) continue;
    await findings.collect(() => expectWellMade(page, name));
    await findings.collect(() => expectFits(page, name));
    await findings.collect(() => expectTappable(page, name));
  }
  findings.expectNone();
});
