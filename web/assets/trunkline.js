// Makes pages come alive. Everything works without it.

// --- parts that the server sends anew

// Makes `from` like `to` and keeps what a person is doing there: focus, what is open, what is typed.
function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    from.nodeValue = to.nodeValue;
    return;
  }
  for (const { name } of [...from.attributes]) {
    const kept = name === "open" && from.nodeName === "DETAILS";
    if (!to.hasAttribute(name) && !kept) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    const kept = name === "open" && from.nodeName === "DETAILS";
    if (!kept && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  if (from.nodeName === "TEXTAREA" || from.hasAttribute("data-own")) return;
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const byId = new Map();
  for (const child of from.children) if (child.id) byId.set(child.id, child);
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = wanted.id ? byId.get(wanted.id) : undefined;
    if (known && known !== place) {
      from.insertBefore(known, place);
      place = known;
    }
    if (!place) {
      from.append(wanted);
      continue;
    }
    if (!known && place.id && place.nodeName === wanted.nodeName && to.querySelector(`:scope > #${CSS.escape(place.id)}`)) {
      from.insertBefore(wanted, place);
      continue;
    }
    const next = place.nextSibling;
    morph(place, wanted);
    place = next;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function show({ id, html }) {
  const element = document.getElementById(id);
  if (!element) return;
  const template = document.createElement("template");
  template.innerHTML = html;
  const wanted = element.cloneNode(false);
  wanted.append(template.content);
  if (!timeless(element).isEqualNode(timeless(wanted))) passNotice();
  const typed = [...element.querySelectorAll("[data-typed]")].filter((it) => it.value);
  morph(element, wanted);
  for (const field of typed) if (!field.isConnected && !isSending) showUnsent(element, field);
  tellTimes();
}

// What an element shows but for its times, which change by themselves.
function timeless(element) {
  const copy = element.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.textContent = "";
  return copy;
}

// --- what is typed

// Whether a form is on its way: what comes now takes it away rightly.
let isSending = false;

// Where things move on while somebody types, the form goes, and the words stay.
function showUnsent(element, field) {
  const note = document.createElement("div");
  note.className = "note stack";
  note.setAttribute("role", "status");
  const told = document.createElement("label");
  told.textContent = "Things have moved on while you were typing. This was not sent:";
  told.htmlFor = field.id = "unsent";
  field.readOnly = true;
  for (const name of ["form", "name", "data-typed", "aria-describedby"]) field.removeAttribute(name);
  note.append(told, field);
  element.closest("[data-live]").before(note);
}

// A session may end while one types: what was sent without one is there again after the sign-in, in this tab.
const TYPED = `typed ${location.pathname} `;

function keepTyped(form) {
  const fields = [...form.elements].filter((it) => it.matches("[data-typed]") && it.value);
  for (const field of fields) sessionStorage.setItem(TYPED + field.name, field.value);
}

function bringTyped() {
  for (const field of document.querySelectorAll("[data-typed]")) {
    const typed = sessionStorage.getItem(TYPED + field.name);
    if (typed && !field.value) field.value = typed;
  }
  // On the way through the sign-in there is nothing to show yet; after that it is over.
  if (!signsOut()) return;
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("typed ")) sessionStorage.removeItem(key);
}

const signsOut = () => document.querySelector('form[action="/sign-out"]');

// --- what was just done

// A notice belongs to its moment: the address does not keep it, and what changes on the page afterwards ends it. Its
// place stays, so that nothing moves below a pointer.
const notice = document.getElementById("notice");
const isRead = performance.now() + 5000;

function passNotice() {
  if (notice) setTimeout(() => notice.classList.add("past"), Math.max(0, isRead - performance.now()));
}

if (notice) {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

const connection = document.getElementById("connection");
const signedOut = document.getElementById("signed-out");
const sources = new Map();
let patience;

function isConnected() {
  clearTimeout(patience);
  patience = undefined;
  connection.hidden = true;
  if (signedOut) signedOut.hidden = true;
}

function hangUp(root) {
  sources.get(root)?.close();
  sources.delete(root);
}

// Whether a stream is not to be had: a browser tells only that it ended.
async function isGone(address) {
  const stop = new AbortController();
  try {
    const { status } = await fetch(address, { signal: stop.signal });
    return status === 403 || status === 404 || status === 410;
  } catch {
    return false;
  } finally {
    stop.abort();
  }
}

function follow(root) {
  // A page that nobody sees holds no connection: a browser has six of them for a server, in all of its tabs.
  if (document.hidden || sources.has(root)) return;
  const source = new EventSource(root.dataset.live);
  sources.set(root, source);
  const comeBack = async (wait) => {
    hangUp(root);
    await patiently(wait);
    if (await isGone(root.dataset.live)) {
      connection.textContent = "You may not see this any more, or it was removed: this page shows what was.";
      connection.hidden = false;
    } else {
      follow(root);
    }
  };
  source.addEventListener("part", (event) => show(JSON.parse(event.data)));
  source.addEventListener("open", isConnected);
  source.addEventListener("problem", (event) => {
    // The server cannot go on: what is shown may be out of date.
    const isOut = JSON.parse(event.data).status === 401;
    connection.hidden = isOut;
    comeBack(isOut ? 0 : 5000);
  });
  source.addEventListener("error", () => {
    // A moment without a connection is nothing to tell.
    patience ??= setTimeout(() => { connection.hidden = signedOut?.hidden === false; }, 3000);
    if (source.readyState === EventSource.CLOSED) comeBack(2000 + Math.random() * 2000);
  });
}

// --- the session

// A session shows a proof that is good for ten minutes; a page that stays open gets the next one in time. Where the
// session has ended, the page says so.
let refreshed = Date.now();

export async function refresh() {
  refreshed = Date.now();
  try {
    const ask = () => fetch("/api/v1/session/refresh", { method: "POST" });
    let answer = await ask();
    if (answer.status === 401) {
      // Perhaps another tab has done it in this moment, and we have its cookies in the next.
      await new Promise((done) => setTimeout(done, 1000));
      answer = await ask();
    }
    const isOut = answer.status === 401;
    if (signedOut) signedOut.hidden = !isOut;
    if (isOut) connection.hidden = true;
    if (answer.ok) proveAnew(await answer.json());
    return answer.ok;
  } catch {
    return false;
  }
}

// Who has signed in again in another tab sends the forms of this one with the new session's proof; forms of somebody
// else do not go through.
function proveAnew({ login, csrf }) {
  if (document.querySelector(".menu .login")?.textContent !== login) return;
  for (const field of document.querySelectorAll('input[name="csrf"]')) field.value = csrf;
}

// Waits before a stream is asked for again, and goes on with the session; without one it asks seldom, in case somebody
// signs in in another tab.
export async function patiently(wait) {
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  await sleep(wait);
  if (!(await refresh()) && signedOut && !signedOut.hidden) await sleep(10_000);
}

// --- times

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

function coarse(ms) {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`;
  const days = Math.floor(ms / DAY);
  return days === 1 ? "1 day" : `${days} days`;
}

function span(ms) {
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`;
}

const words = {
  ago: (at, now) => (now - at < 10 * SECOND ? "just now" : `${coarse(now - at)} ago`),
  until: (at, now) => (at <= now ? "now" : `in ${span(at - now)}`),
  since: (at, now) => span(Math.max(0, now - at)),
};

function tellTimes() {
  if (document.hidden) return;
  const now = Date.now();
  for (const kind of Object.keys(words)) {
    for (const element of document.querySelectorAll(`time[data-${kind}]`)) {
      const text = words[kind](Number(element.dataset[kind]), now);
      if (element.textContent !== text) element.textContent = text;
    }
  }
}

// --- small things

// What cannot be undone asks once more.
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
  if (question && !confirm(question)) event.preventDefault();
});

