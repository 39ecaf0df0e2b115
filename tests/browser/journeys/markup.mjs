// Names, messages, logs and reports that are full of markup: nothing of it runs, all of it is read as it was written.

import { expectFits } from "../support/checks.mjs";
import { Findings, expect, facts, go, journey } from "../support/journey.mjs";

const PROJECT = "/projects/shop/web";
const stage = (key) => `/runs/${facts.run}/stages/${encodeURIComponent(key)}`;

await journey(async (open, browser) => {
  const visitor = await open({ agent: facts.agent });
  const page = await visitor.signIn("ada");

  // The comment is typed into the page.
  await go(page, `${stage("approve")}/approval`);
  await page.fill("textarea[name=comment]", facts.comment);
  await page.getByRole("button", { name: "Approve" }).click();
  await page.locator("#notice").getByText("Your approval is recorded.").waitFor();

  const keys = await page.evaluate(async (run) => {
    const answer = await fetch(`/api/v1/runs/${run}`);
    return (await answer.json()).stages.map((it) => it.key);
  }, facts.run);
  const runs = [facts.run, facts.rejected, facts.cancelled].map((it) => `/runs/${it}`);
  const paths = [
    "/", "/runs", `/runs?branch=${encodeURIComponent("<svg/onload=__fired('branch')>")}`, "/approvals", "/account", "/account/tokens", "/account/sessions",
    ...runs, `${runs[0]}/timeline`, `${runs[0]}/reports`, `${runs[0]}/artifacts`, ...keys.map(stage), `${stage("approve")}/approval`,
    `${runs[1]}/stages/approve/approval`,
    PROJECT, `${PROJECT}/metrics`, `${PROJECT}/tests`, `${PROJECT}/settings`, `${PROJECT}/settings/webhooks`, `${PROJECT}/start`, `${runs[0]}/changes`,
    "/teams/odd", "/teams/shop", "/teams/shop/settings", "/admin/people", "/admin/people/eve", "/admin/audit", "/admin/workers", "/admin/queue",
    `/runs?branch=${encodeURIComponent("\"><img src=x onerror=__fired('query')>")}&status=failed&cursor=<b>`,
  ];
  const findings = new Findings();
  const missing = new Set(facts.fields);
  for (const path of paths) {
    page.watch.tolerate(/400 .*cursor/);
    await page.goto(facts.url + path, { waitUntil: "load" });
    // What comes over the live stream is put in by a script.
    await page.waitForTimeout(300);
    const text = await page.evaluate(() => {
      for (const it of document.querySelectorAll("details")) it.open = true;
      const fields = [...document.querySelectorAll("input, textarea, option")].map((it) => it.value);
      const titles = [...document.querySelectorAll("[title]")].map((it) => it.title);
      return [document.body.innerText, document.title, ...fields, ...titles].join("\n");
    });
    for (const field of missing) if (text.includes(`__fired('${field}')`)) missing.delete(field);
    // What is inside of an artifact has pages of its own.
    const inside = await page.evaluate(() => [...document.links].map((it) => it.pathname + it.search).filter((it) => it.includes("/artifacts?")));
    if (path.includes("/artifacts")) paths.push(...inside.filter((it) => !paths.includes(it)).slice(0, 5));
    const planted = await page.evaluate(() => {
      const found = [...document.querySelectorAll("[onerror], [onload], [onmouseover], img[src=x], script:not([src])")];
      const links = [...document.querySelectorAll("[href], [src], [action]")].filter((it) => /^\s*javascript:/i.test(it.getAttribute("href") ?? it.getAttribute("src") ?? it.getAttribute("action")));
      return [...found, ...links].map((it) => it.outerHTML.slice(0, 160));
    });
    expect(planted.length === 0, `${path} has made elements of it: ${planted.join("\n")}`);
    await findings.collect(() => expectFits(page, path));
  }
  expect(missing.size === 0, `no page shows these fields, so they were not tried: ${[...missing].join(", ")}`);
  findings.expectNone();
});
