// Every page on a telephone: nothing sticks out at the side, and what is tapped is large enough.

import { expectFits, expectTappable, expectWellMade } from "../support/checks.mjs";
import { facts, go, journey } from "../support/journey.mjs";
import { OPEN_PAGES, pages } from "../support/pages.mjs";

await journey(async (open) => {
  const stranger = await open({ phone: true });
  const visitor = await open({ phone: true, theme: "dark" });
  const tab = await stranger.page();
  for (const [name, path] of OPEN_PAGES) {
    await go(tab, path);
    await expectFits(tab, name);
    await expectTappable(tab, name);
  }
  const page = await visitor.signIn("ada");
  for (const [name, path, status] of pages(facts)) {
    if (status) page.watch.tolerate(new RegExp(`${status} .*`));
    await go(page, path, status);
    await expectWellMade(page, name);
    await expectFits(page, name);
    await expectTappable(page, name);
  }
});
