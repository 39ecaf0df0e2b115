// Listens to all that a page says: errors, refusals of the content policy, requests that fail or lead elsewhere, dialogs.

const DOM_LETTERS = 6000;

export class Watch {
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    this.findings = [];
    this.said = [];
    this.tolerated = [];
    this.agreements = 0;
  }

  static async begin(page, origin) {
    const watch = new Watch(page, origin);
    page.on("console", (message) => watch.hear(message));
    page.on("pageerror", (error) => watch.find("script", error.message));
    page.on("dialog", (dialog) => watch.answer(dialog));
    page.on("request", (request) => watch.see(request));
    page.on("response", (response) => {
      if (response.status() >= 500) watch.find("answer", `${response.status()} ${response.url()}`);
    });
    // A script of a page that should not run would say so here; see journeys/markup.mjs.
    await page.exposeBinding("__fired", (_source, what) => watch.find("markup ran", String(what)));
    await page.exposeBinding("__refused", (_source, what) => watch.find("content policy", what));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        const { effectiveDirective, blockedURI, sample } = event;
        window.__refused(`${effectiveDirective} ${blockedURI} ${sample}`);
      });
    });
    return watch;
  }

  /** From now on this is no finding: what a journey does on purpose. */
  tolerate(pattern) {
    this.tolerated.push(pattern);
  }

  find(kind, text) {
    this.findings.push(`${kind}: ${text}`);
  }

  hear(message) {
    const text = `${message.type()}: ${message.text()} (${message.location().url})`;
    this.said.push(text);
    if (message.type() === "error" || /Content Security Policy/i.test(text)) this.find("console", text);
  }

  see(request) {
    const url = request.url();
    const isOurs = url.startsWith(`${this.origin}/`) || url.startsWith("data:") || url.startsWith("blob:");
    if (!isOurs) this.find("request elsewhere", url);
  }

  /** The next question of the page is expected, and answered with yes. */
  agree() {
    this.agreements += 1;
  }

  async answer(dialog) {
    if (dialog.type() === "confirm" && this.agreements > 0) {
      this.agreements -= 1;
      await dialog.accept();
      return;
    }
    this.find("dialog", dialog.message());
    await dialog.dismiss();
  }

  strange() {
    return this.findings
      .filter((it) => !this.tolerated.some((pattern) => pattern.test(it)))
      .map((it) => `  ${this.page.url()}: ${it}`);
  }

  /** What a person who was not there needs to see. */
  async story(picture, { withDom }) {
    const shot = await this.page.screenshot({ path: picture, timeout: 5000 }).then(() => picture, (error) => error.message);
    const dom = await this.page.content().catch((error) => error.message);
    const main = dom.slice(Math.max(dom.indexOf("<main"), 0)).slice(0, DOM_LETTERS);
    return [
      `\n--- ${this.page.url()}`,
      `picture: ${shot}`,
      `findings: ${this.findings.join("\n  ") || "none"}`,
      `console: ${this.said.slice(-20).join("\n  ") || "nothing"}`,
      withDom ? main : "",
    ].join("\n");
  }
}
