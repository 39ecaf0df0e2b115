// Looking for text in a log: the server looks, here is what it found.

const NAME = "log-found";

/** Makes the form of the page search without leaving it. */
export function searchIn(root, list, { address, attempt }) {
  const form = root.querySelector("form[data-find]");
  const input = form.querySelector("input[type=search]");
  const state = form.querySelector("[data-found]");
  const [previous, next] = ["previous", "next"].map((it) => form.querySelector(`[data-${it}]`));
  let found = null;
  let asked = null;

  const tell = (words) => {
    state.textContent = words;
    const isNothing = !found?.lines.length;
    previous.hidden = next.hidden = isNothing;
    if (isNothing) return;
    previous.disabled = found.at === 0;
    next.disabled = found.at + 1 >= found.lines.length && !found.next;
  };

  const ask = async (text, from) => {
    asked?.abort();
    asked = new AbortController();
    const query = new URLSearchParams({ q: text, attempt: attempt(), from_line: from, limit: 1000 });
    const answer = await fetch(`${address}?${query}`, { signal: asked.signal });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer.json();
  };

  const show = () => {
    const line = found.lines[found.at];
    list.mark(line, line);
    list.goTo(line);
    const more = found.isWhole ? "" : "+";
    tell(`${(found.at + 1).toLocaleString("en")} of ${found.count.toLocaleString("en")}${more}`);
    paint();
  };

  const begin = async (text) => {
    found = null;
    tell("Looking …");
    let page = await ask(text, 1);
    const all = { text, lines: page.items.map((it) => it.line), count: page.count, at: 0 };
    // So many bytes an answer: the next one goes on where this one stopped.
    while (!all.lines.length && page.next) {
      page = await ask(text, page.next);
      all.lines.push(...page.items.map((it) => it.line));
      all.count += page.count;
    }
    found = Object.assign(all, { next: page.next, isWhole: page.is_whole });
    if (found.lines.length) show();
    else {
      tell("Not in this log");
      paint();
    }
  };

  const step = async (by) => {
    if (found.at + by >= found.lines.length && found.next) {
      const page = await ask(found.text, found.next);
      found.lines.push(...page.items.map((it) => it.line));
      if (!found.isWhole) Object.assign(found, { isWhole: page.is_whole, count: found.lines.length });
      found.next = page.next;
    }
    const at = found.at + by;
    if (at < 0 || at >= found.lines.length) return;
    found.at = at;
    show();
  };

  const failed = (error) => {
    if (error.name !== "AbortError") tell(`Search failed: ${error.message}`);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value;
    if (!text) {
      found = null;
      tell("");
      paint();
    } else if (found?.text === text) step(1).catch(failed);
    else begin(text).catch(failed);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value) {
      input.value = "";
      found = null;
      tell("");
      paint();
    }
    if (event.key === "Enter" && event.shiftKey && found) {
      event.preventDefault();
      step(-1).catch(failed);
    }
  });
  previous.addEventListener("click", () => step(-1).catch(failed));
  next.addEventListener("click", () => step(1).catch(failed));

  // ---- the text itself is painted where the browser can do so without changing the page

  const canPaint = "highlights" in CSS;
  let painting = 0;

  const rangesIn = (element, text) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const ranges = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement.closest("a.log-number")) continue;
      const lower = node.data.toLowerCase();
      for (let at = lower.indexOf(text); at >= 0; at = lower.indexOf(text, at + text.length)) {
        if (at + text.length > node.data.length) break;
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + text.length);
        ranges.push(range);
      }
    }
    return ranges;
  };

  function paint() {
    if (!canPaint) return;
    if (!found) {
      CSS.highlights.delete(NAME);
      return;
    }
    cancelAnimationFrame(painting);
    painting = requestAnimationFrame(() => {
      const shown = root.querySelectorAll(".log-canvas > .log-piece");
      const ranges = [...shown].flatMap((it) => rangesIn(it, found.text.toLowerCase()));
      CSS.highlights.set(NAME, new Highlight(...ranges));
    });
  }

  let still = 0;
  root.querySelector(".log-view").addEventListener("scroll", () => {
    if (!found) return;
    clearTimeout(still);
    still = setTimeout(paint, 120);
  }, { passive: true });

  if (input.value) begin(input.value).catch(failed);
}
