// A piece of a log that has more lines or other heads keeps its elements: whoever reads it by keyboard or by ear
// stays where they are.

/** Makes `old` like `fresh`, which is used up. Gives the element that stands now: `fresh` where they are too different. */
export function renew(old, fresh) {
  const [parts, wanted] = [[...old.children], [...fresh.children]];
  const isSame = (it, nth) => it.tagName === wanted[nth]?.tagName && it.dataset.section === wanted[nth].dataset.section;
  if (!parts.every(isSame)) return fresh;
  wanted.forEach((part, nth) => {
    if (nth >= parts.length) old.append(part);
    else if (part.tagName === "OL") renewLines(parts[nth], part);
    else renewHead(parts[nth], part);
  });
  return old;
}

function renewLines(list, fresh) {
  const [items, wanted] = [[...list.children], [...fresh.children]];
  list.hidden = fresh.hidden;
  wanted.forEach((item, nth) => {
    if (nth >= items.length) list.append(item);
    else if (!items[nth].isEqualNode(item)) items[nth].replaceWith(item);
  });
  items.slice(wanted.length).forEach((it) => it.remove());
}

function renewHead(head, fresh) {
  if (head.isEqualNode(fresh)) return;
  const [button, wanted] = [head.querySelector("button"), fresh.querySelector("button")];
  if (button.textContent !== wanted.textContent) button.textContent = wanted.textContent;
  button.setAttribute("aria-expanded", wanted.getAttribute("aria-expanded"));
  tellNote(head, { note: fresh.querySelector("[data-note]").textContent, status: fresh.querySelector("[data-note]").dataset.status });
}

/** What stands beside the title of a section: how it went and how long it took. */
export function tellNote(head, { note, status }) {
  const element = head.querySelector("[data-note]");
  if (element.textContent !== note) element.textContent = note;
  element.dataset.status = status;
}
