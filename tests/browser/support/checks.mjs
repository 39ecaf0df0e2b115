// What is true of every page: it is readable by machines, it fits, and it says one thing at the top.

import { axe, expect } from "./journey.mjs";

/** Runs axe-core; nothing serious or critical may be found. */
export async function expectAccessible(page, what) {
  // Past the content policy of the page, as a debugger does: the policy itself stays as it is.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, {
      resultTypes: ["violations"],
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations
      .filter((it) => ["serious", "critical"].includes(it.impact))
      .map((it) => {
        const nodes = it.nodes.slice(0, 5).map((node) => `    ${node.html}\n      ${node.failureSummary.replace(/\n\s*/g, "; ")}`);
        return `  ${it.impact}: ${it.id}: ${it.help}\n${nodes.join("\n")}`;
      });
  });
  expect(found.length === 0, `axe-core on ${what}:\n${found.join("\n")}`);
}

/** The page does not scroll sideways; says what sticks out. */
export async function expectFits(page, what) {
  const wide = await page.evaluate(() => {
    const root = document.scrollingElement;
    if (root.scrollWidth <= root.clientWidth) return null;
    // What is laid out from another box is not cut off by those in between.
    const above = (it) => (getComputedStyle(it).position === "absolute" ? it.offsetParent : it.parentElement);
    const isCut = (it) => it && it !== root && (getComputedStyle(it).overflowX !== "visible" || isCut(above(it)));
    const out = [...document.querySelectorAll("body *")]
      .filter((it) => it.checkVisibility() && !isCut(above(it)))
      .filter((it) => {
        const spills = getComputedStyle(it).overflowX === "visible" && it.scrollWidth > Math.max(it.clientWidth, 1) + 1;
        return spills || it.getBoundingClientRect().right > root.clientWidth + 0.5;
      })
      .filter((it, _nth, all) => !all.some((other) => other !== it && it.contains(other)))
      .slice(0, 5)
      .map((it) => it.outerHTML.slice(0, 160));
    return `${root.scrollWidth} of ${root.clientWidth} px: ${out.join("\n    ")}`;
  });
  expect(!wide, `${what} is wider than the screen: ${wide}`);
}

/** One `h1`, a title, landmarks, a language, unique ids. */
export async function expectWellMade(page, what) {
  const problems = await page.evaluate(() => {
    const count = (selector) => document.querySelectorAll(selector).length;
    const ids = [...document.querySelectorAll("[id]")].map((it) => it.id);
    const doubled = ids.filter((it, nth) => ids.indexOf(it) !== nth);
    const list = [];
    if (count("h1") !== 1) list.push(`${count("h1")} h1`);
    if (count("main") !== 1) list.push(`${count("main")} main`);
    if (!document.title.trim()) list.push("no title");
    if (!document.documentElement.lang) list.push("no language");
    if (doubled.length) list.push(`ids twice: ${doubled.join(" ")}`);
    const odd = [...document.links].filter((it) => !["http:", "https:", "mailto:"].includes(it.protocol));
    if (odd.length) list.push(`a link to ${odd[0].getAttribute("href")}`);
    const nameless = [...document.querySelectorAll("th:not([scope])")];
    if (nameless.length) list.push(`a th without a scope: ${nameless[0].outerHTML}`);
    return list;
  });
  expect(problems.length === 0, `${what}: ${problems.join(", ")}`);
}

/** As the server has sent it: no script, style or handler inside of the page. */
export async function expectCleanHtml(page, html, what) {
  const found = await page.evaluate((text) => {
    const sent = new DOMParser().parseFromString(text, "text/html");
    return [...sent.querySelectorAll("*")]
      .filter((it) => it.matches("style, [style], script:not([src])") || [...it.attributes].some((other) => /^on/i.test(other.name)))
      .map((it) => it.outerHTML.slice(0, 160));
  }, html);
  expect(found.length === 0, `${what} has what the content policy refuses:\n${found.join("\n")}`);
}

/** Buttons, links outside of sentences, and fields are at least 24 px high and wide. Lines of a log may stand closer. */
export async function expectTappable(page, what) {
  const small = await page.evaluate(() => {
    const isInline = (it) => getComputedStyle(it).display === "inline";
    return [...document.querySelectorAll("button, input:not([type=hidden]), select, textarea, summary, a:not(.log-number)")]
      .filter((it) => it.checkVisibility() && !isInline(it))
      // Who misses a box to tick hits its words.
      .map((it) => [it, (/^(checkbox|radio)$/.test(it.type) && it.labels[0] ? it.labels[0] : it).getBoundingClientRect()])
      .filter(([, box]) => box.width > 1 && (box.height < 24 || box.width < 24))
      .map(([it, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${it.outerHTML.slice(0, 120)}`);
  });
  expect(small.length === 0, `${what} has targets that are too small:\n  ${small.slice(0, 8).join("\n  ")}`);
}
