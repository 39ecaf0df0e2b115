// How smoothly a long log scrolls, told by the browser's own tracing, beside a page of the same height with stripes
// on it. A measurement and no test: it prints a table.
//
//   just measure-log '{"url":"http://127.0.0.1:4400","login":"ada","password":"…","run":"7","stage":"talk"}'
//
// `frames/s` are frames that the browser has drawn; `scripts/s` are those in which the page's own thread was asked, too:
// scrolling goes on without it, but lines that come late are not there yet. `blank` counts frames with such lines.

import { createRequire } from "node:module";
import { join } from "node:path";

const modules = createRequire(join(process.env.TEST_BROWSER_MODULES, "measure"));
const { chromium } = modules("playwright-core");
const facts = JSON.parse(process.env.MEASURE);

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const CATEGORIES = [
  "devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame", "__metadata",
];
/** Pixels a second: reading, looking for something, and racing. */
const SPEEDS = [800, 3000, 12000];
const SECONDS = 5;
const LONG_TASK_MS = 50;

async function signIn(context) {
  const page = await context.newPage();
  await page.goto(`${facts.url}/sign-in`);
  await page.fill("input[name=login]", facts.login);
  await page.fill("input[name=password]", facts.password);
  await page.press("input[name=password]", "Enter");
  await page.waitForURL((url) => url.pathname !== "/sign-in");
  return page;
}

/** Scrolls what is at the selector, and tells what the browser wrote down meanwhile. */
async function scroll(page, selector, speed) {
  const box = await page.locator(selector).boundingBox();
  const browser = await page.context().newCDPSession(page);
  const events = [];
  browser.on("Tracing.dataCollected", (it) => events.push(...it.value));
  const traceConfig = { includedCategories: CATEGORIES };
  await browser.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  await page.evaluate(() => {
    window.measured = { frames: 0, blank: 0, isOn: true };
    const count = () => {
      const view = document.querySelector(".log-view")?.getBoundingClientRect();
      const isBlank = (it) => {
        const box = it.getBoundingClientRect();
        return box.bottom > view.top && box.top < view.bottom;
      };
      window.measured.frames += 1;
      if ([...document.querySelectorAll(".log-canvas > .is-blank")].some(isBlank)) window.measured.blank += 1;
      if (window.measured.isOn) requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  });
  const began = performance.now();
  await browser.send("Input.synthesizeScrollGesture", {
    x: box.x + box.width / 3, y: box.y + box.height / 3, yDistance: -speed * SECONDS, speed,
    preventFling: true, gestureSourceType: "mouse",
  });
  const seconds = (performance.now() - began) / 1000;
  const inPage = await page.evaluate(() => Object.assign(window.measured, { isOn: false }));
  const isDone = new Promise((done) => browser.once("Tracing.tracingComplete", done));
  await browser.send("Tracing.end");
  await isDone;
  return { ...tell(events), seconds, inPage };
}

function tell(events) {
  const names = new Map(events.filter((it) => it.name === "thread_name").map((it) => [`${it.pid} ${it.tid}`, it.args.name]));
  const tasks = events.filter((it) => it.name === "RunTask" && names.get(`${it.pid} ${it.tid}`) === "CrRendererMain");
  const times = tasks.map((it) => it.dur / 1000).filter(Number.isFinite);
  return {
    drawn: events.filter((it) => it.name === "DrawFrame").length,
    longest: times.reduce((one, other) => Math.max(one, other), 0),
    long: times.filter((it) => it > LONG_TASK_MS).length,
  };
}

function row(name, speed, it) {
  const rate = (count) => (count / it.seconds).toFixed(1).padStart(9);
  const cells = [rate(it.drawn), rate(it.inPage.frames), String(it.inPage.blank).padStart(6), `${it.longest.toFixed(0)} ms`.padStart(13), String(it.long).padStart(12)];
  console.log([name.padEnd(6), String(speed).padStart(6), ...cells].join(" "));
}

const browser = await chromium.launch({ executablePath: process.env.TEST_CHROMIUM, args: FLAGS });
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await signIn(context);
const stage = `${facts.url}/runs/${facts.run}/stages/${encodeURIComponent(facts.stage)}`;
const began = performance.now();
await page.goto(stage);
await page.waitForSelector(".log-canvas li");
const first = performance.now() - began;
const count = await page.textContent("[data-count]");
// A line of its own opens the section that it is in.
await page.goto(`${stage}?line=100`);
await page.waitForSelector("#L100");
const height = await page.evaluate(() => document.querySelector(".log-canvas").getBoundingClientRect().height);
console.log(`${count}, first lines after ${first.toFixed(0)} ms, list of ${height} pixels`);
console.log("page   pixel/s  frames/s scripts/s  blank  longest task  tasks >50 ms");
for (const speed of SPEEDS) {
  await page.goto(`${stage}?line=100`);
  await page.waitForSelector("#L100");
  await page.waitForTimeout(500);
  row("log", speed, await scroll(page, ".log-view", speed));
  const plain = await context.newPage();
  // Stripes, as nothing is drawn where nothing changes.
  const stripes = "background: repeating-linear-gradient(white 0 20px, silver 20px 40px)";
  await plain.setContent(`<div id="plain" style="height: 600px; overflow: auto"><div style="height: ${height}px; ${stripes}">`);
  await plain.waitForTimeout(500);
  row("empty", speed, await scroll(plain, "#plain", speed));
  await plain.close();
}
await browser.close();
