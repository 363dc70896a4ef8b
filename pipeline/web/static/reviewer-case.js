// SPDX-License-Identifier: AGPL-3.0-or-later
// The page of one case: which event is looked at, one key for each decision, and who is on the case.
//
// Whatever has `data-key` is pressed by that key. A decision opens its dialog, in which Enter decides and Escape goes
// back; digits choose in its list. All keys can be switched off (WCAG 2.1.4); the page works with a mouse as well.

import { Player } from "./reviewer-player.js";

const page = document.querySelector("[data-case]");
const tabs = [...page.querySelectorAll("[data-event-tab]")];
const panels = new Map([...page.querySelectorAll("[data-event-panel]")].map((panel) => [panel.dataset.eventPanel, panel]));
const players = new Map([...page.querySelectorAll("[data-player]")].map((root) => [root.dataset.player, new Player(root)]));
const keysOn = page.querySelector("[data-keys-on]");
let current = null;

// --- events ---

function select(tab, focus = false) {
  if (!tab || tab === current) return;
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    panels.get(other.dataset.eventTab).hidden = !chosen;
    if (!chosen) players.get(other.dataset.eventTab)?.stop();
  }
  current = tab;
  for (const mark of page.querySelectorAll("[data-moment]")) {
    mark.classList.toggle("is-current", mark.dataset.moment === tab.dataset.eventTab);
  }
  for (const line of page.querySelectorAll("[data-line]")) {
    line.classList.toggle("is-looked-at", line.dataset.line === tab.dataset.ofLine);
  }
  if (focus) tab.focus();
  players.get(tab.dataset.eventTab)?.open();
}

function move(by) {
  if (tabs.length) select(tabs[(tabs.indexOf(current) + by + tabs.length) % tabs.length], true);
}

for (const tab of tabs) tab.addEventListener("click", () => select(tab));
for (const button of page.querySelectorAll("[data-look]")) {
  button.addEventListener("click", () => select(tabs.find((tab) => tab.dataset.eventTab === button.dataset.look)));
}
page.querySelector("[role=tablist]")?.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) {
    event.preventDefault();
    move(by);
  }
});
select(tabs.find((tab) => tab.hasAttribute("data-first")) ?? tabs[0]);

// --- decisions ---

for (const opener of page.querySelectorAll("[data-decides]")) {
  opener.addEventListener("click", () => open(document.getElementById(opener.dataset.decides)));
}

function open(dialog) {
  for (const player of players.values()) player.stop();
  dialog.showModal();
  const first = dialog.querySelector("[data-first-field]");
  first?.focus();
  first?.select?.();
}

for (const dialog of page.querySelectorAll("dialog")) {
  dialog.addEventListener("keydown", (event) => choose(dialog, event));
  // The button says what goes on; that twice is once is the server's doing (the form's key).
  dialog.querySelector("form")?.addEventListener("submit", ({ submitter }) => submitter?.setAttribute("aria-busy", "true"));
}

// Digits choose in a dialog's list; letters go to its search box.
function choose(dialog, event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input:not([type=radio]), textarea, select")) return;
  const search = dialog.querySelector("input[type=search]");
  const options = [...dialog.querySelectorAll("input[type=radio]")];
  if (/^[1-9]$/.test(key) && options[key - 1]) {
    event.preventDefault();
    options[key - 1].checked = true;
    options[key - 1].focus();
  } else if (search && /^\p{L}$/u.test(key)) {
    search.focus();
  }
}

// --- product search ---

for (const search of page.querySelectorAll("input[type=search][data-products]")) {
  const list = search.closest("form").querySelector("[data-options]");
  const usual = [...list.children];
  const template = page.querySelector("template[data-option]");
  let asked = 0;
  search.addEventListener("input", async () => {
    const mine = ++asked;
    const text = search.value.trim();
    if (!text) return list.replaceChildren(...usual);
    const answer = await fetch(`${search.dataset.products}?q=${encodeURIComponent(text)}`);
    if (!answer.ok || mine !== asked) return;
    const { products } = await answer.json();
    list.replaceChildren(
      ...products.map((product, index) => {
        const option = template.content.cloneNode(true).firstElementChild;
        const radio = option.querySelector("input");
        radio.value = product.gtin;
        radio.checked = index === 0;
        option.querySelector("[data-name]").textContent = product.name;
        option.querySelector("[data-price]").textContent = product.price;
        return option;
      }),
    );
    const count = list.parentElement.querySelector("[data-found]");
    count.textContent = count.dataset.found.replace("{n}", products.length);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    list.querySelector("input")?.focus();
  });
}

// --- keys ---

const STORED = "walkout-review-keys";
keysOn.checked = localStorage.getItem(STORED) !== "off";
keysOn.addEventListener("change", () => localStorage.setItem(STORED, keysOn.checked ? "on" : "off"));

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
  if (document.querySelector("dialog[open]") || target.matches("input[type=text], input[type=search], textarea, select")) return;
  if (key === " " && target.matches("button, summary, a, input")) return; // it presses what has the focus
  if (key.startsWith("Arrow") && target.matches("input[type=radio]")) return;
  const pressed = key.length === 1 ? page.querySelector(`[data-key="${CSS.escape(key.toLowerCase())}"]:not([disabled])`) : null;
  if (pressed) {
    event.preventDefault();
    pressed.click();
  } else if (key === "j" || key === "k") {
    event.preventDefault();
    move(key === "j" ? 1 : -1);
  } else if (current && players.get(current.dataset.eventTab)?.key(event)) {
    event.preventDefault();
  }
});

// --- who is on it ---

const post = (url, options) => {
  const token = document.querySelector("meta[name=csrf-token]").content;
  return fetch(url, { method: "POST", headers: { "X-CSRF-Token": token }, ...options }).catch(() => null);
};

async function claim() {
  if (document.hidden) return;
  const answer = await post(`${page.dataset.claim}/claim`);
  if (!answer?.ok) return;
  const { text } = await answer.json();
  const place = page.querySelector("[data-claimed]");
  if (place.textContent !== text) place.textContent = text;
}

if (page.dataset.claim) {
  claim();
  setInterval(claim, 60_000);
  addEventListener("pagehide", () => post(`${page.dataset.claim}/release`, { keepalive: true }));
}

// --- the dot on the floor plan goes with the clips ---

const dot = page.querySelector("[data-dot]");
const track = dot ? JSON.parse(page.querySelector("script[data-track]").textContent) : [];
page.addEventListener("player-time", ({ target, detail }) => {
  if (!track.length || target.dataset.player !== current?.dataset.eventTab) return;
  const at = Number(target.dataset.startMs) + detail.time * 1000;
  const next = track.findIndex(([ms]) => ms >= at);
  const [b, a] = [track[next < 0 ? track.length - 1 : next], track[Math.max(next - 1, 0)]];
  const share = next > 0 && b[0] > a[0] ? (at - a[0]) / (b[0] - a[0]) : 1;
  dot.setAttribute("cx", (a[1] + (b[1] - a[1]) * share).toFixed(1));
  dot.setAttribute("cy", (a[2] + (b[2] - a[2]) * share).toFixed(1));
});
