// The harness itself: it finds what it is there to find, on pages that are wrong in one way each.

import { createServer } from "node:http";
import { expectAccessible, expectFits, expectWellMade } from "../support/checks.mjs";
import { expect, facts, go, journey } from "../support/journey.mjs";

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'";
const page = (body, head = "<title>A page</title>") =>
  `<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width">${head}</head>` +
  `<body><main><h1>A page</h1>${body}</main></body></html>`;

// Path: the page, and the word by which its fault is known.
const PAGES = {
  "/good": [page("<p>Good.</p>"), null],
  "/inline": [page("<script>window.x = 1</script>"), /content policy: script-src/],
  "/handler": [page("<img src=x alt='' onerror='window.__fired(1)'>"), /content policy: script-src-attr/],
  "/styled": [page("<p style='color: red'>Red.</p>"), /content policy: style-src-attr/],
  "/broken": [page("", "<title>A page</title><script src=/broken.js></script>"), /script: no such thing/],
  "/alert": [page("", "<title>A page</title><script src=/alert.js></script>"), /dialog: hello/],
  "/elsewhere": [page("<link rel=stylesheet href=http://127.0.0.2:9/x.css>"), /request elsewhere: http/],
};
const SCRIPTS = { "/broken.js": "throw new Error('no such thing')", "/alert.js": "alert('hello')" };

// What `check` refuses of a page.
const CHECKED = [
  ["an input without a label", "<input>", expectAccessible, /critical: label/],
  ["a table as wide as two phones", "<div><pre>" + "wide ".repeat(200) + "</pre></div>", expectFits, /wider than the screen: .*<pre>/s],
  ["two of one id", "<p id=a></p><p id=a></p>", expectWellMade, /ids twice: a/],
];

const server = createServer((request, response) => {
  const html = PAGES[request.url]?.[0] ?? (request.url.startsWith("/checked-") ? page(CHECKED[request.url.slice(9)][1]) : null);
  response.setHeader("content-type", html ? "text/html" : "text/javascript");
  response.setHeader("content-security-policy", POLICY);
  response.end(html ?? SCRIPTS[request.url] ?? "");
});

await new Promise((done) => server.listen(0, "127.0.0.1", done));
facts.url = `http://127.0.0.1:${server.address().port}`;

await journey(async (open) => {
  const visitor = await open({ phone: true });
  for (const [path, [, wanted]] of Object.entries(PAGES)) {
    const tab = await visitor.page(path);
    await tab.evaluate(() => new Promise((done) => setTimeout(done, 50)));
    const found = tab.watch.strange().join("\n");
    expect(wanted ? wanted.test(found) : found === "", `${path} is told as: ${found}`);
    tab.watch.tolerate(/./);
  }
  for (const [nth, [what, , check, wanted]] of CHECKED.entries()) {
    const tab = await visitor.page();
    tab.watch.tolerate(/./);
    await go(tab, `/checked-${nth}`);
    const told = await check(tab, what).then(() => "nothing", (error) => error.message);
    expect(wanted.test(told), `${what} is told as: ${told}`);
  }
});
