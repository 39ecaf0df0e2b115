// A journey of one or more people through the pages: starts Chromium, watches every page, and says what it saw when
// something is not as it should be. `tests/browser/node.rs` starts it and answers what it asks for.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { Watch } from "./watch.mjs";

const modules = createRequire(join(process.env.TEST_BROWSER_MODULES, "journey"));
const { chromium } = modules("playwright-core");

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** How long a page may take for anything; a busy machine is slow, and a green test does not wait for it. */
export const PATIENCE = 20_000;
export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

/** What the Rust test tells: `url`, `password`, and whatever else the journey needs. */
export const facts = JSON.parse(process.env.JOURNEY);

/** Source of axe-core, to be evaluated in a page. */
export const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the Rust test to do something outside of the browser, such as a push; gives its answer. */
export async function ask(word, ...details) {
  process.stdout.write(`ask ${JSON.stringify([word, ...details])}\n`);
  const { value } = await answers.next();
  return JSON.parse(value);
}

/** Fails the journey unless it is so. */
export function expect(isSo, otherwise) {
  if (!isSo) throw new Error(otherwise);
}

export function expectEqual(seen, wanted, what) {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(wanted)];
  expect(left === right, `${what}: it is ${left} and should be ${right}`);
}

/** Waits until `look()` gives something true, and gives that. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    expect(Date.now() < end, `it never comes: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Somebody's browser, with cookies of its own. */
export class Visitor {
  constructor(context, watches) {
    this.context = context;
    this.watches = watches;
  }

  /** A page of its own, watched; it stands at `path` when one is given. */
  async page(path) {
    const page = await this.context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const watch = await Watch.begin(page, facts.url);
    this.watches.push(watch);
    page.watch = watch;
    if (path) await go(page, path);
    return page;
  }

  async signIn(login, password = facts.password) {
    const page = await this.page("/sign-in");
    await page.fill("input[name=login]", login);
    await page.fill("input[name=password]", password);
    await page.press("input[name=password]", "Enter");
    await page.waitForURL((url) => url.pathname !== "/sign-in");
    return page;
  }
}

/** Goes on after what is wrong, and tells all of it in the end: for journeys through many pages. */
export class Findings {
  constructor() {
    this.told = [];
  }

  /** Whether it was as it should be. */
  async collect(check) {
    return check().then(() => true, (error) => {
      this.told.push(error.message);
      return false;
    });
  }

  expectNone() {
    expect(this.told.length === 0, `${this.told.length} findings:\n${this.told.join("\n")}`);
  }
}

let visited = null;

/** Opens a path of the server; every page must be answered well. */
export async function go(page, path, status = 200) {
  visited = page;
  const response = await page.goto(facts.url + path, { waitUntil: "load" });
  expectEqual(response.status(), status, `the status of ${path}`);
  return response;
}

/**
 * Runs the journey. It is given `open(settings)`, which makes a visitor; settings are `theme` (`light`, `dark`), `phone`,
 * `script` (false: without JavaScript) and `still` (true: no animations).
 */
export async function journey(travel) {
  const watches = [];
  const browser = await chromium.launch({ executablePath: process.env.TEST_CHROMIUM, args: FLAGS });
  const open = async ({ theme = "light", phone = false, script = true, still = false, agent } = {}) => {
    const context = await browser.newContext({
      viewport: phone ? PHONE : DESKTOP,
      isMobile: phone,
      hasTouch: phone,
      javaScriptEnabled: script,
      colorScheme: theme,
      reducedMotion: still ? "reduce" : "no-preference",
      userAgent: agent,
      locale: "en-GB",
      timezoneId: "UTC",
    });
    return new Visitor(context, watches);
  };
  let failure = null;
  try {
    await travel(open, browser);
    const strange = watches.flatMap((it) => it.strange());
    expect(strange.length === 0, `pages said what they should not:\n${strange.join("\n")}`);
  } catch (error) {
    failure = error;
    await report(error, watches);
  }
  await browser.close();
  process.exit(failure ? 1 : 0);
}

async function report(error, watches) {
  const folder = process.env.JOURNEY_FOLDER;
  mkdirSync(folder, { recursive: true });
  console.error(error.stack);
  for (const [nth, watch] of watches.entries()) {
    if (watch.page.isClosed()) continue;
    const picture = join(folder, `page-${nth + 1}.png`);
    console.error(await watch.story(picture, { withDom: watch.page === visited }));
  }
}
