// Names without a space to break at, and as long as they may be, on a small telephone: nothing sticks out at the side,
// and every entry of the navigation is in sight.

import { expect, go, journey } from "../support/journey.mjs";
import { expectFits } from "../support/checks.mjs";
import { Findings, facts } from "../support/journey.mjs";

await journey(async (open) => {
  const page = await (await open({ phone: true })).signIn("ada");
  await page.setViewportSize({ width: 360, height: 740 });
  const project = `/projects/shop/${facts.project}`;
  const run = `/runs/${facts.run}`;
  const stage = `${run}/stages/${encodeURIComponent(facts.stage)}`;
  const findings = new Findings();
  for (const path of [
    "/", "/runs", `/runs?project=shop/${facts.project}`, "/approvals", "/teams/shop", project, `${project}/start`,
    `${project}/metrics`, `${project}/tests`, `${project}/settings`, `${project}/settings/secrets`,
    `${project}/settings/schedules`, run, `${run}/timeline`, `${run}/changes`, `${run}/reports`, `${run}/artifacts`,
    stage, `${run}/stages/approve/approval`, "/admin/people", "/admin/audit", "/admin/queue", "/spend?by=run",
  ]) {
    if (!(await findings.collect(() => go(page, path)))) continue;
    await findings.collect(() => expectFits(page, path));
  }
  const entries = await page.locator(".places a").evaluateAll((all) =>
    all.map((it) => ({ name: it.textContent, right: it.getBoundingClientRect().right, box: it.closest("nav").getBoundingClientRect().right })),
  );
  expect(entries.length === 6, `${entries.length} entries`);
  for (const it of entries) {
    await findings.collect(async () => expect(it.right <= Math.min(it.box, 360) + 0.5, `${it.name} is cut at ${it.right} px`));
  }
  findings.expectNone();
});
