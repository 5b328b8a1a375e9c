/* Roledesk: the one script. Keys, copying, polls of hidden tabs, the connection bar, folding on narrow screens.
   Every page works without it; no key does anything that has no visible control (keys click elements by `data-key`). */
(() => {
  "use strict";

  const status = () => document.getElementById("status-line");
  let quiet;

  function say(text) {
    const line = status();
    if (!line) return;
    line.textContent = text;
    clearTimeout(quiet);
    quiet = setTimeout(() => { line.textContent = ""; }, 4000);
  }

  /* Copying: data-copy holds the text, data-copy-from names an element; data-copy-name is what the status line says. */
  async function copy(button) {
    const source = document.getElementById(button.dataset.copyFrom);
    const text = button.dataset.copy ?? source?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
      say(`${button.dataset.copyName || "Text"} copied.`);
    } catch {
      const selection = getSelection();
      const range = document.createRange();
      range.selectNodeContents(source || button.parentElement);
      selection.removeAllRanges();
      selection.addRange(range);
      say("Your browser refused the clipboard. The text is selected: copy it with Ctrl+C.");
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (button) copy(button);
    for (const open of document.querySelectorAll("details.dropdown[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  /* Keys. `data-key="a"` or `data-key="g h"`; links and buttons are clicked, everything else gets the focus, and so
     does what has `data-key-focus`: no single key decides. Boxes that are ticked already are passed over; one that has
     the focus is ticked by its key, so that each text is reached before it is ticked. A key held down does that once. */
  const modified = (event) => event.ctrlKey || event.metaKey || event.altKey;
  const typing = (target) => target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  let prefix = "";
  let prefixTimer;

  function visible(element) {
    return element.checkVisibility ? element.checkVisibility({ visibilityProperty: true }) : element.offsetParent !== null;
  }

  function press(keys) {
    const next = () => [...document.querySelectorAll(`[data-key="${CSS.escape(keys)}"]`)]
      .find((element) => visible(element) && !element.matches(":checked"));
    const found = next();
    if (!found) return false;
    const reached = found.matches("[type=checkbox]") && found === document.activeElement;
    const presses = found.matches("a, button, summary, [type=checkbox]") && !found.hasAttribute("data-key-focus");
    if (!presses && !reached) { found.focus(); return true; }
    found.click();
    if (found.hasAttribute("data-key-next")) next()?.focus();
    return true;
  }

  function rowLink(row) { return row.querySelector("a[href]"); }

  function step(by) {
    const rows = [...document.querySelectorAll("[data-row]")].filter(visible);
    if (!rows.length) return false;
    const now = rows.findIndex((row) => row.contains(document.activeElement));
    const next = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(now + by, 0), rows.length - 1)];
    rowLink(next)?.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  function select() {
    const tick = document.activeElement?.closest("[data-row]")?.querySelector("input[type=checkbox]");
    if (!tick) return false;
    tick.click();
    return true;
  }

  const lists = { j: () => step(1), k: () => step(-1), x: select };

  function singleKey(event) {
    const pair = prefix ? `${prefix} ${event.key}` : event.key;
    prefix = "";
    clearTimeout(prefixTimer);
    if ((!event.repeat && press(pair)) || lists[pair]?.()) return true;
    if (!document.querySelector(`[data-key^="${CSS.escape(event.key)} "]`)) return false;
    prefix = event.key;
    prefixTimer = setTimeout(() => { prefix = ""; }, 1200);
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const form = event.target.closest("form");
      const chosen = event.target.closest("button[type=submit]") || form?.querySelector("[data-default]");
      if (form) { event.preventDefault(); form.requestSubmit(chosen || undefined); }
      return;
    }
    if (event.key === "Escape") {
      const open = event.target.closest("details.dropdown[open]");
      if (open) { open.open = false; open.querySelector("summary").focus(); }
      return;
    }
    if (modified(event) || typing(event.target) || event.key.length !== 1) return;
    if (document.body.dataset.keys === "off") return;
    if (singleKey(event)) event.preventDefault();
  });

  /* Once a form is on its way, no preview starts any more: the page would only throw its answer away. */
  let leaving = false;
  document.addEventListener("submit", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });

  /* Polls rest while the tab is hidden and ask at once when it is seen again (elements with data-poll). */
  document.addEventListener("htmx:beforeRequest", (event) => {
    const resting = document.hidden && event.detail.elt.hasAttribute("data-poll");
    if (leaving || resting) { event.preventDefault(); return; }
    event.detail.elt.setAttribute("aria-busy", "true");
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !window.htmx) return;
    for (const poll of document.querySelectorAll("[data-poll]")) window.htmx.trigger(poll, "poll-now");
  });

  /* The connection bar says since when nothing has arrived. */
  function connection(lost) {
    const bar = document.getElementById("connection");
    if (!bar || bar.hidden === !lost || bar.querySelector("a")) return;
    bar.hidden = !lost;
    const now = new Date().toLocaleTimeString("en-GB");
    bar.textContent = lost ? `Connection lost at ${now}. This page shows what was known then; it goes on by itself.` : "";
    if (!lost) say("Connected again.");
  }
  document.addEventListener("htmx:sendError", () => connection(true));
  document.addEventListener("htmx:timeout", () => connection(true));
  window.addEventListener("offline", () => connection(true));
  window.addEventListener("online", () => connection(false));
  document.addEventListener("htmx:afterRequest", (event) => {
    event.detail.elt.removeAttribute("aria-busy");
    if (event.detail.xhr?.status) connection(false);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const code = event.detail.xhr.status;
    if (code >= 500) say("The portal could not answer. Nothing you typed is lost.");
    else if (code === 403 || code === 404) say("The portal refused this. Reload the page; saved answers are kept.");
  });

  /* A security key: data-security-key says whether the browser makes or uses one (WebAuthn), as data-options ask. */
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-security-key]");
    if (!button) return;
    try {
      const credential = await window.webauthnJSON[button.dataset.securityKey](JSON.parse(button.dataset.options));
      button.form.elements.credential.value = JSON.stringify(credential);
      button.form.submit();
    } catch {
      say("Your browser gave no security key. Try again, or take another way.");
    }
  });

  /* A poll or preview that was answered by the sign-in page: nothing is swapped, the bar leads there and back here. */
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!new URL(event.detail.xhr.responseURL || location.href).pathname.startsWith("/accounts/login/")) return;
    event.detail.shouldSwap = false;
    const bar = document.getElementById("connection");
    const link = document.createElement("a");
    link.href = `/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in again";
    bar.hidden = false;
    bar.replaceChildren("Your sign-in has ended. Your saved answers are kept. ", link);
  });

  /* <details data-fold-below="1000"> starts closed on narrower windows. */
  function fold(root) {
    for (const part of root.querySelectorAll("details[data-fold-below]")) {
      if (window.innerWidth < Number(part.dataset.foldBelow)) part.open = false;
    }
  }
  document.addEventListener("htmx:load", (event) => { if (event.detail.elt !== document.body) fold(event.detail.elt); });

  /* A file chosen by ?print=1 prints with everything open. */
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("main details:not([open])")) { part.open = true; part.dataset.reclose = ""; }
  });
  window.addEventListener("afterprint", () => {
    for (const part of document.querySelectorAll("details[data-reclose]")) { part.open = false; delete part.dataset.reclose; }
  });

  /* A page that answers a wrong form gets an address of its own: reloading and Back never send the form again. */
  const answered = document.querySelector("[data-address]");
  if (answered) history.replaceState(null, "", answered.dataset.address);

  fold(document);
  document.querySelector("[data-focus]")?.focus();
})();