// A form of who is signed out would be gone: it stays as it is typed until somebody has signed in, in another tab.
document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || !form.elements.csrf || signedOut?.hidden !== false) return;
  event.preventDefault();
  keepTyped(form);
  if (await refresh()) form.requestSubmit(submitter);
});

// What makes something that is shown once is sent once: the answer to a second press would replace the first.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.elements.once) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  isSending = false;
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  isSending = true;
  keepTyped(event.target);
});
bringTyped();

// A filter that is chosen is applied.
document.addEventListener("change", (event) => {
  if (event.target.closest("form[data-apply]")) event.target.form.requestSubmit();
});

// A menu closes when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

tellTimes();
setInterval(tellTimes, SECOND);
document.addEventListener("visibilitychange", tellTimes);
if (signsOut()) {
  setInterval(refresh, 8 * MINUTE);
  // A page that is looked at again after a while, or that is signed out, hears how its session is.
  document.addEventListener("visibilitychange", () => {
    const isOld = Date.now() - refreshed > MINUTE || signedOut?.hidden === false;
    if (!document.hidden && isOld) refresh();
  });
}

const alive = document.querySelectorAll("[data-live]");
alive.forEach(follow);
document.addEventListener("visibilitychange", () => {
  alive.forEach(document.hidden ? hangUp : follow);
  clearTimeout(patience);
  patience = undefined;
});
